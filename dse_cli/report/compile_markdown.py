"""``report.md`` of a compile: what was tried, what won, and the prompt diff. A pure function."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dse_cli.canonical import short
from dse_cli.report.eval_words import judge_text
from dse_cli.report.policy_text import neighbours
from dse_cli.report.search_lines import search_markdown

if TYPE_CHECKING:
    from dse_cli.contracts.artifact import CompiledArtifact
    from dse_cli.contracts.receipt import CompileResult


def compile_report(
    name: str,
    artifact: CompiledArtifact,
    result: CompileResult,
    authored_instruction: str,
) -> str:
    """Return the report as Markdown."""
    return "\n".join(_lines(name, artifact, result, authored_instruction)) + "\n"


def _lines(
    name: str,
    artifact: CompiledArtifact,
    result: CompileResult,
    authored_instruction: str,
) -> Iterator[str]:
    evaluation, baseline = artifact.evaluation, artifact.baseline
    yield f"# {name}: {short(artifact.compiled_id)}"
    yield ""
    yield (
        f"`{artifact.optimizer.id}` on `{artifact.provenance.models['main'].asked}`, "
        f"seed {artifact.provenance.seed}, stopped: {artifact.optimizer.stop_reason.kind}."
    )
    yield ""
    yield (
        f"On val (n = {evaluation.n}): {_points(baseline.mean)} -> {_points(evaluation.mean)}. "
        "The search selected on these rows, so this is not evidence of a gain; "
        "`dse promote` measures that on the holdout."
    )
    yield ""
    for signal, judge in (evaluation.judges or {}).items():
        yield f"Judged by {judge_text(signal, judge)}."
        yield ""
    yield "| candidate | origin | mean | n | tokens |"
    yield "|---|---|--:|--:|--:|"
    for record in result.candidates:
        mark = " **won**" if record.id == artifact.compiled_id else ""
        tokens = "" if record.tokens is None else str(record.tokens)
        yield (
            f"| `{short(record.id)}`{mark} | {_cell(record.origin)} | {_points(record.mean)} "
            f"| {record.n} | {tokens} |"
        )
    over = artifact.params.instruction
    if over is not None:
        yield ""
        yield "## Instruction"
        yield ""
        yield "```diff"
        yield from difflib.unified_diff(
            authored_instruction.splitlines(),
            over.text.splitlines(),
            "authored",
            "compiled",
            lineterm="",
        )
        yield "```"
    if artifact.params.few_shot is not None:
        yield ""
        yield "## Demos"
        yield ""
        selector = artifact.params.few_shot.selector
        if selector is not None:
            yield (
                f"Each input is shown {neighbours(selector)} (`{selector.id}` with "
                f"`{selector.embedder}`, index `{short(selector.index)}`), from this pool:"
            )
            yield ""
        ids = [f"`{demo.id}`" for demo in artifact.params.few_shot.examples]
        yield ", ".join(ids) if ids else "None: the authored demos are not shown."
    yield from search_markdown(result)


def _points(mean: float | None) -> str:
    return "no score" if mean is None else f"{100 * mean:.1f}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
