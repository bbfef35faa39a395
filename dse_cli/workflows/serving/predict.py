"""``dse predict``: one prediction through the active policy, with a receipt on every path."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from dse_cli.canonical import sha256_of
from dse_cli.contracts.errors import UsageError
from dse_cli.contracts.receipt import PredictReceipt
from dse_cli.lm.gateway import build_gateway
from dse_cli.runtime.direct import DirectPredictor, check_input
from dse_cli.runtime.prediction import UsageTally
from dse_cli.workflows.opening import open_signature
from dse_cli.workflows.serving.router import Route, Router, receipts_file

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.lm.catalog import ModelCatalog
    from dse_cli.lm.gateway import Gateway
    from dse_cli.project.project import Project
    from dse_cli.runtime.policy import Policy
    from dse_cli.runtime.prediction import Prediction
    from dse_cli.workflows.policies import NamedPolicy
    from dse_cli.workflows.session import RunOptions

_INPUT_HINT: Final = (
    "give FIELD=VALUE arguments, or one JSON object with --input JSON, or on standard input with "
    "--input -"
)
#: What stands for a value of a type in an example.
_EXAMPLES: Final = {"string": "'...'", "integer": "1", "number": "0.5", "boolean": "true"}


@dataclass(frozen=True)
class Served:
    """One prediction, and which policy made it.

    Attributes:
        prediction: an output or an error.
        route: policy and channel.
    """

    prediction: Prediction
    route: Route


class ServedPolicy:
    """A policy with its gateway, ready to predict; close it when done.

    While a canary runs, the policy ``active`` is two: each request is answered by one of them.

    Args:
        project: where the signature stands.
        name: signature.
        word: which policy, see :func:`~dse_cli.workflows.policies.find_policy`.
        options: cache and transport.
        catalog: models; the project's own when omitted.
        warn: is told once when a canary has too many errors; a Python warning when omitted.

    Raises:
        AlteredError, StaleError: a pointer is dangling, altered or stale; nothing is served.
    """

    def __init__(
        self,
        project: Project,
        name: str,
        options: RunOptions,
        *,
        word: str = "active",
        catalog: ModelCatalog | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        opened = open_signature(project, name, catalog=catalog)
        self.name = opened.name
        self.catalog = opened.catalog
        self._receipts = receipts_file(project, opened.name)
        self._router = Router(opened, word, self._receipts, warn)
        self._options = options
        self._gateway: Gateway | None = None
        self._predictors: dict[str, DirectPredictor] = {}
        self._count = 0

    @property
    def named(self) -> NamedPolicy:
        """The policy that was asked for; of ``active``, not the canary."""
        return self._router.named

    @property
    def policy(self) -> Policy:
        """See :attr:`named`."""
        return self.named.policy

    async def predict(self, inputs: Mapping[str, Any], *, key: str | None = None) -> Prediction:
        """Predict one input; see :meth:`serve`."""
        return (await self.serve(inputs, key=key)).prediction

    async def serve(self, inputs: Mapping[str, Any], *, key: str | None = None) -> Served:
        """Predict one input and append a receipt, also when it fails or is cancelled.

        Args:
            key: what the request belongs to (a user, a thread); while a canary runs, the same key
                is always answered by the same policy. None routes by the input.

        Raises:
            UsageError: the input does not fit; nothing was called.
        """
        check_input(self.policy, inputs)
        route = self._router.route(key, sha256_of(dict(inputs)))
        started, clock = datetime.now(UTC), time.monotonic()
        self._count += 1
        path = f"predict/{started.strftime('%Y%m%dT%H%M%S%f')}-{os.getpid()}-{self._count:06d}"
        tally = UsageTally()
        prediction: Prediction | None = None
        failure, message = "cancelled", None
        try:
            predictor = self._ready(route.named.policy)
            prediction = await predictor.predict(inputs, path=path, tally=tally)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            failure, message = type(error).__name__, str(error)
            raise
        finally:
            if prediction is not None:
                found = prediction.error
                failure, message = (found.kind, found.message) if found else ("ok", None)
            output_hash = None if prediction is None else prediction.output_hash
            receipt = self._receipt(route, inputs, tally, started, clock)
            outcome = {"result": failure, "message": message, "output_hash": output_hash}
            append_receipt(self._receipts, receipt.model_copy(update=outcome))
            self._forget(path)
        return Served(prediction, route)

    def _forget(self, path: str) -> None:
        """Drop the calls of a finished prediction, or a long-lived process would keep them all."""
        if self._gateway is not None:
            transcript = self._gateway.transcript
            transcript.forget([p for p in transcript.paths() if p.startswith(f"{path}/")])

    async def aclose(self) -> None:
        """Close connections and the embedded server."""
        if self._gateway is not None:
            await self._gateway.aclose()
            self._gateway = None
            self._predictors.clear()

    def _ready(self, policy: Policy) -> DirectPredictor:
        """Return the predictor of a policy; all of them share one gateway."""
        if self._gateway is None:
            self._gateway = build_gateway(
                self.catalog,
                seed=0,
                transport=self._options.transport,
                cache_folder=self._options.cache,
            )
        if policy.id not in self._predictors:
            made = DirectPredictor(policy, self._gateway, self.catalog.identify)
            self._predictors[policy.id] = made
        return self._predictors[policy.id]

    def _receipt(
        self,
        route: Route,
        inputs: Mapping[str, Any],
        tally: UsageTally,
        started: datetime,
        clock: float,
    ) -> PredictReceipt:
        """Return the receipt of a prediction that did not end."""
        policy, usage = route.named.policy, tally.usage()
        # A call that was cut off may have cost something: its usage is unknown, not zero.
        known = usage.lm_calls == len(tally.request_keys)
        optional = {"canary": route.canary, "routing_key": route.routing_key}
        return PredictReceipt(
            format="dse/predict_receipt/v1",
            signature_id=policy.signature.id,
            compiled_id=policy.id,
            hashes=policy.hashes,
            input_hash=sha256_of(dict(inputs)),
            output_hash=None,
            model=policy.model("main").model or "",
            served_model=tally.served_model,
            result="cancelled",
            message=None,
            request_keys=tuple(tally.request_keys),
            lm_calls=usage.lm_calls,
            repairs=usage.repairs,
            prompt_tokens=usage.prompt_tokens if known else None,
            completion_tokens=usage.completion_tokens if known else None,
            cost_nano_usd=usage.cost_nano_usd if known else None,
            started_at=started.isoformat(),
            duration_ms=round((time.monotonic() - clock) * 1000),
            channel=route.channel,
            **{name: value for name, value in optional.items() if value is not None},
        )


def append_receipt(path: Path, receipt: PredictReceipt) -> None:
    """Append one line in a single write, so that concurrent processes never mix lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(receipt.to_json(), ensure_ascii=False, sort_keys=True) + "\n"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        # Behind a line that a full disk cut off, this one would be lost with it.
        size = os.fstat(descriptor).st_size
        is_cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, (b"\n" if is_cut else b"") + line.encode())
    finally:
        os.close(descriptor)


