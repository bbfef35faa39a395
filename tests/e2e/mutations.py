"""Ways in which files go wrong: what editors, merges, disks and attackers do to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.e2e.desk import NAME

#: Bytes before and after.
Change = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Mutation:
    """One wrong file.

    Attributes:
        name: of the case.
        file: path in the project; a `*` stands for the one name that fits.
        change: makes it wrong.
        code: how `dse check` must end.
        is_placed: whether the finding must name a line.
        found_in: where it must be found, when not in the file itself: a schema may be right and no
            row fits it any more; a transcript is known by the digest in its receipt.
    """

    name: str
    file: str
    change: Change
    code: int
    is_placed: bool = True
    found_in: str = ""

    def __str__(self) -> str:
        return f"{self.file.rsplit('/', 1)[-1]}-{self.name}"


SPECS = {
    "dse.yaml": "dse.yaml",
    "signature": f"signatures/{NAME}/signature.yaml",
    "job": f"signatures/{NAME}/compile.yaml",
    "dataset": "datasets/notes/dataset.yaml",
    "rows": "datasets/notes/rows.jsonl",
    "csv": "datasets/table/rows.csv",
}
KEPT = {
    "active": f"artifacts/{NAME}/active.yaml",
    "artifact": f"artifacts/{NAME}/compiled/*.json",
    "history": f"artifacts/{NAME}/history/0001-*.json",
    "receipt": f"artifacts/{NAME}/receipts/*/receipt.json",
    "calls": f"artifacts/{NAME}/receipts/*/calls.jsonl",
    "texts": f"artifacts/{NAME}/receipts/*/texts.jsonl",
}
#: Known by the digests in the receipt, before they are read.
BY_DIGEST = {"calls", "texts"}


def swap(old: str, new: str) -> Change:
    """Replace one piece of text, which must be there."""

    def change(data: bytes) -> bytes:
        assert old.encode() in data, f"{old!r} is not in the file"
        return data.replace(old.encode(), new.encode(), 1)

    return change


def add(text: str) -> Change:
    return lambda data: data + text.encode()


def conflict(data: bytes) -> bytes:
    """Leave a merge conflict in the middle."""
    lines = data.splitlines(keepends=True)
    at = len(lines) // 2
    ours, theirs = lines[at], lines[at]
    marked = [b"<<<<<<< HEAD\n", ours, b"=======\n", theirs, b">>>>>>> theirs\n"]
    return b"".join([*lines[:at], *marked, *lines[at + 1 :]])


def cut(data: bytes) -> bytes:
    """Keep a third, as a full disk does, ending inside a line."""
    at = len(data) // 3
    while data[at - 1 : at + 1].strip() != data[at - 1 : at + 1]:
        at += 1
    return data[:at]


def latin1(data: bytes) -> bytes:
    """Save it in another encoding."""
    at = data.index(b"\n") - 1
    return data[:at] + b"\xe9" + data[at:]


GENERIC: dict[str, tuple[Change, bool]] = {
    "empty": (lambda _: b"", False),
    "binary": (lambda _: bytes(range(256)) * 8, False),
    "nul bytes": (lambda data: data[:40] + b"\0" * 64, False),
    "cut off": (cut, False),
    "conflict": (conflict, True),
    "latin-1": (latin1, True),
    "another document": (lambda _: b"[1, 2, 3]\n", False),
    "deep nesting": (lambda _: b"[" * 100_000, False),
}


def generic() -> Iterator[Mutation]:
    """Yield what can happen to any file."""
    for files, code in ((SPECS, 2), (KEPT, 4)):
        for kind, file in files.items():
            for name, (change, is_placed) in GENERIC.items():
                if kind in BY_DIGEST:
                    yield Mutation(name, file, change, code, found_in=KEPT["receipt"])
                else:
                    yield Mutation(name, file, change, code, is_placed)


def specific() -> Iterator[Mutation]:
    """Yield what goes wrong in one kind of file."""
    for kind, name, change in _IN_SPECS:
        yield Mutation(name, SPECS[kind], change, 2)
    for kind, name, change in _BREAKS_ROWS:
        yield Mutation(name, SPECS[kind], change, 2, found_in=SPECS["rows"])
    for kind, name, change in _KEPT:
        found_in = KEPT["receipt"] if kind in BY_DIGEST else ""
        yield Mutation(name, KEPT[kind], change, 4, found_in=found_in)
    score = swap('"mean": 1,', '"mean": 0.99,')
    yield Mutation("score edited", KEPT["artifact"], score, 4, found_in=KEPT["receipt"])


def first_row(**changes: object) -> Change:
    """Change fields of the first row; None removes one."""

    def change(data: bytes) -> bytes:
        first, rest = data.split(b"\n", 1)
        row = json.loads(first) | changes
        row = {key: value for key, value in row.items() if value is not None}
        return json.dumps(row).encode() + b"\n" + rest

    return change


_KEY = "sk-" + "abcdefghijklmnopqrstuvwx"  # no key: only shaped like one

_IN_SPECS: list[tuple[str, str, Change]] = [
    ("dse.yaml", "typo in a key", swap("default_model", "defualt_model")),
    ("dse.yaml", "typo in a version", swap("project/v1", "project/v2")),
    ("dse.yaml", "key twice", add("default_model: local\n")),
    ("dse.yaml", "unknown alias", swap("default_model: desk", "default_model: dekc")),
    ("dse.yaml", "wrong type", swap("concurrency: 64", "concurrency: many")),
    ("dse.yaml", "out of range", swap("concurrency: 64", "concurrency: 0")),
    ("dse.yaml", "secret in a value", add(f"x: {_KEY}\n")),
    ("dse.yaml", "password in a url", swap("http://", "http://me:pw@")),
    ("dse.yaml", "no url", swap("http://", "ftp://")),
    ("dse.yaml", "tab", swap("  desk:", "\tdesk:")),
    ("dse.yaml", "unclosed brace", swap("{max_error_rate", "{{max_error_rate")),
    ("dse.yaml", "python tag", add("gate: !!python/object/apply:os.system [ls]\n")),
    ("dse.yaml", "anchor", add("gate: &a {alpha: 0.1}\nx: *a\n")),
    ("dse.yaml", "two documents", add("---\ndse: project/v1\n")),
    ("dse.yaml", "redefines local", swap("  desk:", "  local:")),
    ("dse.yaml", "not a number", swap("max_error_rate: 0.0", "max_error_rate: .nan")),
    ("signature", "typo in a key", swap("prompt:", "promt:")),
    ("signature", "bad id", swap("@test/desk/SortNote.v1", "SortNote")),
    ("signature", "unknown block", swap("- instruction:", "- instructions:")),
    ("signature", "unknown decode mode", swap("strict_json", "strict")),
    ("signature", "unknown type", swap("type: string", "type: text")),
    ("signature", "empty enum", swap("[red, green, blue]", "[]")),
    (
        "signature",
        "blob outside",
        swap("- system:", "- context: [{key: k, blob: ../../../etc/passwd}]\n  - system:"),
    ),
    ("signature", "negative limit", swap("max_tokens: 32", "max_tokens: -1")),
    ("signature", "no instruction", swap("  - instruction: Choose a box.\n", "")),
    ("signature", "secret in the prompt", swap("Choose a box.", f"Choose a box. {_KEY}")),
    ("job", "typo in a key", swap("reward:", "rewards:")),
    ("job", "unknown dataset", swap("dataset: notes", "dataset: note")),
    ("job", "dataset outside", swap("dataset: notes", "dataset: ../../etc")),
    ("job", "unknown metric", swap("exact_match", "exact_macth")),
    ("job", "unknown field", swap("field: box", "field: bx")),
    ("job", "zero weight", swap("weight: 0.8", "weight: 0")),
    ("job", "unknown alias", swap("main: desk", "main: dsek")),
    ("job", "unknown optimizer", swap("instruction_grid.v1", "instruction_gird.v1")),
    ("job", "unused space", swap("search_space:", "search_space:\n  few_shot: {k_max: 2}")),
    ("job", "unknown knob", swap("search_space:", "search_space:\n  knobs: {model.temp: [0]}")),
    ("job", "same variant twice", swap("id: loud", "id: polite")),
    ("job", "no budget", swap("{max_metric_calls: 200}", "{}")),
    ("job", "budget of text", swap("max_metric_calls: 200", "max_metric_calls: lots")),
    (
        "job",
        "unknown setting",
        swap("instruction_grid.v1}", "instruction_grid.v1, config: {n: 3}}"),
    ),
    ("job", "seed with fraction", swap("seed: 7", "seed: 7.5")),
    ("dataset", "typo in a key", swap("files:", "file:")),
    ("dataset", "no such file", swap("rows.jsonl", "row.jsonl")),
    ("dataset", "file outside", swap("rows.jsonl", "../../../etc/passwd")),
    ("dataset", "absolute file", swap("rows.jsonl", "/etc/passwd")),
    (
        "dataset",
        "both rules",
        swap("{field: split}", "{field: split, hash: {train: 1, val: 0, holdout: 0, seed: 1}}"),
    ),
    (
        "dataset",
        "shares",
        swap("{field: split}", "{hash: {train: 0.5, val: 0.1, holdout: 0.1, seed: 1}}"),
    ),
    ("rows", "no id", first_row(id=None)),
    ("rows", "id twice", first_row(id="n-001")),
    ("rows", "unknown field", first_row(inptu={})),
    ("rows", "unknown split", first_row(split="test")),
    ("rows", "input does not fit", first_row(input={"note": 3})),
    ("rows", "label does not fit", first_row(expected={"box": "purple"})),
    ("rows", "no label", first_row(expected=None)),
    ("rows", "tags of text", first_row(tags="red")),
    ("rows", "holdout row in train", first_row(input={"note": "the blue drum number 35"})),
    ("rows", "row that is a list", swap('{"id": "n-000"', '["id", "n-000"')),
    ("rows", "key twice", swap('{"id": "n-000"', '{"id": "n-x", "id": "n-000"')),
    ("rows", "not a number", swap('"tags": ["red"]', '"tags": [NaN]')),
    ("rows", "half a surrogate", swap("the red kite", "the \\ud800 kite")),
    ("csv", "unknown column", swap("id,note,box,split", "id,text,box,split")),
    ("csv", "column twice", swap("id,note,box,split", "id,note,note,split")),
    ("csv", "short row", swap("c-1,a red mug,red,train", "c-1,a red mug")),
    ("csv", "long row", swap("c-1,a red mug,red,train", "c-1,a red mug,red,train,x")),
    ("csv", "open quote", swap("a green mug", '"a green mug')),
    ("csv", "unknown split", swap("red,train", "red,trian")),
]
_BREAKS_ROWS: list[tuple[str, str, Change]] = [
    ("signature", "norway", swap("[red, green, blue]", "[red, no, blue]")),
    ("signature", "rows no longer fit", swap("[red, green, blue]", "[red, green]")),
    ("signature", "other input field", swap("note: {type", "text: {type")),
    ("dataset", "no such split field", swap("{field: split}", "{field: fold}")),
]
_KEPT: list[tuple[str, str, Change]] = [
    ("active", "prompt edited", swap("The note names it.", "The note hides it.")),
    ("active", "unknown key", add("extra: 1\n")),
    ("active", "other digest", swap("artifact_digest: sha256:", "artifact_digest: sha256:0")),
    ("active", "artifact outside", swap("compiled/", "../compiled/")),
    ("active", "key twice", add("dse: active/v1\n")),
    ("artifact", "prompt edited", swap("The note names it.", "The note hides it.")),
    ("artifact", "unknown key", swap('"baseline"', '"baselines"')),
    ("artifact", "key twice", swap('"signature_id"', '"format": "x",\n  "signature_id"')),
    ("artifact", "wrong type", swap('"seed": 7', '"seed": "7"')),
    ("history", "event edited", swap('"event": "promote"', '"event": "rollback"')),
    ("history", "unknown event", swap('"event": "promote"', '"event": "promoted"')),
    ("history", "sequence edited", swap('"sequence": 1', '"sequence": 2')),
    ("history", "negative sequence", swap('"sequence": 1', '"sequence": -1')),
    ("receipt", "unknown key", swap('"predicate"', '"predicates"')),
    ("receipt", "digest of text", swap('"sha256": "', '"sha256": "zz')),
    ("calls", "line dropped", lambda data: data.split(b"\n", 1)[1]),
    ("calls", "answer edited", swap('"finish_reason":"stop"', '"finish_reason":"length"')),
    ("texts", "text edited", swap("by colour", "by color")),
]  # fmt: skip
