"""``dse replay``: prove that an artifact is what its receipt says, or ask what would change.

``verify`` recomputes every hash. ``strict`` runs the optimizer again with the recorded responses
and no network, and compares the bytes. ``until-divergence`` serves the recorded responses until the
run asks something else, and goes on live from there: the price of a change is only what it changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.canonical import short
from dse_cli.contracts.errors import AlteredError, DivergenceError, DseError, StaleError
from dse_cli.lm.gateway import Replay
from dse_cli.lm.no_network import no_network
from dse_cli.lm.transcript import Transcript
from dse_cli.registry.json_text import json_file_bytes
from dse_cli.registry.receipts import FoundRun, LoadedRun, artifact_of_run, find_run, load_receipt
from dse_cli.workflows.compiles.compile_outputs import CompileOutputs, build_outputs, dependencies
from dse_cli.workflows.compiles.compile_search import SearchOutcome, run_search
from dse_cli.workflows.compiles.libraries import refuse_other_libraries
from dse_cli.workflows.inputs import JobInputs, load_inputs
from dse_cli.workflows.session import RunOptions, Session, open_session

if TYPE_CHECKING:
    from dse_cli.contracts.receipt import CompileReceipt
    from dse_cli.lm.gateway import Gateway
    from dse_cli.lm.replaying import ReplayMode
    from dse_cli.project.project import Project


@dataclass(frozen=True)
class ReplayReport:
    """What a replay found.

    Attributes:
        run: 12 hex digits.
        mode: how it was replayed.
        served: calls answered from the transcript.
        live: calls answered by a model (``until-divergence`` only).
        diverged_at: path of the first call that was not on record, or None.
        winner: compiled id that the replay arrived at, None for ``verify``.
        recorded: compiled id of the receipt.
    """

    run: str
    mode: str
    served: int
    live: int
    diverged_at: str | None
    winner: str | None
    recorded: str


def verify_run(project: Project, written: str) -> ReplayReport:
    """Recompute every hash of a run: receipt, transcript, artifact.

    Raises:
        UsageError: no run, or several, are meant.
        AlteredError: something is not what its hash says; names file and line.
    """
    found, loaded = _load(project, written)
    transcript = _transcript(found, loaded)
    return _report(found, loaded, "verify", served=len(transcript))


async def replay_strict(project: Project, written: str, options: RunOptions) -> ReplayReport:
    """Derive the artifact again from the recorded responses, with sockets blocked.

    Raises:
        DivergenceError: the run asked something that was not recorded, or left recorded calls
            unused; names the first in path order.
        AlteredError: the calls agree and the bytes do not.
        StaleError: the tree no longer holds the inputs of the run.
    """
    found, loaded = _load(project, written)
    refuse_other_libraries(loaded.receipt)
    transcript = _transcript(found, loaded)
    inputs = _inputs(project, found, loaded.receipt)
    _refuse_other_inputs(inputs, loaded.receipt)
    with no_network():
        replay = Replay(transcript, "strict")
        _, outputs = await _search_again(inputs, options, loaded.receipt, replay)
    _compare(found, loaded, outputs)
    return _report(
        found, loaded, "strict", served=len(transcript), winner=outputs.artifact.compiled_id
    )


async def replay_until_divergence(
    project: Project, written: str, options: RunOptions
) -> ReplayReport:
    """Run the job as it stands now, serving recorded responses while they match."""
    found, loaded = _load(project, written)
    transcript = _transcript(found, loaded)
    inputs = _inputs(project, found, loaded.receipt)
    session, outputs = await _search_again(
        inputs, options, loaded.receipt, Replay(transcript, "until-divergence")
    )
    replaying = session.gateway.replaying
    return _report(
        found,
        loaded,
        "until-divergence",
        served=0 if replaying is None else replaying.served,
        live=0 if replaying is None else replaying.live,
        diverged_at=None if replaying is None else replaying.diverged_at,
        winner=outputs.artifact.compiled_id,
    )


async def _search_again(
    inputs: JobInputs,
    options: RunOptions,
    receipt: CompileReceipt,
    replay: Replay,
) -> tuple[Session, CompileOutputs]:
    stop = receipt.predicate.result.stop_reason
    strict = replay.mode == "strict"
    stop_at = stop.batch if strict and stop.kind == "max_time_s" else None
    budget = inputs.job.budget
    if strict:
        # A time limit is a fact of the recorded run; the replay obeys its logical event instead.
        budget = budget.model_copy(update={"max_time_s": None})
    try:
        async with open_session(
            inputs.catalog,
            inputs.reward,
            options,
            seed=inputs.job.seed,
            judges=inputs.judges,
            budget=budget,
            replay=replay,
            stop_at=stop_at,
        ) as session:
            outcome = await run_search(inputs, session.engine)
            if strict:
                _raise_first_divergence(session.gateway)
    except DseError:
        # Cells run concurrently: the call that raised first is chance, the first in path order
        # is not.
        if strict:
            _raise_first_divergence(session.gateway)
        raise
    transcript = session.gateway.transcript.to_files()
    outcome = _with_recorded_stop(outcome, receipt, strict=strict)
    return session, build_outputs(inputs, outcome, transcript)


def _with_recorded_stop(
    outcome: SearchOutcome, receipt: CompileReceipt, *, strict: bool
) -> SearchOutcome:
    """Put the wording of a recorded time stop, which holds seconds, in place of the replay's."""
    recorded = receipt.predicate.result.stop_reason
    same = (outcome.stop_reason.kind, outcome.stop_reason.batch) == (recorded.kind, recorded.batch)
    if not strict or recorded.kind != "max_time_s" or not same:
        return outcome
    from dataclasses import replace

    return replace(outcome, stop_reason=recorded)


