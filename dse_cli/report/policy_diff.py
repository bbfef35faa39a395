"""What changed between two policies: instruction, demos, parameters, results row by row, cost.

Pure data in, pure data out; :mod:`dse_cli.report.policy_diff_text` draws it for people.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher, unified_diff
from typing import TYPE_CHECKING, Any, Final, Literal

from dse_cli.canonical import short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dse_cli.contracts.evaluation import EvalSummary
    from dse_cli.contracts.prompt_ir import Demo
    from dse_cli.runtime.policy import Policy

_CONTEXT: Final = 3  #: unchanged lines around a change of the instruction
_SHOWN_APART: Final = frozenset({"instruction", "few_shot"})


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A policy with nothing left open: what the model is told, whoever decided it.

    Attributes:
        label: what to call it (``active``, ``9b1c3a``).
        compiled_id: its id.
        instruction: the text in force, compiled or authored.
        demos: the demos in force, in the order in which they are shown.
        parameters: every other param by its dotted path (``model.temperature``).
        hashes: of the contract that it was compiled against.
        evaluation: a result to compare, or None.
    """

    label: str
    compiled_id: str
    instruction: str
    demos: tuple[Demo, ...]
    parameters: dict[str, Any]
    hashes: dict[str, str]
    evaluation: EvalSummary | None = None


@dataclass(frozen=True, slots=True)
class DemoChange:
    """A demo that is in one policy only, moved, or has other content under its id.

    Attributes:
        before, after: place in the order, from 1; None where it is absent.
        demo: its content in the newer policy that has it.
    """

    kind: Literal["added", "removed", "moved", "changed"]
    id: str
    before: int | None
    after: int | None
    demo: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """A parameter by its dotted path; ``set_before`` tells absent from null."""

    path: str
    before: Any
    after: Any
    set_before: bool
    set_after: bool


