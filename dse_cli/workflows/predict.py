"""``dse predict``: one prediction through the active policy, with a receipt on every path."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dse_cli.canonical import sha256_of
from dse_cli.contracts.errors import UsageError
from dse_cli.contracts.receipt import PredictReceipt
from dse_cli.lm.catalog import ModelCatalog
from dse_cli.lm.gateway import build_gateway
from dse_cli.project.specs import load_signature
from dse_cli.registry.store import SignatureStore
from dse_cli.runtime.direct import DirectPredictor, check_input
from dse_cli.runtime.policy import authored_policy
from dse_cli.workflows.policies import NamedPolicy, find_policy

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.lm.gateway import Gateway
    from dse_cli.project.project import Project
    from dse_cli.runtime.policy import Policy
    from dse_cli.runtime.prediction import Prediction
    from dse_cli.workflows.session import RunOptions


class ServedPolicy:
    """A policy with its gateway, ready to predict; close it when done.

    Args:
        project: where the signature stands.
        name: signature.
        word: which policy, see :func:`~dse_cli.workflows.policies.find_policy`.
        options: cache and transport.

    Raises:
        AlteredError, StaleError: the pointer is dangling, altered or stale; nothing is served.
    """

    def __init__(
        self, project: Project, name: str, options: RunOptions, *, word: str = "active"
    ) -> None:
        loaded = load_signature(project, name)
        self.name = loaded.folder
        self.catalog = ModelCatalog(project.spec)
        store = SignatureStore(project.paths.artifact(loaded.folder), project.paths.locks)
        model = self.catalog.resolve(project.settings().default_model)
        authored = authored_policy(loaded.signature, model=model)
        self.named: NamedPolicy = find_policy(store, loaded.signature, authored, word)
        self._receipts = project.paths.predictions / f"{loaded.folder}.jsonl"
        self._options = options
        self._gateway: Gateway | None = None
        self._predictor: DirectPredictor | None = None
        self._count = 0

    @property
    def policy(self) -> Policy:
        return self.named.policy

    async def predict(self, inputs: Mapping[str, Any]) -> Prediction:
        """Predict one input and append a receipt, also when it fails or is cancelled.

        Raises:
            UsageError: the input does not fit; nothing was called.
        """
        check_input(self.policy, inputs)
        started, clock = datetime.now(UTC), time.monotonic()
        self._count += 1
        path = f"predict/{started.strftime('%Y%m%dT%H%M%S%f')}-{os.getpid()}-{self._count:06d}"
        prediction: Prediction | None = None
        failure = "cancelled"
        try:
            prediction = await self._ready().predict(inputs, path=path)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            failure = type(error).__name__
            raise
        finally:
            elapsed_ms = round((time.monotonic() - clock) * 1000)
            receipt = self._receipt(inputs, prediction, failure, started, elapsed_ms)
            append_receipt(self._receipts, receipt)
        return prediction

    async def aclose(self) -> None:
        """Close connections and the embedded server."""
        if self._gateway is not None:
            await self._gateway.aclose()
            self._gateway = self._predictor = None

    def _ready(self) -> DirectPredictor:
        if self._predictor is None:
            self._gateway = build_gateway(
                self.catalog,
                seed=0,
                transport=self._options.transport,
                cache_folder=self._options.cache,
            )
            self._predictor = DirectPredictor(self.policy, self._gateway, self.catalog.identify)
        return self._predictor

    def _receipt(
        self,
        inputs: Mapping[str, Any],
        prediction: Prediction | None,
        failure: str,
        started: datetime,
        elapsed_ms: int,
    ) -> PredictReceipt:
        policy, usage = self.policy, None if prediction is None else prediction.usage
        error = None if prediction is None else prediction.error
        result = failure if prediction is None else "ok" if error is None else error.kind
        return PredictReceipt(
            format="dse/predict_receipt/v1",
            signature_id=policy.signature.id,
            compiled_id=policy.id,
            hashes=policy.hashes,
            input_hash=sha256_of(dict(inputs)),
            output_hash=None if prediction is None else prediction.output_hash,
            model=policy.model("main").model or "",
            served_model="" if prediction is None else prediction.served_model,
            result=result,
            message=None if error is None else error.message,
            request_keys=() if prediction is None else prediction.request_keys,
            lm_calls=0 if usage is None else usage.lm_calls,
            repairs=0 if usage is None else usage.repairs,
            prompt_tokens=None if usage is None else usage.prompt_tokens,
            completion_tokens=None if usage is None else usage.completion_tokens,
            cost_nano_usd=None if usage is None else usage.cost_nano_usd,
            started_at=started.isoformat(),
            duration_ms=elapsed_ms,
        )


def append_receipt(path: Path, receipt: PredictReceipt) -> None:
    """Append one line in a single write, so that concurrent processes never mix lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(receipt.to_json(), ensure_ascii=False, sort_keys=True) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
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
            raise UsageError(f"the input is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise UsageError("the input must be one JSON object")
        return value
    properties = policy.signature.input_schema.get("properties", {})
    inputs: dict[str, Any] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator:
            raise UsageError(f"{pair!r} is not field=value", hint="or give JSON on standard input")
        if properties.get(name, {}).get("type", "string") == "string":
            inputs[name] = text
            continue
        try:
            inputs[name] = json.loads(text)
        except ValueError:
            raise UsageError(f"{name}: {text!r} is not JSON") from None
    return inputs
