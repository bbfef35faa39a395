"""A project to run `dse` on, and a model that answers it by rule."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dse_cli.canonical import sha256_of
from tests.lm.openai_server import OpenAiServer, Reply, Seen, answer

NAME = "sort-note"
COLOURS = ("red", "green", "blue")
THINGS = ("kite", "mug", "rope", "lamp", "coat", "drum", "bell", "cart", "ring", "tent")
TRAIN, VAL, HOLDOUT = 6, 12, 18
CANDIDATES = 4
CALLS = CANDIDATES * VAL

_PROJECT = """\
dse: project/v1
models:
  desk: {{model: openai/test-model, api_base: {base}, concurrency: 64, max_retries: 1}}
default_model: desk
limits: {{max_error_rate: 0.0, concurrency: 8}}
"""
_SIGNATURE = """\
dse: signature/v1
id: "@test/desk/SortNote.v1"
description: Choose the box for a note.
input:
  note: {type: string}
output:
  box: {enum: [red, green, blue]}
prompt:
  - system: You sort notes.
  - instruction: Choose a box.
  - output_format: json_schema
defaults:
  params: {decode: {mode: strict_json, max_repairs: 1}}
  constraints: {timeout_ms: 30000, max_tokens: 32}
"""
_JOB = """\
dse: compile_job/v1
dataset: notes
reward:
  signals:
    - format_validity: 0.2
    - exact_match: {field: box, weight: 0.8}
models: {main: desk}
optimizer: {id: instruction_grid.v1}
search_space:
  instructions:
    - id: by-colour
      text: |
        Choose the box by colour.
        The note names it.
    - id: loud
      text: CHOOSE A BOX NOW.
    - id: polite
      text: Please choose a box.
budget: {max_metric_calls: 200}
seed: 7
"""
_DATASET = """\
dse: dataset/v1
id: notes
files: [rows.jsonl]
split: {field: split}
"""


def write_project(folder: Path, base: str) -> Path:
    """Write the project; `base` is where its model answers."""
    files = {
        "dse.yaml": _PROJECT.format(base=base),
        f"signatures/{NAME}/signature.yaml": _SIGNATURE,
        f"signatures/{NAME}/compile.yaml": _JOB,
        "datasets/notes/dataset.yaml": _DATASET,
        "datasets/notes/rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows()),
        ".gitignore": ".dse/\n",
        ".gitattributes": "* -text\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def rows() -> list[dict[str, Any]]:
    """Rows whose note names its colour; each note is another one."""
    splits = ["train"] * TRAIN + ["val"] * VAL + ["holdout"] * HOLDOUT
    made = []
    for number, split in enumerate(splits):
        colour = COLOURS[number % 3]
        note = f"the {colour} {THINGS[number % 10]} number {number}"
        made.append(
            {
                "id": f"n-{number:03d}",
                "input": {"note": note},
                "expected": {"box": colour},
                "split": split,
                "tags": [colour],
            }
        )
    return made


def by_rule(seen: Seen) -> Reply:
    """Choose by colour when the prompt says so, else always the red box."""
    messages = seen.body["messages"]
    note = json.loads(messages[-1]["content"])["note"]
    box = note.split()[1] if "by colour" in messages[0]["content"] else "red"
    tokens = sum(len(message["content"].split()) for message in messages)
    usage = {"prompt_tokens": tokens, "completion_tokens": 5, "total_tokens": tokens + 5}
    return answer(json.dumps({"box": box}), usage=usage)


class DeskServer(OpenAiServer):
    """Answers by rule, side by side; counts each distinct request.

    Attributes:
        rule: makes the answer.
        delay_s: how long an answer takes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._http.socket.listen(256)  # many calls arrive at once
        self._counting = threading.Condition()
        self._counts: Counter[str] = Counter()
        self.rule: Callable[[Seen], Reply] = by_rule
        self.delay_s = 0.0

    def reset(self) -> None:
        with self._counting:
            self._counts.clear()
        self.rule, self.delay_s = by_rule, 0.0

    def next_reply(self, seen: Seen) -> Reply:
        with self._counting:
            self._counts[sha256_of(seen.body)] += 1
            self._counting.notify_all()
        if self.delay_s:
            self.stopping.wait(self.delay_s)
        return self.rule(seen)

    def counts(self) -> dict[str, int]:
        """How often each distinct request arrived."""
        with self._counting:
            return dict(self._counts)

    @property
    def total(self) -> int:
        return sum(self.counts().values())

    def wait_for(self, requests: int, *, unless: threading.Event) -> None:
        """Wait until so many requests have arrived, or something else happened."""
        with self._counting:
            while sum(self._counts.values()) < requests and not unless.is_set():
                self._counting.wait(0.05)
