"""The task both sides do: route a message to one of seven queues; the same rows, the same words.

Each side formats its prompt in its own way around the same instruction and the same input, and the
answer is fixed, so about one row in seven is right and the metric has something to tell apart.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

QUEUES = ("billing", "shipping", "returns", "technical", "account", "sales", "other")
INSTRUCTION = (
    "Read the customer's message and choose the queue that should answer it. "
    "billing: invoices, payments, refunds that did not arrive, charges the customer disputes. "
    "shipping: where a parcel is, delivery dates, damaged parcels, a wrong address. "
    "returns: sending something back, exchanging it, labels for that. "
    "technical: a device that does not work, set-up, firmware. "
    "account: signing in, passwords, changing personal data, deleting the account. "
    "sales: questions before buying, stock, offers, quantity prices. "
    "other: everything else. Choose exactly one queue."
)
_WORDS = [
    word
    for line in (
        "order parcel invoice charger headphones keyboard refund password delivery courier label",
        "screen battery warranty discount address account payment card yesterday again still never",
        "please help nobody answers since monday twice wrong broken missing late email number",
    )
    for word in line.split()
]
# DSPy's chat adapter explains its format at length; this makes our requests no shorter.
_PADDING = (
    "A customer who mentions several matters is sent to the queue of the one they ask about. "
    "A refund that was promised is billing, a refund that is asked for with the goods still at the "
    "customer's is returns. A parcel that arrived damaged is shipping, a device that broke in use "
    "is technical. A question about a product nobody has bought yet is sales, whatever it is. "
    "When two queues fit equally well, the one that stands first in the list above is right. "
    "Praise, complaints about the service and letters from other firms are other."
)
_SIGNATURE = """\
dse: signature/v1
id: "@bench/support/Route.v1"
description: Choose the queue that should answer a message.
input:
  ticket: {type: string, description: The customer's message}
output:
  queue: {enum: [%s]}
prompt:
  - system: "You work at the support desk of a web shop that sells home electronics. %s"
  - instruction: "%s"
  - output_format: json_schema
defaults:
  constraints: {max_tokens: 100}
"""
_JOB = """\
dse: compile_job/v1
dataset: bench
reward:
  signals:
    - exact_match: {field: queue, weight: 1.0}
models: {main: bench}
optimizer: {id: instruction_grid.v1}
search_space: {}
budget: {max_metric_calls: 1000000}
seed: 7
"""


def rows(count: int) -> list[dict[str, object]]:
    """Return ``count`` rows of some 200 characters, all different, the same every time."""
    draw = random.Random(20240607)
    found: list[dict[str, object]] = []
    for number in range(count):
        words = " ".join(draw.choices(_WORDS, k=30))
        found.append(
            {
                "id": f"row-{number:06d}",
                "split": "val",
                "input": {"ticket": f"Ticket {number}: {words}."},
                "expected": {"queue": draw.choice(QUEUES)},
            }
        )
    return found


def write_rows(path: Path, count: int) -> None:
    """Write the rows as JSONL, which both sides read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row) + "\n" for row in rows(count))
    path.write_text("".join(lines), encoding="utf-8")


def write_project(root: Path, count: int, port: int | None) -> Path:
    """Write a whole project with one signature, its job, its dataset and one model.

    Args:
        root: a folder that may not exist yet.
        count: rows, all of the split val.
        port: of the loopback server; None when no endpoint is asked.
    """
    endpoint = f"http://127.0.0.1:{9 if port is None else port}/v1"
    texts = {
        "dse.yaml": (
            "dse: project/v1\n"
            "models:\n"
            f"  bench: {{model: openai/bench-json, api_base: '{endpoint}', concurrency: 1024}}\n"
            "default_model: bench\n"
        ),
        "signatures/bench/signature.yaml": _SIGNATURE % (", ".join(QUEUES), _PADDING, INSTRUCTION),
        "signatures/bench/compile.yaml": _JOB,
        "datasets/bench/dataset.yaml": (
            "dse: dataset/v1\nid: bench\nfiles: [examples.jsonl]\nsplit: {field: split}\n"
        ),
    }
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    write_rows(root / "datasets/bench/examples.jsonl", count)
    return root
