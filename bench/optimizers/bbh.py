"""Two tasks of BIG-Bench Hard (Suzgun et al. 2022, arXiv:2210.09261), answered without steps.

They are the two of the stored eight whose inputs are shortest: a small model on two cores reads
some 70 tokens a second.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from bench.optimizers.task import Sizes, Task, TaskRow, balanced, cut, distinct

_BOOLEAN: Final = {
    "precedence": (
        "Evaluate the Boolean expression. Brackets come first, then 'not', then 'and', then 'or'."
    ),
    "python": "The expression is Python code. Answer with the value that Python prints for it.",
    "steps": (
        "Replace each 'not True' by False and each 'not False' by True, then work out brackets, "
        "then each 'and', then each 'or'. Answer with what is left."
    ),
}
_SPORTS: Final = {
    "same-sport": (
        "A sentence names an athlete and something done in a sport. Answer yes when the athlete "
        "plays that sport, and no when the words belong to another sport."
    ),
    "doubt": (
        "Half of these sentences are made up by putting an athlete into the wrong sport. Answer "
        "no when the sport does not fit the athlete, else yes."
    ),
    "fan": "You know every athlete and every rule. Is what the sentence says plausible?",
}


def boolean_task(data: Path, sizes: Sizes) -> Task:
    """Return ``boolean_expressions``: the value of an expression of True and False."""
    return _task(
        (data, "boolean_expressions", "boolean"), sizes, "expression",
        answers=["False", "True"],
        system="You evaluate Boolean expressions.",
        instruction="Give the value of the expression.",
        texts=_BOOLEAN,
    )  # fmt: skip


def sports_task(data: Path, sizes: Sizes) -> Task:
    """Return ``sports_understanding``: whether an athlete and a play belong to one sport."""
    return _task(
        (data, "sports_understanding", "sports"), sizes, "sentence",
        answers=["no", "yes"],
        system="You know athletes and their sports.",
        instruction="Is the sentence plausible?",
        texts=_SPORTS,
    )  # fmt: skip


def _task(
    source: tuple[Path, str, str],
    sizes: Sizes,
    field: str,
    *,
    answers: list[str],
    system: str,
    instruction: str,
    texts: dict[str, str],
) -> Task:
    data, file, name = source
    examples = json.loads((data / f"bbh/{file}.json").read_text(encoding="utf-8"))["examples"]
    rows = distinct(
        [
            TaskRow(f"{name}-{number:03d}", {field: _input(row)}, {"answer": row["target"]})
            for number, row in enumerate(examples)
        ]
    )
    return Task(
        name=name,
        source=f"BIG-Bench Hard, {file}, answered without steps",
        signature={
            "dse": "signature/v1",
            "id": f"@bench/bbh/{name.capitalize()}.v1",
            "description": system,
            "input": {field: {"type": "string"}},
            "output": {"answer": {"enum": answers}},
            "prompt": [
                {"system": system},
                {"output_format": "json_schema"},
                {"instruction": instruction},
            ],
            "defaults": {
                "params": {"decode": {"mode": "native_schema", "max_repairs": 0}},
                "constraints": {"timeout_ms": 300_000, "max_tokens": 16},
            },
        },
        fields=("answer",),
        splits=cut(balanced(rows, lambda row: str(row.expected["answer"]), name), sizes),
        instructions=texts,
    )


def _input(row: dict[str, str]) -> str:
    """Return the input without what every input of the file says."""
    text = row["input"].strip()
    text = text.removeprefix("Is the following sentence plausible? ").removesuffix(" is")
    return text.strip('"') if text.startswith('"') and text.endswith('"') else text
