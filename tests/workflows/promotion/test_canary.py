"""A canary from its gate to its end: routed, counted, stopped by itself, promoted or not."""

from __future__ import annotations

import asyncio
import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dse_cli.contracts.channel import CanaryStop, ChannelCounts
from dse_cli.contracts.errors import ProviderError, StaleError, UsageError
from dse_cli.contracts.lm import LmRequest, LmResponse, Usage
from dse_cli.lm.layer import Layer
from dse_cli.project.project import Project
from dse_cli.registry.canary import read_canary
from dse_cli.registry.history import read_history
from dse_cli.registry.pointer import read_active
from dse_cli.registry.served import ServedCounts
from dse_cli.report.channel_text import counts_text
from dse_cli.workflows.checks.canary_checks import canary_findings
from dse_cli.workflows.policies import find_policy
from dse_cli.workflows.promotion.canary import (
    CanaryPlan,
    canary_status,
    plan_canary,
    start_canary_policy,
    stop_canary_policy,
)
from dse_cli.workflows.promotion.canary_promotion import (
    CanaryPromotion,
    CanaryRefusedError,
    promote_canary,
    worse_p,
)
from dse_cli.workflows.promotion.channels import channel_notes, channels_of
from dse_cli.workflows.promotion.look import PLAIN_TERMS, GateTerms
from dse_cli.workflows.promotion.promote import Promotion, promote_policy
from dse_cli.workflows.serving.predict import ServedPolicy
from tests.lm.calls import RealTransport
from tests.workflows.desk import (
    NAME,
    as_model,
    compile_it,
    edit,
    inputs_of,
    make_project,
    options,
    real,
    scripted,
    tree,
)

DULL = RealTransport(lambda request: replace(as_model(request), text='{"queue":"other"}'))
HALF = CanaryPlan(50, stop=CanaryStop(min_samples=4, max_error_rate=0.25))


def begin(
    project: Project,
    plan: CanaryPlan = HALF,
    terms: GateTerms = PLAIN_TERMS,
    transport: Layer | None = None,
) -> Promotion:
    artifact = compile_it(project, real()).artifact_name
    inputs = inputs_of(project)
    run = options(transport or real())
    return asyncio.run(start_canary_policy(inputs, artifact, plan, run, terms))


def serve(
    project: Project, transport: Layer, requests: int, **how: Any
) -> list[tuple[str, dict[str, Any] | None]]:
    """Predict with keys user-0, user-1, ...; return channel and output of each."""

    async def go() -> list[tuple[str, dict[str, Any] | None]]:
        opened = Project.open(root=project.root)
        served = ServedPolicy(opened, NAME, options(transport), **how)
        found: list[tuple[str, dict[str, Any] | None]] = []
        for number in range(requests):
            done = await served.serve({"ticket": "a note for [billing]"}, key=f"user-{number}")
            found.append((done.route.channel, done.prediction.output))
        await served.aclose()
        return found

    return asyncio.run(go())


def failing(error: Callable[[], Any]) -> RealTransport:
    """Answer like the model, but not what the canary asks, which mentions brackets."""
    return RealTransport(
        lambda request: error() if "brackets" in request.messages[0].content else as_model(request)
    )


def status(project: Project) -> ServedCounts:
    found = canary_status(project, inputs_of(project).store)
    assert found is not None
    return found.counts


def receipts(project: Project) -> list[dict[str, Any]]:
    path = project.paths.predictions / f"{NAME}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_canary_starts_through_the_gate_and_the_active_policy_stays(project: Project) -> None:
    begun = begin(project)
    assert begun.moved
    assert begun.evidence.look == 1
    store = inputs_of(project).store
    pointer = read_canary(store)
    assert pointer is not None
    assert pointer.baseline == inputs_of(project).base.id
    assert read_active(store) is None
    record = read_history(store)[-1]
    assert (record.channel, record.event, record.override) == ("canary", "promote", None)
    assert canary_findings(project, NAME) == []


def test_the_salt_follows_from_policy_and_history(project: Project, tmp_path) -> None:
    again = make_project(tmp_path / "again")
    one, other = begin(project).record, begin(again).record
    assert one.canary is not None
    assert other.canary is not None
    assert one.canary.salt == other.canary.salt


def test_a_gate_that_says_no_starts_nothing_and_is_a_look(project: Project) -> None:
    dull = RealTransport(lambda request: replace(as_model(request), text='{"queue":"other"}'))
    begun = begin(project, transport=dull)
    assert not begun.moved
    store = inputs_of(project).store
    assert read_canary(store) is None
    assert [(r.event, r.channel) for r in read_history(store)] == [("refuse", "canary")]
    begun = begin(project, terms=GateTerms(override="we must know"), transport=dull)
    assert (begun.moved, begun.record.override, begun.record.reason) == (True, True, "we must know")


