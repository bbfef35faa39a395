"""How often the nearest neighbour of a text has its label: embedders compared on banking77.

``python bench/nearest_neighbours.py DATA [--weights FILE]``: DATA is the folder of ``train.csv``
and ``test.csv``. With ``--weights`` a GGUF model is loaded in embedding mode (mean pooling) beside
the lexical embedder; about 0.4 s a text on two cores. Rows are drawn with a fixed seed.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from dse_cli.evaluation.statistics.intervals import wilson_interval
from dse_cli.lm.lexical import lexical_vector
from dse_cli.lm.vectors import Vector, quantise, similarity

#: Ten intents of banking77 that are easily taken for each other.
CONFUSABLE = (
    "card_arrival",
    "card_delivery_estimate",
    "card_not_working",
    "card_payment_fee_charged",
    "card_payment_not_recognised",
    "declined_card_payment",
    "getting_virtual_card",
    "lost_or_stolen_card",
    "pending_card_payment",
    "reverted_card_payment?",
)
SEED = 7
NEIGHBOURS = (1, 4)


class Text(NamedTuple):
    """A customer's message and its intent."""

    words: str
    label: str


class Splits(NamedTuple):
    """The texts of each intent, by split."""

    train: dict[str, list[str]]
    test: dict[str, list[str]]


class Task(NamedTuple):
    """A pool of labelled texts, and texts to find neighbours for."""

    name: str
    pool: list[Text]
    asked: list[Text]


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--weights", type=Path)
    arguments.add_argument("--per-intent", type=int, default=8, help="texts asked of each intent")
    arguments.add_argument("--few", action="store_true", help="only the ten confusable intents")
    chosen = arguments.parse_args()
    splits = Splits(*(read(chosen.data / name) for name in ("train.csv", "test.csv")))
    few, every = chosen.per_intent, max(1, chosen.per_intent // 4)
    tasks = [
        draw("10 confusable intents", CONFUSABLE, splits, 12, few),
        draw("all 77 intents", sorted(splits.train), splits, 4, every),
    ]
    if chosen.few:
        tasks = tasks[:1]
    embedders: dict[str, Callable[[str], Vector]] = {"lexical-embed": lexical_vector}
    if chosen.weights is not None:
        embedders[chosen.weights.stem] = served(chosen.weights)
    print("| task | pool | asked | embedder | nearest has the label | one of the nearest 4 has |")
    print("|---|--:|--:|---|---|---|")
    for task in tasks:
        for name, embed in embedders.items():
            shares = [shown(found, len(task.asked)) for found in agreement(task, embed)]
            print(f"| {task.name} | {len(task.pool)} | {len(task.asked)} | `{name}` "
                  f"| {' | '.join(shares)} |")  # fmt: skip


def read(path: Path) -> dict[str, list[str]]:
    """Return the texts of each intent."""
    found: dict[str, list[str]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["category"], []).append(row["text"])
    return found


def draw(name: str, labels: Sequence[str], splits: Splits, pool: int, asked: int) -> Task:
    """Return so many texts of each intent."""
    drawn = random.Random(SEED)

    def of(texts: dict[str, list[str]], count: int) -> list[Text]:
        return [
            Text(words, label) for label in labels for words in drawn.sample(texts[label], count)
        ]

    return Task(name, of(splits.train, pool), of(splits.test, asked))


def agreement(task: Task, embed: Callable[[str], Vector]) -> list[int]:
    """Return of how many texts one of the nearest has the label, by number of neighbours."""
    pool = [(text, embed(text.words)) for text in task.pool]
    right = [0 for _ in NEIGHBOURS]
    for text in task.asked:
        query = embed(text.words)
        order = sorted(range(len(pool)), key=lambda at: (-similarity(query, pool[at][1]), at))
        for place, count in enumerate(NEIGHBOURS):
            right[place] += any(pool[at][0].label == text.label for at in order[:count])
    return right


def shown(right: int, count: int) -> str:
    """Return a share in per cent with its 95 % interval."""
    low, high = wilson_interval(right, count)
    return f"{100 * right / count:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def served(weights: Path) -> Callable[[str], Vector]:
    """Load a model in embedding mode and return what embeds a text with it."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_ctx = params.n_batch = params.n_ubatch = 2048
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 2
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.verbosity, params.warmup, params.ui = -1, False, False
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)

    def embed(text: str) -> Vector:
        body = json.dumps({"input": text, "model": "x", "encoding_format": "float"}).encode()
        request = urllib.request.Request(  # noqa: S310 - our own server on loopback
            f"{server.listening_address}/v1/embeddings", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request) as response:  # noqa: S310
            found: Any = json.load(response)
        return quantise(found["data"][0]["embedding"])

    return embed


if __name__ == "__main__":
    main()
