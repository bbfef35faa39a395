"""What a proposer is told about a task: its contract, its prompt, its rows, and what they show.

All of it is data in typed input fields of the meta-signatures. What is long is shortened, and says
so: a proposer that believes it saw a whole row must not be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dse_cli.canonical import canonical_text
from dse_cli.contracts.prompt_ir import (
    ContextBlock,
    InstructionBlock,
    RubricBlock,
    SystemBlock,
)
from dse_cli.evaluation.candidate import MAIN
from dse_cli.evaluation.json_values import shortened
from dse_cli.optimizers.proposals.proposer import Ask, text_in

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.prompt_ir import Demo
    from dse_cli.contracts.schema import Schema
    from dse_cli.optimizers.proposals.proposer import Proposer
    from dse_cli.runtime.policy import Policy

MOST_PROGRAM: Final = 6000  #: characters of :func:`program_text`
MOST_ROW: Final = 1000  #: characters of a row or a demo
MOST_OBSERVATIONS: Final = 4000  #: characters of observations that go into the next question
#: As published: so many batches of rows are looked at, at most.
MOST_BATCHES: Final = 10
#: As published: so many answers "nothing to add" end the looking.
ENOUGH_COMPLETE: Final = 5


def program_text(policy: Policy) -> str:
    """Return a task as text: what it is for, its fields, and its prompt without the demos."""
    signature = policy.signature
    lines = [
        signature.spec.description,
        "Input:",
        *_field_lines(signature.input_schema),
        "Output:",
        *_field_lines(signature.output_schema),
        "Prompt:",
        *_prompt_lines(policy),
    ]
    return shortened("\n".join(lines), MOST_PROGRAM)


def module_text(policy: Policy) -> str:
    """Return the step of a task that a policy is: its name and the names of its fields."""
    inputs, outputs = (
        ", ".join(schema.get("properties", {})) or "one JSON object"
        for schema in (policy.signature.input_schema, policy.signature.output_schema)
    )
    return f"{MAIN}: {inputs} -> {outputs}"


def row_text(row: Row) -> str:
    """Return a row as one line: its input, and its right answer."""
    return _example(row.input, row.expected)


def demo_text(demo: Demo) -> str:
    """Return a demo as one line, spelled as a row is."""
    return _example(demo.input, demo.output)


@dataclass(frozen=True, slots=True)
class Description:
    """What a proposer said of a task and of a step of it; empty where it said nothing of use."""

    program: str = ""
    module: str = ""


async def dataset_summary(
    proposer: Proposer, rows: Sequence[Row], *, place: str, batch: int = 10
) -> str:
    """Return a summary of ``rows``, in two or three sentences; empty when none was to be had.

    Rows are looked at batch by batch, each time with what was seen before, until
    :data:`MOST_BATCHES` were seen or :data:`ENOUGH_COMPLETE` answers had nothing to add (MIPRO,
    arXiv 2406.11695, and DSPy's ``create_dataset_summary``).

    Args:
        rows: of the train split, in the order in which they are looked at.
        place: below ``propose/``; unique in the run.
        batch: rows per question, at least 1.

    Raises:
        BudgetStopError, InfrastructureError: as :meth:`Proposer.texts`.
    """
    observations: list[str] = []
    complete = 0
    starts = range(0, len(rows), batch)[:MOST_BATCHES]
    for number, start in enumerate(starts):
        shown = rows[start : start + batch]
        value = {
            "examples": [row_text(row) for row in shown],
            "observations": shortened("\n".join(observations), MOST_OBSERVATIONS),
        }
        note = f"rows {start + 1} to {start + len(shown)}"
        ask = Ask("describe_dataset", value, f"{place}/observations={number:02d}", note)
        # Only what was observed can be complete: the first answer is nothing without a text.
        enough = _is_complete if observations else _never
        [output] = await proposer.outputs(
            [ask], "observations", label="dataset summary", enough=enough
        )
        if proposer.exhausted:
            break
        if output is not None and enough(output):
            complete += 1
        elif output is not None:
            observations.append(text_in(output, "observations"))
        if complete >= ENOUGH_COMPLETE:
            break
    if not observations:
        return ""
    said = shortened("\n".join(observations), MOST_OBSERVATIONS)
    ask = Ask("summarize_observations", {"observations": said}, f"{place}/summary")
    [summary] = await proposer.texts([ask], "summary", label="dataset summary")
    return said if summary is None else summary


async def describe(
    proposer: Proposer, policy: Policy, examples: Sequence[Sequence[str]], *, place: str
) -> list[Description]:
    """Return descriptions of a task and of its one step, one for each list of worked examples.

    Args:
        examples: what each description is made from, as :func:`demo_text` spells it.
        place: below ``propose/``; unique in the run.

    Raises:
        BudgetStopError, InfrastructureError: as :meth:`Proposer.texts`.
    """
    program, module = program_text(policy), module_text(policy)
    programs = await proposer.texts(
        [
            Ask(
                "describe_program",
                {"program": program, "examples": list(shown)},
                f"{place}/program={number:03d}",
            )
            for number, shown in enumerate(examples)
        ],
        "description",
        label="descriptions of the task",
    )
    modules = await proposer.texts(
        [
            Ask(
                "describe_module",
                {"program": program, "program_description": said or "", "module": module},
                f"{place}/module={number:03d}",
            )
            for number, said in enumerate(programs)
        ],
        "description",
        label="descriptions of the step",
    )
    return [
        Description(of_program or "", of_module or "")
        for of_program, of_module in zip(programs, modules, strict=True)
    ]


def _is_complete(output: Mapping[str, Any]) -> bool:
    return output.get("complete") is True


def _never(_: Mapping[str, Any]) -> bool:
    return False


def _example(given: Mapping[str, Any], output: Mapping[str, Any]) -> str:
    return shortened(canonical_text({"input": given, "output": output}), MOST_ROW)


def _field_lines(schema: Schema) -> Iterator[str]:
    """Yield a line per field: name, type, description; a schema without fields as it stands."""
    fields = schema.get("properties")
    if not isinstance(fields, Mapping):
        yield canonical_text(schema)
        return
    required = schema.get("required", ())
    for name, fragment in fields.items():
        about = fragment if isinstance(fragment, Mapping) else {}
        kind = {key: value for key, value in about.items() if key != "description"}
        words = kind["type"] if list(kind) == ["type"] else canonical_text(kind)
        line = f"- {name} ({words}{'' if name in required else ', optional'})"
        yield f"{line}: {about['description']}" if about.get("description") else line


def _prompt_lines(policy: Policy) -> Iterator[str]:
    for block in policy.signature.spec.prompt:
        match block:
            case SystemBlock():
                yield block.system.strip()
            case InstructionBlock():
                yield policy.instruction.strip()
            case RubricBlock():
                yield f"Rubric:\n{block.rubric.strip()}"
            case ContextBlock():
                keys = ", ".join(entry.key for entry in block.context)
                yield f"(Here stand texts by the names: {keys}.)"
            case _:
                pass
