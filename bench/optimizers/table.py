"""The results of a store as Markdown: one table over all tasks, and one for each task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bench.optimizers.pooled import Estimate, Pooled, overall, pooled, reward_of
from bench.optimizers.results import Result
from bench.optimizers.settings import ARMS, BASELINE, Scale
from bench.optimizers.task import Task
from dse_cli.canonical import canonical_text

_HEAD: Final = (
    "| optimizer | seeds | val, before -> after | held out (95 %) | difference (95 %) | each seed |"
    " base kept | metric calls | model calls (paid) | minutes |"
)
_RULE: Final = "|---|---|---|---|---|---|---|---|---|---|"
#: Runs by task and optimizer.
Runs = Mapping[tuple[str, str], Sequence[Result]]


def table(
    tasks: Sequence[Task],
    results: Sequence[Result],
    problems: Mapping[tuple[str, str], int],
    budget: int,
) -> Iterator[str]:
    """Yield the lines of the document.

    Args:
        tasks: in the order of the tables.
        results: of the tasks; those of other tasks are left out.
        problems: runs without a result, by task and optimizer.
        budget: most metric calls of a compile.
    """
    runs: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        runs.setdefault((result.task, result.optimizer), []).append(result)
    shown = [task for task in tasks if any((task.name, name) in runs for name in ARMS)]
    yield from _preface(shown, budget)
    yield ""
    yield from _overview(shown, runs)
    for task in shown:
        yield ""
        yield from _task_table(task, runs, problems)
    yield ""
    yield from _settings(shown, runs, budget)


def _preface(tasks: Sequence[Task], budget: int) -> Iterator[str]:
    yield "# Optimizers, measured"
    yield ""
    yield "<!-- Written by `python -m bench.optimizer_table`; edits are lost. -->"
    yield ""
    yield (
        "What each optimizer reaches with the same small budget on the embedded model `local` "
        "(0.5 billion parameters), which also writes the proposals. "
        f"Each compile may use {budget} metric calls. After it, its winner and the policy as "
        "written are measured on rows that no compile opens: they stand in a dataset of their own."
    )
    yield ""
    yield "| task | rows | train | val | held out | texts |"
    yield "|---|---|---|---|---|---|"
    for task in tasks:
        train, val, test = (len(rows) for rows in task.splits)
        texts = len(task.instructions)
        yield f"| {task.name} | {task.source} | {train} | {val} | {test} | {texts} |"
    yield ""
    yield "How to read it:"
    yield ""
    yield (
        "- Rewards are in points of 100. Intervals are over the held-out rows: each row counts "
        "once, with its mean over the seeds. They do not say how much other seeds would differ; "
        "*each seed* shows that."
    )
    yield (
        "- *Difference* is paired with the policy as written, row by row. **Bold** is an interval "
        "that is above 0, *slanted* one that is below. Of twenty intervals about a true difference "
        "of 0, one excludes it by chance, and there are many here."
    )
    yield (
        "- *val* is where the winner was chosen. What it gains there and not on the held-out rows "
        "is luck of the choice; with so few rows of val that is a large part."
    )
    yield (
        "- *base kept* counts seeds in which nothing beat the policy as written. *Model calls* "
        "are charged to the compile, embeddings among them; *paid* are those that no cache "
        "answered: all runs share one cache, so the first optimizer that asks pays, and *minutes* "
        "are only what a run took here, on half of a machine of two cores with other work on it."
    )
    yield (
        "- An optimizer without draws does the same in every seed; its row then shows one "
        "number more than once."
    )


def _overview(tasks: Sequence[Task], runs: Runs) -> Iterator[str]:
    yield "## All tasks"
    yield ""
    yield (
        "Points gained or lost on the held-out rows; in brackets, on how many seeds that rests. "
        "*All rows* takes the held-out rows of all tasks together, if the optimizer ran on all."
    )
    yield ""
    yield "| optimizer | " + " | ".join(task.name for task in tasks) + " | all rows (95 %) |"
    yield "|---|" + "---|" * (len(tasks) + 1)
    for name in ARMS:
        found = [runs.get((task.name, name)) for task in tasks]
        if name != BASELINE and any(found):
            cells = ["" if not one else _gain_cell(pooled(one)) for one in found]
            complete = [one for one in found if one]
            whole = _with_interval(overall(complete)) if len(complete) == len(tasks) else ""
            yield f"| {name} | " + " | ".join(cells) + f" | {whole} |"
    yield ""
    yield from _reading(tasks, runs)


def _gain_cell(one: Pooled) -> str:
    return f"{_marked(one.gain)} ({len(one.seeds)})"


def _reading(tasks: Sequence[Task], runs: Runs) -> Iterator[str]:
    every = [
        (name, task.name, one)
        for name in ARMS
        if name != BASELINE
        for task in tasks
        if (one := _pooled(runs, task.name, name)) is not None
    ]
    above = [f"{name} on {task}" for name, task, one in every if one.gain.is_above]
    below = [f"{name} on {task}" for name, task, one in every if one.gain.is_below]
    yield (
        f"Of {len(every)} pairs of optimizer and task, {len(above)} gained and {len(below)} lost "
        f"by more than the interval; the other {len(every) - len(above) - len(below)} are not "
        "told apart from no effect."
    )
    if below:
        yield ""
        yield f"Lost: {'; '.join(below)}."


def _task_table(task: Task, runs: Runs, problems: Mapping[tuple[str, str], int]) -> Iterator[str]:
    yield f"## {task.name}"
    yield ""
    yield f"{task.source[:1].upper()}{task.source[1:]}."
    yield ""
    yield _HEAD
    yield _RULE
    baselines = [
        result.test_baseline for name in ARMS for result in runs.get((task.name, name), ())
    ]
    as_written = reward_of(baselines)
    yield f"| as written | | | {_percent(as_written)} | | | | | | |"
    failed = []
    for name in ARMS:
        one = _pooled(runs, task.name, name)
        if one is not None and name != BASELINE:
            yield _line(name, one)
        if count := problems.get((task.name, name)):
            failed.append(f"{name} ({count})")
    if failed:
        yield ""
        yield f"Without a result: {', '.join(failed)}."


def _settings(tasks: Sequence[Task], runs: Runs, budget: int) -> Iterator[str]:
    yield "## Settings"
    yield ""
    yield (
        "What is not named has its default. *Texts* are the instructions that a person wrote; the "
        "other optimizers write their own, or none. Rewards are the share of the scored fields "
        "that match exactly; with several fields, an answer may become a demo from 0.8 on."
    )
    yield ""
    yield "| optimizer | settings | searches |"
    yield "|---|---|---|"
    for name, arm in ARMS.items():
        first = next((task for task in tasks if (task.name, name) in runs), None)
        if name != BASELINE and first is not None:
            config = arm.config(Scale(len(first.splits.val), budget, first.threshold))
            searched = [*(["texts"] if arm.searches_texts else []), *_code(arm.space)]
            yield f"| {name} | {', '.join(_code(config))} | {', '.join(searched)} |"


def _code(settings: Mapping[str, Any]) -> list[str]:
    return [f"`{key}: {canonical_text(value)}`" for key, value in settings.items()]


def _line(name: str, one: Pooled) -> str:
    cells = [
        name,
        str(len(one.seeds)),
        f"{_points(one.val_baseline)} -> {_points(one.val_winner)}",
        _percent(one.test),
        _with_interval(one.gain),
        ", ".join(_points(value) for value in one.by_seed),
        str(one.kept),
        f"{one.metric_calls:.0f}",
        f"{one.lm_calls:.0f} ({one.paid_calls:.0f})",
        f"{one.minutes:.1f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _pooled(runs: Runs, task: str, optimizer: str) -> Pooled | None:
    found = runs.get((task, optimizer))
    return pooled(found) if found else None


def _percent(estimate: Estimate) -> str:
    return f"{_points(estimate.mean)} ({_points(estimate.low)} to {_points(estimate.high)})"


def _with_interval(gain: Estimate) -> str:
    return f"{_marked(gain)} ({_signed(gain.low)} to {_signed(gain.high)})"


def _marked(gain: Estimate) -> str:
    text = _signed(gain.mean)
    if gain.is_above:
        return f"**{text}**"
    return f"*{text}*" if gain.is_below else text


def _points(value: float) -> str:
    return f"{100 * value:.1f}"


def _signed(value: float) -> str:
    text = f"{100 * value:+.1f}"
    return "0.0" if text in {"+0.0", "-0.0"} else text
