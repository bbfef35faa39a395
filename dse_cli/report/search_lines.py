"""What a search did besides measuring candidates: proposals, demo sets, trials; as lines.

What a model wrote is shown as data: on a terminal on one printable line each, in Markdown as an
indented block, which nothing inside can end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from dse_cli.canonical import canonical_text, short
from dse_cli.report.plain import counted, one_line, points

if TYPE_CHECKING:
    from dse_cli.contracts.receipt import CompileResult
    from dse_cli.contracts.search_record import DemoSetRecord, ProposalRecord, TrialRecord

#: Outcomes of a question to the proposer, in the order in which they are counted, as words.
OUTCOMES: Final = {
    "used": "used",
    "duplicate": "duplicate",
    "junk": "junk",
    "outage": "without an answer",
    "no_budget": "not asked, no budget",
}
#: Characters of a proposed text on a terminal; the report and the receipt have it whole.
SHOWN_CHARS: Final = 160


def search_markdown(result: CompileResult) -> Iterator[str]:
    """Yield the sections of ``report.md``; nothing for an optimizer that does none of it."""
    if result.trials:
        yield from _trials_markdown(result.trials)
    if result.demo_sets:
        yield from _demo_sets_markdown(result.demo_sets)
    if result.proposals:
        yield from _proposals_markdown(result.proposals)


def search_text(result: CompileResult) -> Iterator[str]:
    """Yield the same for a terminal, each text cut visibly."""
    if result.proposals:
        yield ""
        yield f"proposals ({outcomes(result.proposals)})"
        for proposal in result.proposals:
            made = "" if proposal.candidate is None else f" -> {short(proposal.candidate)}"
            note = f" ({one_line(proposal.note, 80)})" if proposal.note else ""
            yield f"  {proposal.outcome} {proposal.meta}{note}{made}"
            if proposal.text is not None:
                yield f"    {one_line(proposal.text, SHOWN_CHARS)}"
    if result.demo_sets:
        yield ""
        yield f"demo sets ({len(result.demo_sets)})"
        for demo_set in result.demo_sets:
            yield f"  {demo_set.index} {one_line(demo_set.recipe, 80)}: {_shown(demo_set)}"
    if result.trials:
        yield ""
        yield f"trials ({len(result.trials)})"
        for trial in result.trials:
            said = ", ".join(part for part in (_choice(trial), one_line(trial.note)) if part)
            yield (
                f"  {trial.number} {trial.kind} {short(trial.candidate)}: {points(trial.mean)} "
                f"on {counted(trial.rows, 'row')}{f' ({said})' if said else ''}"
            )


def search_document(result: CompileResult) -> dict[str, Any]:
    """Return the records as JSON; absent where there are none."""
    parts: dict[str, Sequence[Any]] = {
        "proposals": result.proposals,
        "demo_sets": result.demo_sets,
        "trials": result.trials,
    }
    return {name: [item.to_json() for item in items] for name, items in parts.items() if items}


def outcomes(proposals: Sequence[ProposalRecord]) -> str:
    """Return how many questions there were, and what became of them."""
    counts: Counter[str] = Counter(proposal.outcome for proposal in proposals)
    said = [f"{counts[name]} {words}" for name, words in OUTCOMES.items() if counts[name]]
    asked = len(proposals) - counts["no_budget"]
    return f"{asked} asked: " + ", ".join(said)


def _trials_markdown(trials: Sequence[TrialRecord]) -> Iterator[str]:
    yield ""
    yield "## Trials"
    yield ""
    yield "| trial | kind | candidate | rows | mean | choice | |"
    yield "|--:|---|---|--:|--:|---|---|"
    for trial in trials:
        yield (
            f"| {trial.number} | {_cell(trial.kind)} | `{short(trial.candidate)}` | {trial.rows} "
            f"| {'no score' if trial.mean is None else points(trial.mean)} "
            f"| {_cell(_choice(trial))} | {_cell(trial.note)} |"
        )


def _demo_sets_markdown(demo_sets: Sequence[DemoSetRecord]) -> Iterator[str]:
    yield ""
    yield "## Demo sets"
    yield ""
    yield "| set | recipe | demos | rollouts tried | passed |"
    yield "|--:|---|---|--:|--:|"
    for demo_set in demo_sets:
        shown = ", ".join(f"`{_cell(demo.id)}` {demo.source}" for demo in demo_set.demos) or "none"
        yield (
            f"| {demo_set.index} | {_cell(demo_set.recipe)} | {shown} | {demo_set.tried} "
            f"| {demo_set.passed} |"
        )


def _proposals_markdown(proposals: Sequence[ProposalRecord]) -> Iterator[str]:
    yield ""
    yield "## Proposals"
    yield ""
    yield f"Questions to the proposer, {outcomes(proposals)}."
    for proposal in proposals:
        made = "" if proposal.candidate is None else f", candidate `{short(proposal.candidate)}`"
        note = f": {one_line(proposal.note)}" if proposal.note else ""
        yield ""
        yield f"### `{proposal.path}`"
        yield ""
        yield f"`{proposal.meta}`{note}; {OUTCOMES[proposal.outcome]}{made}"
        if proposal.text is not None:
            yield ""
            yield from (f"    {line}" for line in proposal.text.splitlines())


def _shown(demo_set: DemoSetRecord) -> str:
    demos = ", ".join(f"{demo.id} ({demo.source})" for demo in demo_set.demos) or "none"
    tried = f"; {demo_set.passed} of {demo_set.tried} rollouts passed" if demo_set.tried else ""
    return demos + tried


def _choice(trial: TrialRecord) -> str:
    if trial.choice is None:
        return ""
    return ", ".join(
        f"{name}={value if isinstance(value, str) else canonical_text(value)}"
        for name, value in sorted(trial.choice.items())
    )


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|")
