from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from dse_cli.contracts.errors import (
    AlteredError,
    ModelUnavailableError,
    ProviderError,
    StaleError,
    UsageError,
)
from dse_cli.contracts.lm import LmRequest, LmResponse, Usage
from dse_cli.lm.layer import Layer
from dse_cli.project.project import Project
from dse_cli.runtime.prediction import Prediction
from dse_cli.workflows.promotion.promote import promote_policy
from dse_cli.workflows.serving.predict import ServedPolicy, example_command, parse_inputs
from tests.lm.calls import RealTransport
from tests.workflows.desk import (
    NAME,
    as_model,
    compile_it,
    edit,
    inputs_of,
    options,
    real,
)

TICKET = {"ticket": "a note for [billing]"}


def serve(project: Project, transport: Layer, **more: Any) -> ServedPolicy:
    return ServedPolicy(Project.open(root=project.root), NAME, options(transport), **more)


def predict(project: Project, transport: Layer, inputs: dict[str, Any] = TICKET) -> Prediction:
    async def go() -> Prediction:
        served = serve(project, transport)
        try:
            return await served.predict(inputs)
        finally:
            await served.aclose()

    return asyncio.run(go())


def receipts(project: Project) -> list[dict[str, Any]]:
    path = project.paths.predictions / f"{NAME}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def receipt(project: Project) -> dict[str, Any]:
    (only,) = receipts(project)
    return only


def says(text: str) -> RealTransport:
    return RealTransport(lambda _: LmResponse(text, "stop", "desk-1", Usage(5, 2, 3)))


def test_a_prediction_leaves_a_receipt_of_what_ran_on_what(project: Project) -> None:
    prediction = predict(project, real())
    assert prediction.output == {"queue": "other"}
    found = receipt(project)
    assert found["result"] == "ok"
    assert found["message"] is None
    assert found["output_hash"] == prediction.output_hash
    assert found["compiled_id"] == inputs_of(project).base.id
    assert (found["model"], found["served_model"]) == ("openai/desk", "desk-1")
    assert (found["lm_calls"], found["repairs"]) == (1, 0)
    assert found["request_keys"] == list(prediction.request_keys)
    assert found["completion_tokens"] == 4
    assert "billing" not in json.dumps(found), "inputs are named by hash"


def test_an_answer_that_does_not_decode_leaves_a_receipt(project: Project) -> None:
    prediction = predict(project, says("no idea"))
    assert prediction.output is None
    found = receipt(project)
    assert (found["result"], found["output_hash"]) == ("decode", None)
    assert "no idea" in found["message"]
    assert (found["lm_calls"], found["repairs"], found["prompt_tokens"]) == (2, 1, 10)


def test_an_error_of_the_provider_leaves_a_receipt_with_unknown_usage(project: Project) -> None:
    assert predict(project, RealTransport(lambda _: ProviderError("down"))).output is None
    found = receipt(project)
    assert (found["result"], found["message"], found["lm_calls"]) == ("provider", "down", 1)
    assert (found["prompt_tokens"], found["cost_nano_usd"]) == (None, None)


def test_what_is_raised_leaves_a_receipt_too(project: Project) -> None:
    with pytest.raises(ModelUnavailableError):
        predict(project, RealTransport(lambda _: ModelUnavailableError("no key")))
    assert receipt(project)["result"] == "ModelUnavailableError"
    assert receipt(project)["message"] == "no key"


@pytest.mark.parametrize("after", [0, 1])
def test_a_cancelled_prediction_leaves_a_receipt_of_the_calls_it_made(project, after) -> None:
    async def go() -> None:
        reached = asyncio.Event()

        class Hanging(RealTransport):
            async def complete(self, request: LmRequest) -> LmResponse:
                if len(self.requests) == after:
                    reached.set()
                    await asyncio.Event().wait()
                return await super().complete(request)

        served = serve(project, Hanging(lambda _: LmResponse("no", usage=Usage(5, 2, 3))))
        task = asyncio.create_task(served.predict(TICKET))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await served.aclose()

    asyncio.run(go())
    found = receipt(project)
    assert found["result"] == "cancelled"
    assert (found["lm_calls"], len(found["request_keys"])) == (after + 1, after)
    assert found["prompt_tokens"] is None