def test_a_scripted_gate_starts_nothing_and_is_a_look(project: Project) -> None:
    with pytest.raises(UsageError, match="scripted"):
        begin(project, transport=scripted())
    (record,) = read_history(inputs_of(project).store)
    assert (record.event, record.channel) == ("refuse", "canary")
    assert record.gate is not None


def test_a_second_canary_and_a_salt_that_was_used_are_refused_before_a_look(
    project: Project,
) -> None:
    begin(project, replace(HALF, salt="mine"))
    with pytest.raises(UsageError, match="runs already"):
        begin(project)
    stop_canary_policy(project, inputs_of(project).store, reason="no")
    with pytest.raises(UsageError, match="the salt 'mine' was used by record 1"):
        begin(project, replace(HALF, salt="mine"))
    assert len(read_history(inputs_of(project).store)) == 2


def test_receipts_of_a_start_that_git_undid_are_not_the_new_canarys(project: Project) -> None:
    artifact = compile_it(project, real()).artifact_name
    undone = project.root / f"artifacts/{NAME}/history"

    def start(salt: str | None = None) -> None:
        plan = replace(HALF, salt=salt)
        asyncio.run(start_canary_policy(inputs_of(project), artifact, plan, options(real())))

    def undo() -> None:
        (project.root / f"artifacts/{NAME}/canary.yaml").unlink()
        shutil.rmtree(undone)

    start()
    serve(project, real(), 8)
    assert counted(project).canary.samples > 0
    undo()
    start()
    assert counted(project) == ServedCounts(ChannelCounts(), ChannelCounts(), None)
    undo()
    start("mine")
    serve(project, real(), 8)
    undo()
    with pytest.raises(UsageError, match="carry the salt 'mine' already"):
        start("mine")


def counted(project: Project) -> ServedCounts:
    inputs = inputs_of(project)
    status = canary_status(inputs.project, inputs.store)
    assert status is not None
    return status.counts


@pytest.mark.parametrize("percent", [0, -1, 100.5, 12.345, float("nan")])
def test_a_share_that_is_none_is_refused(percent: float) -> None:
    with pytest.raises(UsageError, match="not a share"):
        CanaryPlan(percent)


def test_each_key_has_one_policy_and_receipts_say_which(project: Project) -> None:
    begin(project)
    first, second = serve(project, real(), 40), serve(project, real(), 40)
    assert first == second
    channels = [channel for channel, _ in first]
    assert 8 < channels.count("canary") < 32
    assert all(output == {"queue": "billing"} for channel, output in first if channel == "canary")
    assert all(output == {"queue": "other"} for channel, output in first if channel == "active")
    found = receipts(project)
    assert {receipt["channel"] for receipt in found} == {"active", "canary"}
    assert len({receipt["canary"] for receipt in found}) == 1
    assert len({receipt["routing_key"] for receipt in found}) == 40
    assert "user-7" not in json.dumps(found)
    counts = status(project)
    assert counts.canary.ok == 2 * channels.count("canary")
    assert counts.active.ok == 2 * channels.count("active")


def test_without_a_key_the_input_decides(project: Project) -> None:
    begin(project)

    async def go() -> list[str]:
        served = ServedPolicy(Project.open(root=project.root), NAME, options(real()))
        channels: list[str] = []
        for number in [*range(20), *range(20)]:
            done = await served.serve({"ticket": f"note {number} for [other]"})
            channels.append(done.route.channel)
        await served.aclose()
        return channels

    channels = asyncio.run(go())
    assert channels[:20] == channels[20:]
    assert set(channels) == {"active", "canary"}
    for receipt in receipts(project):
        assert receipt["routing_key"] != receipt["input_hash"]