def _raise_first_divergence(gateway: Gateway) -> None:
    replaying = gateway.replaying
    if replaying is None:
        return
    first = replaying.first_divergence()
    if first is not None:
        raise first
    unused = replaying.unused()
    if unused:
        raise DivergenceError(
            f"replay diverged: the recorded call at {unused[0]} was never asked "
            f"({len(unused)} in all)",
            path=unused[0],
        )


def _load(project: Project, written: str) -> tuple[FoundRun, LoadedRun]:
    paths = project.paths
    found = find_run(paths.artifacts, written, lock_folder=paths.locks)
    return found, load_receipt(found.store, found.run)


def _transcript(found: FoundRun, loaded: LoadedRun) -> Transcript:
    return Transcript.from_files(
        loaded.calls, loaded.texts, found.store.shown(f"receipts/{found.run}")
    )


def _inputs(project: Project, found: FoundRun, receipt: CompileReceipt) -> JobInputs:
    chosen = receipt.predicate.buildDefinition.externalParameters
    variant, overrides = chosen.get("variant"), chosen.get("overrides")
    if (
        chosen.get("signature") != found.store.name
        or not isinstance(variant, str | None)
        or not isinstance(overrides, dict)
    ):
        raise AlteredError(
            f"{found.store.shown(f'receipts/{found.run}/receipt.json')}: externalParameters are "
            f"not those of a compile of {found.store.name}",
            hint="restore the receipt from git",
        )
    return load_inputs(project, found.store.name, variant=variant, overrides=overrides)


def _refuse_other_inputs(inputs: JobInputs, receipt: CompileReceipt) -> None:
    now = {resource.name: resource.digest.sha256 for resource in dependencies(inputs)}
    then = {
        resource.name: resource.digest.sha256
        for resource in receipt.predicate.buildDefinition.resolvedDependencies
    }
    changed = sorted(name for name in now.keys() | then.keys() if now.get(name) != then.get(name))
    if changed:
        raise StaleError(
            f"the tree no longer holds what this run read: {', '.join(changed)} changed",
            hint="check out the commit of the run, or use --mode until-divergence to see what "
            "the change does",
        )


def _compare(found: FoundRun, loaded: LoadedRun, outputs: CompileOutputs) -> None:
    name = artifact_of_run(found.store, found.run)
    recorded = (found.store.folder / name).read_bytes()
    if json_file_bytes(outputs.artifact.to_json()) != recorded:
        raise AlteredError(
            f"{found.store.shown(name)} is not what its responses give: another artifact, "
            f"{short(outputs.artifact.compiled_id)}, was derived",
            hint="the artifact was altered, or another version of dse made it",
        )
    if json_file_bytes(outputs.receipt.to_json()) != json_file_bytes(loaded.receipt.to_json()):
        raise AlteredError(
            f"{found.store.shown(f'receipts/{found.run}/receipt.json')} is not what its "
            "responses give",
            hint="the receipt was altered, or another version of dse made it",
        )


def _report(
    found: FoundRun,
    loaded: LoadedRun,
    mode: ReplayMode | str,
    *,
    served: int,
    live: int = 0,
    diverged_at: str | None = None,
    winner: str | None = None,
) -> ReplayReport:
    return ReplayReport(
        run=found.run,
        mode=mode,
        served=served,
        live=live,
        diverged_at=diverged_at,
        winner=winner,
        recorded=loaded.receipt.predicate.result.winner,
    )