def test_an_input_that_does_not_fit_calls_nothing(project: Project) -> None:
    transport = real()
    for value in ({}, {"ticket": 1}, {"ticket": "x", "more": 1}, {"ticket": "\ud800"}):
        with pytest.raises(UsageError):
            predict(project, transport, value)
    assert transport.requests == []


def test_a_wrong_field_name_is_named_with_the_one_that_was_meant(project: Project) -> None:
    with pytest.raises(UsageError, match="has no input field 'tickt'") as refused:
        predict(project, says("{}"), {"tickt": "x"})
    assert refused.value.hint == "did you mean 'ticket'?"


def test_the_example_of_a_command_has_the_fields_of_the_signature(project: Project) -> None:
    served = serve(project, says("{}"))
    assert example_command(NAME, served.policy) == f"dse predict {NAME} ticket='...'"
    with pytest.raises(UsageError) as refused:
        parse_inputs(["ticket"], None, served.policy)
    assert "--input -" in (refused.value.hint or "")


def test_a_long_lived_process_does_not_keep_its_calls(project: Project) -> None:
    async def go() -> int:
        served = serve(project, real())
        for index in range(5):
            await served.predict({"ticket": f"note {index} for [other]"})
        gateway = served._gateway
        assert gateway is not None
        await served.aclose()
        return len(gateway.transcript)

    assert asyncio.run(go()) == 0
    assert len(receipts(project)) == 5


def test_a_receipt_behind_a_line_that_was_cut_off_is_not_lost_with_it(project: Project) -> None:
    predict(project, real())
    path = project.paths.predictions / f"{NAME}.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    predict(project, real())
    lines = path.read_text().splitlines()
    assert len(lines) == 2
    assert json.loads(lines[1])["result"] == "ok"


def test_predictions_at_the_same_time_have_receipts_of_their_own(project: Project) -> None:
    async def go() -> None:
        served = serve(project, real())
        await asyncio.gather(*(served.predict(TICKET) for _ in range(8)))
        await served.aclose()

    asyncio.run(go())
    assert [found["result"] for found in receipts(project)] == ["ok"] * 8


# --- which policy answers -----------------------------------------------------------------------


def promoted(project: Project) -> str:
    name = compile_it(project, real()).artifact_name
    word = name.removeprefix("compiled/").removesuffix(".json")
    asyncio.run(promote_policy(inputs_of(project), word, options(real())))
    return name


def test_the_active_policy_answers_once_one_is_promoted(project: Project) -> None:
    assert predict(project, real()).output == {"queue": "other"}
    promoted(project)
    assert predict(project, real()).output == {"queue": "billing"}
    first, second = receipts(project)
    assert first["compiled_id"] != second["compiled_id"]


def broken(project: Project, name: str, kind: str) -> None:
    if kind == "dangling":
        (project.root / f"artifacts/{NAME}/{name}").unlink()
    elif kind == "altered":
        edit(project, f"artifacts/{NAME}/{name}", "brackets", "Brackets")
    elif kind == "edited":
        edit(project, f"artifacts/{NAME}/active.yaml", "brackets", "Brackets")
    else:
        edit(project, f"signatures/{NAME}/signature.yaml", "You route", "You sort")


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("dangling", AlteredError),
        ("altered", AlteredError),
        ("edited", AlteredError),
        ("stale", StaleError),
    ],
)
def test_a_pointer_that_cannot_be_trusted_fails_closed(project, kind, error) -> None:
    broken(project, promoted(project), kind)
    transport = RealTransport(as_model)
    with pytest.raises(error):
        predict(project, transport)
    assert transport.requests == []