def test_a_named_policy_is_served_beside_the_canary_and_not_counted(project: Project) -> None:
    begun = begin(project)
    assert begun.candidate.ref.artifact is not None
    serve(project, real(), 3, word="default")
    serve(project, real(), 3, word=begun.candidate.ref.artifact)
    found = receipts(project)
    assert [receipt["channel"] for receipt in found] == ["default"] * 3 + ["explicit"] * 3
    assert all("canary" not in receipt for receipt in found)
    assert status(project).canary.samples == 0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (lambda: ProviderError("down"), "provider"),
        (lambda: LmResponse("no idea", "stop", "desk-1", Usage(5, 2, 0)), "decode"),
    ],
)
def test_a_canary_with_too_many_errors_gets_no_more_requests(
    project: Project, error: Callable[[], Any], kind: str
) -> None:
    begin(project)
    before = tree(project)
    told: list[str] = []
    channels = [c for c, _ in serve(project, failing(error), 40, warn=told.append)]
    assert channels.count("canary") == 4
    assert len(told) == 1
    assert "4 errors in 4 samples" in told[0]
    assert "dse rollback route --channel canary" in told[0]
    assert tree(project) == before, "nothing is written into artifacts while serving"
    # Another process decides the same from the receipts, good answers or not.
    assert {c for c, _ in serve(project, real(), 20, warn=told.append)} == {"active"}
    assert len(told) == 2
    counts = status(project)
    assert counts.tripped == ChannelCounts(**{kind: 4})
    (finding,) = canary_findings(project, NAME)
    assert (finding.code, finding.severity) == ("canary-tripped", "warning")
    with pytest.raises(CanaryRefusedError, match="it was stopped at 4 errors in 4 samples"):
        promote_canary(inputs_of(project))


def test_the_library_warns_in_pythons_way(project: Project) -> None:
    begin(project)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        serve(project, failing(lambda: ProviderError("down")), 30)
    assert [str(w.message)[:34] for w in caught if w.category is RuntimeWarning] == [
        "the canary of route gets no more r"
    ]


def test_a_cancelled_prediction_is_neither_a_sample_nor_an_error(project: Project) -> None:
    begin(project, CanaryPlan(100, stop=HALF.stop))

    async def go() -> None:
        reached = asyncio.Event()

        class Hanging(RealTransport):
            async def complete(self, request: LmRequest) -> LmResponse:
                reached.set()
                await asyncio.Event().wait()
                return await super().complete(request)

        served = ServedPolicy(Project.open(root=project.root), NAME, options(Hanging(as_model)))
        task = asyncio.create_task(served.predict({"ticket": "a [other]"}))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await served.aclose()

    asyncio.run(go())
    counts = status(project).canary
    assert (counts.cancelled, counts.samples, counts.errors) == (1, 0, 0)


def test_a_canary_becomes_active_by_its_receipts_without_a_look(project: Project) -> None:
    begun = begin(project)
    serve(project, real(), 40)
    transport = real()
    done: CanaryPromotion = promote_canary(inputs_of(project))
    assert transport.requests == []
    store = inputs_of(project).store
    active = read_active(store)
    assert active is not None
    assert active.compiled_id == begun.candidate.ref.compiled_id
    assert read_canary(store) is None
    record = read_history(store)[-1]
    assert (record.gate, record.channel) == (None, "active")
    assert record.canary is not None
    assert record.canary.counts == done.counts.canary
    assert record.canary.started is not None
    assert {channel for channel, _ in serve(project, real(), 10)} == {"active"}


def test_it_says_how_many_samples_are_missing(project: Project) -> None:
    begin(project, CanaryPlan(100, stop=HALF.stop))
    with pytest.raises(CanaryRefusedError, match="4 more samples needed: it has 0 of 4"):
        promote_canary(inputs_of(project))
    serve(project, real(), 3)
    with pytest.raises(CanaryRefusedError, match="1 more sample needed: it has 3 of 4"):
        promote_canary(inputs_of(project))
    serve(project, real(), 1)
    promote_canary(inputs_of(project))


def test_it_must_not_err_more_often_than_the_active_policy(project: Project) -> None:
    begin(project, CanaryPlan(50, stop=CanaryStop(min_samples=4, max_error_rate=1.0)))
    serve(project, failing(lambda: ProviderError("down")), 12)
    assert status(project).tripped is None
    with pytest.raises(CanaryRefusedError, match="errs more often than the active policy"):
        promote_canary(inputs_of(project))
    assert worse_p(status(project)) < 0.05


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("datasets/tickets/rows.jsonl", "holdout note 3", "holdout note three", "holdout changed"),
        (f"signatures/{NAME}/compile.yaml", "weight: 1.0", "weight: 0.5", "reward changed"),
        (f"signatures/{NAME}/compile.yaml", "seed: 7", "seed: 8", ""),
    ],
)
def test_evidence_that_grew_stale_is_refused(
    project: Project, file: str, old: str, new: str, message: str
) -> None:
    begin(project)
    serve(project, real(), 40)
    if "weight" in old:
        edit(project, file, "    weight: 1.0", "    weight: 0.5\n  - format_validity: 0.5")
    else:
        edit(project, file, old, new)
    if not message:
        promote_canary(inputs_of(project))
        return
    with pytest.raises(CanaryRefusedError, match=message) as caught:
        promote_canary(inputs_of(project))
    assert "run the gate again by 'dse promote route " in str(caught.value.hint)


