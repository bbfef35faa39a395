"""What ``dse check`` says of the evidence in a history: it has to follow from itself.

The chain guards every record but the last, on which nothing is built yet: an edit of it breaks no
link. What it says can be derived again, though: a promotion needs a verdict, the verdict numbers,
and the numbers the rewards of the rows. Whoever rewrites all of that consistently is left to git.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.errors import DseError
from dse_cli.contracts.project import GatePolicy
from dse_cli.evaluation.gate.non_inferiority import NonInferiorityFinding
from dse_cli.evaluation.gate.verdict import conclude
from dse_cli.evaluation.statistics.paired_test import look_level, paired_p, pairs_of
from dse_cli.registry.findings import as_altered
from dse_cli.registry.history import looks
from dse_cli.registry.history_chain import behind, read_chain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.contracts.history import GateEvidence, HistoryRecord
    from dse_cli.project.document import Loc
    from dse_cli.registry.store import SignatureStore

#: Recorded numbers have 12 decimals; a sampled p moves a little with the draws and their order.
_EXACT: Final = 1e-9
_SAMPLED: Final = 0.02

_Problem = tuple["Loc", str]


def gate_record_findings(store: SignatureStore) -> list[Diagnostic]:
    """Return every record whose evidence does not hold; a broken chain is said by who checks it."""
    try:
        chain = read_chain(store, forked=True)
    except DseError:
        return []
    ends = {loaded.digest for loaded in chain.ends}
    return [
        as_altered(loaded.document.diagnostic(loc, "history-evidence", message))
        for loaded in chain.records
        for loc, message in _problems(
            loaded.value, behind(chain, loaded)[:-1], is_end=loaded.digest in ends
        )
    ]


def _problems(
    record: HistoryRecord, before: Sequence[HistoryRecord], *, is_end: bool
) -> Iterator[_Problem]:
    gate = record.gate
    if record.override and not (record.reason or "").strip():
        yield ("override",), "an override without its reason"
    from_canary = record.channel == "active" and record.canary is not None
    if record.event == "promote" and not record.override and not from_canary:
        if gate is None:
            yield ("event",), "a promotion without a gate, and without an override"
        elif gate.verdict != "promote" or gate.candidate.scripted or gate.baseline.scripted:
            yield ("gate", "verdict"), "a promotion that its gate did not allow, and no override"
    if gate is not None:
        yield from _evidence_problems(gate, is_end=is_end)
        seen = looks(before, gate.split_hash)
        if gate.look > seen + 1 or (record.event != "refuse" and gate.look != seen + 1):
            said = f"look {gate.look} at a holdout of which {seen} looks are recorded before"
            yield ("gate", "look"), said


def _evidence_problems(gate: GateEvidence, *, is_end: bool) -> Iterator[_Problem]:
    ours, theirs = gate.candidate, gate.baseline
    if abs(gate.level - look_level(gate.alpha, gate.look)) > _EXACT:
        yield ("gate", "level"), f"this is not the level of look {gate.look}"
    if {ours.split_hash, theirs.split_hash} != {gate.split_hash}:
        yield ("gate", "split_hash"), "the rows of the gate are not those of its two summaries"
    if {ours.reward_hash, theirs.reward_hash} != {gate.reward_hash}:
        yield ("gate", "reward_hash"), "the reward of the gate is not that of its two summaries"
    for name, summary in (("candidate", ours), ("baseline", theirs)):
        rewards = [reward for reward in summary.rows.values() if reward is not None]
        if rewards and abs(sum(rewards) / len(rewards) - (summary.mean or 0.0)) > _EXACT:
            yield ("gate", name, "mean"), "this is not the mean of the rewards of the rows"
    if not _follows_from_rows(gate, is_end=is_end):
        yield ("gate", "comparison"), "these numbers do not follow from the rewards of the rows"
    if gate.verdict == "promote" and not _passes(gate):
        yield ("gate", "verdict"), "this verdict does not follow from the numbers"


def _follows_from_rows(gate: GateEvidence, *, is_end: bool) -> bool:
    found = gate.comparison
    pairs = pairs_of(gate.candidate.rows, gate.baseline.rows)
    if len(pairs.left) != found.n:
        # Pairs are groups, and which row is of which group stands in the dataset alone.
        return len(pairs.left) > found.n
    if not pairs.left:
        return True
    if abs(sum(pairs.differences) / found.n - found.delta) > _EXACT:
        return False
    is_sampled = found.test == "sign_flip_sampled"
    if is_sampled and not is_end:
        return True  # the chain guards it, and drawing again takes time
    p, _ = paired_p(pairs, gate.seed)
    return abs(p - found.p) <= (_SAMPLED if is_sampled else _EXACT)


def _passes(gate: GateEvidence) -> bool:
    policy = GatePolicy(alpha=gate.alpha, min_effect=gate.min_effect, margin=gate.margin)
    second = None
    if gate.mode == "non_inferiority":
        second = NonInferiorityFinding(gate.lower_bound, gate.saving)
    decision = conclude(
        gate.comparison, policy, gate.look, guards=gate.guards, non_inferiority=second
    )
    return decision.verdict == "promote"