def parse_inputs(pairs: list[str], document: str | None, policy: Policy) -> dict[str, Any]:
    """Return the inputs of a prediction from ``field=value`` pairs or one JSON object.

    A value is text when the field's type is string, JSON otherwise.

    Raises:
        UsageError: neither form, or a value that is not JSON.
    """
    if document is not None:
        try:
            value = json.loads(document)
        except ValueError as error:
            raise UsageError(f"the input is not JSON: {error}", hint=_INPUT_HINT) from None
        if not isinstance(value, dict):
            raise UsageError("the input must be one JSON object", hint=_INPUT_HINT)
        return value
    properties = policy.signature.input_schema.get("properties", {})
    inputs: dict[str, Any] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator:
            raise UsageError(f"{pair!r} is not field=value", hint=_INPUT_HINT)
        if properties.get(name, {}).get("type", "string") == "string":
            inputs[name] = text
            continue
        try:
            inputs[name] = json.loads(text)
        except ValueError:
            raise UsageError(f"{name}: {text!r} is not JSON", hint=_INPUT_HINT) from None
    return inputs


def example_command(name: str, policy: Policy) -> str:
    """Return a command that predicts one input, with the fields of the signature."""
    schema = policy.signature.input_schema
    fields: dict[str, Any] = schema.get("properties", {})
    required: list[str] = list(schema.get("required", fields))
    types = {field: fields.get(field, {}).get("type", "string") for field in required}
    shown = {field: _EXAMPLES.get(str(kind)) for field, kind in types.items()}
    if not shown or None in shown.values():
        return f"dse predict {name} --input - < input.json"
    return f"dse predict {name} " + " ".join(f"{field}={value}" for field, value in shown.items())
