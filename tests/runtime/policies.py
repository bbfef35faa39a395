"""Policies to render and run, and a predictor over a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dse_cli.contracts.lm import LmRequest, LmResponse, ModelIdentity
from dse_cli.contracts.signature import Signature, SignatureSpec
from dse_cli.runtime.direct import DirectPredictor
from dse_cli.runtime.policy import Policy, authored_policy
from tests.lm.calls import RealTransport

MODEL = "openai/tiny"
RIGHT = '{"queue":"billing"}'


def make_signature(*, blobs: Mapping[str, str] | None = None, **changes: Any) -> Signature:
    spec = {
        "dse": "signature/v1",
        "id": "@acme/support/Route.v1",
        "description": "Choose the queue.",
        "input": {"ticket": "string"},
        "output": {"queue": {"enum": ["billing", "other"]}},
        "prompt": [{"instruction": "Choose the queue."}, {"output_format": "json_schema"}],
    }
    return Signature(SignatureSpec.model_validate({**spec, **changes}), dict(blobs or {}))


def make_policy(params: dict[str, Any] | None = None, **changes: Any) -> Policy:
    return authored_policy(make_signature(**changes), model=MODEL).patched(params or {})


class Desk:
    """A predictor with what was asked of its model.

    Args:
        answer: what the model says; a list is said in turn.
    """

    def __init__(
        self,
        answer: Callable[[LmRequest], Any] | list[Any] | str | LmResponse | Exception,
        policy: Policy | None = None,
        **options: Any,
    ) -> None:
        self._said = answer
        self.transport = RealTransport(self._answer)
        self.predictor = DirectPredictor(
            policy or make_policy(), self.transport, ModelIdentity, **options
        )

    @property
    def requests(self) -> list[LmRequest]:
        return self.transport.requests

    def _answer(self, request: LmRequest) -> LmResponse | Exception:
        said: Any = self._said
        if callable(said):
            said = said(request)
        elif isinstance(said, list):
            said = said[len(self.requests) - 1]
        return LmResponse(said, served_model="tiny-1") if isinstance(said, str) else said