def test_another_active_policy_makes_the_evidence_stale(project: Project) -> None:
    begun = begin(project)
    serve(project, real(), 40)
    assert begun.candidate.ref.artifact is not None
    inputs = inputs_of(project)
    asyncio.run(promote_policy(inputs, begun.candidate.ref.artifact, options(real())))
    with pytest.raises(CanaryRefusedError, match="it was measured against"):
        promote_canary(inputs_of(project))
    assert [f.code for f in canary_findings(project, NAME)] == ["canary-baseline"]


def test_a_changed_signature_stops_serving_and_promoting(project: Project) -> None:
    begin(project)
    edit(project, f"signatures/{NAME}/signature.yaml", "You route", "You sort")
    with pytest.raises(StaleError, match="the canary of route is stale"):
        serve(project, real(), 1)
    with pytest.raises(StaleError):
        promote_canary(inputs_of(project))
    assert "stale" in [f.code for f in canary_findings(project, NAME)]


def test_stopping_it_records_what_it_did(project: Project) -> None:
    begin(project)
    serve(project, real(), 20)
    counts = status(project)
    store = inputs_of(project).store
    record = stop_canary_policy(project, store, reason="too chatty")
    assert (record.event, record.channel, record.reason) == ("rollback", "canary", "too chatty")
    assert record.canary is not None
    assert record.canary.counts == counts.canary
    assert record.canary.active_counts == counts.active
    with pytest.raises(UsageError, match="no canary of route runs"):
        stop_canary_policy(project, store, reason="again")


def test_an_edited_canary_is_found_by_the_check(project: Project) -> None:
    begin(project)
    path = f"artifacts/{NAME}/canary.yaml"
    edit(project, path, "percent: 50", "percent: 90")
    (finding,) = [f for f in canary_findings(project, NAME) if f.severity == "error"]
    assert (finding.code, finding.outcome, finding.file) == ("pointer-history", "altered", path)
    edit(project, path, "percent: 90", "percent: 50 # half")
    assert [f.code for f in canary_findings(project, NAME)] == ["active-formatting"]


def test_a_plan_refuses_what_the_start_would_refuse(project: Project) -> None:
    name = compile_it(project, real()).artifact_name
    assert plan_canary(inputs_of(project), name, HALF).look == 1
    begin(project)
    with pytest.raises(UsageError, match="a canary of route runs already"):
        plan_canary(inputs_of(project), name, HALF)


def test_show_says_what_both_channels_did_and_each_label_once(project: Project) -> None:
    begin(project)
    serve(project, real(), 10)
    inputs = inputs_of(project)
    active = find_policy(inputs.store, inputs.signature, inputs.base, "active")
    canary, beside = channel_notes(project, inputs.store, active).lines
    counts = status(project)
    assert canary.count("canary") == 1
    assert canary.endswith(f"50 %: {counts_text(counts.canary)}")
    assert beside == f"active      {counts_text(counts.active)}, since the canary began"
    assert channels_of(project, inputs.store).canary.startswith("canary ")


def test_the_file_says_the_whole_command_that_made_it(project: Project) -> None:
    begin(project, terms=GateTerms(override="agreed\nwith Ada"), transport=DULL)
    store = inputs_of(project).store
    made_by = store.canary_file.read_text().splitlines()[1]
    assert made_by.startswith("# made by: dse promote route ")
    assert made_by.endswith(
        ' --percent 50 --min-samples 4 --max-error-rate 0.25 --override "agreed\\nwith Ada"'
    )
    assert canary_findings(project, NAME) == []


def test_an_edited_share_is_one_error_and_no_word_of_formatting(project: Project) -> None:
    begin(project)
    edit(project, f"artifacts/{NAME}/canary.yaml", "percent: 50", "percent: 60")
    found = canary_findings(project, NAME)
    assert [(one.code, one.severity) for one in found] == [("pointer-history", "error")]


def test_the_active_policy_is_no_canary_and_the_hint_says_what_else(project: Project) -> None:
    name = compile_it(project, real()).artifact_name
    assert asyncio.run(promote_policy(inputs_of(project), name, options(real()))).moved
    with pytest.raises(UsageError, match="the candidate is the active policy") as caught:
        asyncio.run(start_canary_policy(inputs_of(project), name, HALF, options(real())))
    assert "'dse list route' shows them" in str(caught.value.hint)