@dataclass(frozen=True, slots=True)
class RowChange:
    """The reward of one example in both policies; None is an outage, never a zero."""

    id: str
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class RowComparison:
    """Two results on the same rows with the same reward.

    Attributes:
        split: their split.
        wins, losses: rows where the second policy scored more, less; by id.
        ties: how many rows scored the same.
        unscored: rows that an outage left without a score in either result.
    """

    split: str
    wins: tuple[RowChange, ...]
    losses: tuple[RowChange, ...]
    ties: int
    unscored: tuple[RowChange, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of both results; None is unknown.

    Attributes:
        name: ``mean``, ``prompt_tokens``, ``completion_tokens``, ``lm_calls``, ``repairs`` or
            ``cost_nano_usd``; all but the mean are totals over the evaluation, as charged.
    """

    name: str
    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True)
class PolicyDiff:
    """Everything that differs from the first policy to the second.

    Attributes:
        contract: which hashes of the contract differ (``input_schema``, ...).
        instruction: lines of a unified diff, without the file header; empty when equal.
        demo_counts: number of demos before and after.
        rows: None when there are not two results that can be compared; ``rows_note`` says why.
        measures: empty exactly when ``rows`` is None.
    """

    before: str
    after: str
    before_id: str
    after_id: str
    contract: tuple[str, ...]
    instruction: tuple[str, ...]
    demos: tuple[DemoChange, ...]
    demo_counts: tuple[int, int]
    parameters: tuple[ParameterChange, ...]
    rows: RowComparison | None
    rows_note: str
    measures: tuple[Measure, ...]

    @property
    def same_policy(self) -> bool:
        """Whether both are one policy: nothing that decides behaviour differs."""
        return self.before_id == self.after_id

    def to_json(self) -> dict[str, Any]:
        """Return the diff as JSON, for ``--json``."""
        return {**asdict(self), "same_policy": self.same_policy}


def view_policy(
    label: str,
    policy: Policy,
    *,
    evaluation: EvalSummary | None = None,
    compiled_id: str | None = None,
    hashes: Mapping[str, str] | None = None,
) -> PolicyView:
    """Return a policy as this module compares it.

    Args:
        compiled_id, hashes: of an artifact that was compiled against an older signature; those of
            the policy itself when absent.
    """
    stated = policy.hashes if hashes is None else hashes
    return PolicyView(
        label=label,
        compiled_id=compiled_id or policy.id,
        instruction=policy.instruction,
        demos=policy.demos,
        parameters=_flat(
            {k: v for k, v in policy.params.to_json().items() if k not in _SHOWN_APART}
            | _selector(policy)
        ),
        hashes={part: digest for part, digest in stated.items() if part != "params"},
        evaluation=evaluation,
    )


def _selector(policy: Policy) -> dict[str, Any]:
    """Return what chooses among the demos: a parameter, unlike the demos themselves."""
    if policy.selector is None:
        return {}
    return {"few_shot": {"selector": policy.selector.to_json()}}


def diff_policies(before: PolicyView, after: PolicyView) -> PolicyDiff:
    """Return what changed from one policy to the other."""
    rows, note = _compare_rows(before.evaluation, after.evaluation)
    return PolicyDiff(
        before=before.label,
        after=after.label,
        before_id=before.compiled_id,
        after_id=after.compiled_id,
        contract=tuple(
            part
            for part in sorted({*before.hashes, *after.hashes})
            if before.hashes.get(part) != after.hashes.get(part)
        ),
        instruction=_text_diff(before.instruction, after.instruction),
        demos=tuple(_demo_changes(before.demos, after.demos)),
        demo_counts=(len(before.demos), len(after.demos)),
        parameters=tuple(_parameter_changes(before.parameters, after.parameters)),
        rows=rows,
        rows_note=note,
        measures=_measures(before.evaluation, after.evaluation) if rows else (),
    )


def _text_diff(before: str, after: str) -> tuple[str, ...]:
    if before == after:
        return ()
    # Only LF ends a line of a prompt; splitlines() would also split at U+2028 and form feeds.
    lines = unified_diff(before.split("\n"), after.split("\n"), n=_CONTEXT, lineterm="")
    return tuple(lines)[2:]


def _demo_changes(before: Sequence[Demo], after: Sequence[Demo]) -> list[DemoChange]:
    old, new = _by_id(before), _by_id(after)
    stayed = _in_order([key for key in old if key in new], [key for key in new if key in old])
    changes: list[DemoChange] = []
    for key, (place, demo) in old.items():
        if key not in new:
            changes.append(DemoChange("removed", key[0], place, None, demo.to_json()))
    for key, (place, demo) in new.items():
        if key not in old:
            changes.append(DemoChange("added", key[0], None, place, demo.to_json()))
            continue
        was, old_demo = old[key]
        if old_demo.to_json() != demo.to_json():
            changes.append(DemoChange("changed", key[0], was, place, demo.to_json()))
        if key not in stayed:
            changes.append(DemoChange("moved", key[0], was, place, demo.to_json()))
    return changes


def _by_id(demos: Sequence[Demo]) -> dict[tuple[str, int], tuple[int, Demo]]:
    """Return place (from 1) and demo by id and how often that id came before."""
    seen: Counter[str] = Counter()
    placed: dict[tuple[str, int], tuple[int, Demo]] = {}
    for place, demo in enumerate(demos, start=1):
        placed[demo.id, seen[demo.id]] = (place, demo)
        seen[demo.id] += 1
    return placed


def _in_order(old: list[tuple[str, int]], new: list[tuple[str, int]]) -> set[tuple[str, int]]:
    """Return the demos that kept their order; the others are the ones that moved."""
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    return {
        key
        for block in matcher.get_matching_blocks()
        for key in old[block.a : block.a + block.size]
    }


def _parameter_changes(before: dict[str, Any], after: dict[str, Any]) -> list[ParameterChange]:
    return [
        ParameterChange(path, before.get(path), after.get(path), path in before, path in after)
        for path in sorted({*before, *after})
        if (path in before) != (path in after) or before[path] != after[path]
    ]


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= _flat(item, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = item
    return flat


def _compare_rows(
    before: EvalSummary | None, after: EvalSummary | None
) -> tuple[RowComparison | None, str]:
    if before is None or after is None:
        return None, "there are not two results to compare"
    for part in ("split", "split_hash", "reward_hash"):
        one, other = getattr(before, part), getattr(after, part)
        if one != other:
            words = part.removesuffix("_hash")
            return None, f"the results are of another {words}: {short(one)} and {short(other)}"
    if before.rows.keys() != after.rows.keys():
        return None, "the results are of different rows of the split"
    changes = [RowChange(row, before.rows[row], after.rows[row]) for row in sorted(before.rows)]
    scored = [
        (change, change.after - change.before)
        for change in changes
        if change.before is not None and change.after is not None
    ]
    return (
        RowComparison(
            split=before.split,
            wins=tuple(change for change, delta in scored if delta > 0),
            losses=tuple(change for change, delta in scored if delta < 0),
            ties=sum(1 for _, delta in scored if delta == 0),
            unscored=tuple(c for c in changes if c.before is None or c.after is None),
        ),
        "",
    )


def _measures(before: EvalSummary | None, after: EvalSummary | None) -> tuple[Measure, ...]:
    if before is None or after is None:
        return ()
    one, other = _numbers(before), _numbers(after)
    return tuple(Measure(name, one[name], other[name]) for name in one)


def _numbers(summary: EvalSummary) -> dict[str, float | None]:
    return {
        "mean": summary.mean,
        "prompt_tokens": summary.prompt_tokens,
        "completion_tokens": summary.completion_tokens,
        "lm_calls": summary.lm_calls,
        "repairs": summary.repairs,
        "cost_nano_usd": summary.cost.nano_usd if summary.cost.kind == "exact" else None,
    }
