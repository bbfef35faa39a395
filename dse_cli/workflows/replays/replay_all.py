"""``dse replay --all``: every receipt of a project, one after the other, to the end.

A receipt behind the active pointer must replay as asked. Any other receipt whose inputs are no
longer in the tree is an old run: it can not be derived again here, so its hashes are verified and
that is said. So is that of an active policy that a gate measured again on the rows of now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from dse_cli import __version__
from dse_cli.contracts.errors import (
    AlteredError,
    CodeNotAllowedError,
    DivergenceError,
    DseError,
    ExitCode,
    NothingSelectedError,
    StaleError,
    UsageError,
)
from dse_cli.registry.canary import read_canary
from dse_cli.registry.pointer import read_active
from dse_cli.registry.receipts import list_runs, read_receipt, run_of_artifact
from dse_cli.registry.store import SignatureStore, file_names
from dse_cli.workflows.checks.stale import measured_again
from dse_cli.workflows.replays.replay import replay_strict, verify_run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from dse_cli.project.project import Project
    from dse_cli.workflows.replays.replay import ReplayReport
    from dse_cli.workflows.session import RunOptions

#: What can be done with every receipt: neither calls a model.
AllMode = Literal["strict", "verify"]

_GRAVEST: Final = (
    ExitCode.BUG,
    ExitCode.INTEGRITY,
    ExitCode.USAGE,
    ExitCode.INFRASTRUCTURE,
    ExitCode.NOTHING_SELECTED,
    ExitCode.QUALITY,
)


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt to replay.

    Attributes:
        signature: folder of its signature.
        run: 12 hex digits.
        serves: its artifact is the active policy, or the canary.
    """

    signature: str
    run: str
    serves: bool


@dataclass(frozen=True)
class Replayed:
    """How the replay of one receipt ended.

    Attributes:
        receipt: which one.
        report: what was found, None for an error.
        note: why it was only verified, or None.
        error: why it does not replay, or None.
    """

    receipt: Receipt
    report: ReplayReport | None
    note: str | None = None
    error: DseError | None = None

    @property
    def outcome(self) -> str:
        """``replayed``, ``verified``, or the word of the error."""
        if self.error is not None:
            return self.error.outcome
        return "verified" if self.report is None or self.report.mode == "verify" else "replayed"

    @property
    def code(self) -> ExitCode:
        return ExitCode.DONE if self.error is None else self.error.exit_code


def all_receipts(project: Project, name: str | None = None) -> list[Receipt]:
    """Return the receipts of a project or of one signature, by signature and run.

    Raises:
        UsageError: ``name`` means no signature.
        NothingSelectedError: the named signature has no receipt.
    """
    names = file_names(project.paths.artifacts)
    if name is not None:
        names = [project.resolve_signature(name)]
    found: list[Receipt] = []
    for folder in names:
        store = SignatureStore(project.paths.artifact(folder), project.paths.locks)
        if store.folder.is_dir():
            serving = _serving(store)
            found += [Receipt(folder, run, run in serving) for run in list_runs(store)]
    if name is not None and not found:
        raise NothingSelectedError(
            f"{names[0]} has no receipt", hint=f"'dse compile {names[0]}' writes one"
        )
    return found


async def replay_receipts(
    project: Project, receipts: Sequence[Receipt], mode: AllMode, options: RunOptions
) -> AsyncIterator[Replayed]:
    """Replay one receipt after the other; an error is a result, and the next one follows."""
    for receipt in receipts:
        try:
            yield await _replay(project, receipt, mode, options)
        except DseError as error:
            yield Replayed(receipt, None, error=error)


def gravest_code(results: Sequence[Replayed]) -> ExitCode:
    """Return the exit code of the gravest result."""
    codes = {result.code for result in results}
    return next((code for code in _GRAVEST if code in codes), ExitCode.DONE)


async def _replay(
    project: Project, receipt: Receipt, mode: AllMode, options: RunOptions
) -> Replayed:
    written = f"{receipt.signature}/{receipt.run}"
    if mode == "verify":
        return Replayed(receipt, verify_run(project, written))
    try:
        return Replayed(receipt, await replay_strict(project, written, options))
    except CodeNotAllowedError:
        note = "its Python metrics may not run here, verified only: --allow-code derives it again"
        return Replayed(receipt, verify_run(project, written), note)
    except (StaleError, UsageError) as error:
        # A usage error is about the inputs too: the job, or the signature, is no longer there.
        if receipt.serves and not measured_again(project, _store(project, receipt)):
            raise
        note = f"stale, verified only: {error.message}"
        return Replayed(receipt, verify_run(project, written), note)
    except (AlteredError, DivergenceError):
        version = _other_version(project, receipt)
        if receipt.serves or version is None:
            raise
        note = f"made by dse {version}, verified only"
        return Replayed(receipt, verify_run(project, written), note)


def _serving(store: SignatureStore) -> frozenset[str]:
    """Return the runs behind the pointers of a store; none when the pointer cannot be read."""
    try:
        pointers = [read_active(store), read_canary(store)]
    except DseError:
        return frozenset()  # 'dse check' says what is wrong with it
    runs = [run_of_artifact(pointer.artifact) for pointer in pointers if pointer]
    return frozenset(run for run in runs if run)


def _store(project: Project, receipt: Receipt) -> SignatureStore:
    return SignatureStore(project.paths.artifact(receipt.signature), project.paths.locks)


def _other_version(project: Project, receipt: Receipt) -> str | None:
    """Return the version of dse that made a run, None when it is this one or not known."""
    try:
        found = read_receipt(_store(project, receipt), receipt.run)
    except DseError:
        return None
    version = found.predicate.runDetails.builder.get("dse")
    return None if version == __version__ else version
