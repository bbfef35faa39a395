"""banking77: ten intents that share their words (Casanueva et al. 2020, arXiv:2003.04807)."""

from __future__ import annotations

import csv
import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.optimizers.task import Sizes, Splits, Task, TaskRow, balanced, distinct, without

INTENTS: Final = 10
_WORD: Final = re.compile(r"[a-z']+")
_INSTRUCTIONS: Final = {
    "defined": (
        "Choose the intent of the customer's message.\n"
        "pending_top_up: a top-up is not there yet. top_up_failed: a top-up was refused or did not "
        "work. top_up_reverted: a top-up was cancelled or the money vanished again. top_up_limits: "
        "how much or how often one can top up. verify_top_up: a code or check of the top-up card. "
        "topping_up_by_card: top up from a bank card. top_up_by_cash_or_cheque: top up with cash "
        "or a cheque. verify_my_identity: how to prove who I am. why_verify_identity: why the bank "
        "asks for that. unable_to_verify_identity: proving it does not work."
    ),
    "ask-what-is-wanted": (
        "Decide first whether the message is about proving who the customer is or about a top-up. "
        "Then choose the intent that says what the customer wants to know or what went wrong."
    ),
    "keywords": "Choose the intent whose words come closest to the words of the message.",
}


def confusable(texts: Mapping[str, Sequence[str]], count: int) -> list[str]:
    """Return the ``count`` categories that are most alike by their words, most alike first.

    Each category is the tf-idf vector of its texts (how many of them hold a word, times the log
    of the inverse share of all texts that do). The two with the largest cosine start; then,
    again and again, the one with the largest mean cosine to those chosen joins.

    Args:
        texts: training texts by category, at least two categories.
    """
    vectors = _vectors(texts)
    names = sorted(vectors)
    cosine = {(a, b): _dot(vectors[a], vectors[b]) for a in names for b in names}
    first = max(itertools.combinations(names, 2), key=lambda pair: cosine[pair])
    chosen = [*first]
    while len(chosen) < min(count, len(names)):
        left = [name for name in names if name not in chosen]
        chosen.append(max(left, key=lambda name: sum(cosine[name, other] for other in chosen)))
    return chosen[:count]


def _vectors(texts: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    holding: Counter[str] = Counter()
    counts: dict[str, Counter[str]] = {}
    for name in sorted(texts):
        counts[name] = Counter()
        for text in texts[name]:
            words = set(_WORD.findall(text.lower()))
            counts[name].update(words)
            holding.update(words)
    total = sum(len(found) for found in texts.values())
    return {
        name: _unit({word: n * math.log(total / holding[word]) for word, n in sorted(c.items())})
        for name, c in counts.items()
    }


def _unit(vector: dict[str, float]) -> dict[str, float]:
    length = math.sqrt(math.fsum(value * value for value in vector.values())) or 1.0
    return {word: value / length for word, value in vector.items()}


def _dot(left: Mapping[str, float], right: Mapping[str, float]) -> float:
    return math.fsum(value * right.get(word, 0.0) for word, value in left.items())


def banking_task(data: Path, sizes: Sizes) -> Task:
    """Return the task; train and val come from its training file, test from its test file.

    Args:
        data: the folder that holds ``banking77``.
    """
    by_name: dict[str, list[str]] = {}
    for row in _rows(data / "banking77/train.csv"):
        by_name.setdefault(row["category"], []).append(row["text"])
    intents = confusable(by_name, INTENTS)
    seen = _chosen(data / "banking77/train.csv", intents, "bt")
    unseen = without(_chosen(data / "banking77/test.csv", intents, "bs"), seen)
    pool = balanced(seen, _intent, "banking-train")
    splits = Splits(
        train=pool[sizes.val : sizes.val + sizes.train],
        val=pool[: sizes.val],
        test=balanced(unseen, _intent, "banking-test")[: sizes.test],
    )
    return Task(
        name="bank-intent",
        source=(
            f"banking77, the {INTENTS} intents that are most alike by their words in train: "
            + ", ".join(sorted(intents))
        ),
        signature={
            "dse": "signature/v1",
            "id": "@bench/bank/BankIntent.v1",
            "description": "Choose the intent of a message to a bank.",
            "input": {"message": {"type": "string"}},
            "output": {"intent": {"enum": sorted(intents)}},
            "prompt": [
                {"system": "You sort the messages that customers send to a bank."},
                {"output_format": "json_schema"},
                {"instruction": "Choose the intent of the customer's message."},
            ],
            "defaults": {
                "params": {"decode": {"mode": "native_schema", "max_repairs": 0}},
                "constraints": {"timeout_ms": 300_000, "max_tokens": 32},
            },
        },
        fields=("intent",),
        splits=splits,
        instructions=_INSTRUCTIONS,
    )


def _chosen(path: Path, intents: Sequence[str], prefix: str) -> list[TaskRow]:
    return distinct(
        [
            TaskRow(
                id=f"{prefix}-{number:05d}",
                input={"message": row["text"].strip()},
                expected={"intent": row["category"]},
            )
            for number, row in enumerate(_rows(path))
            if row["category"] in intents
        ]
    )


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _intent(row: TaskRow) -> str:
    return str(row.expected["intent"])
