from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.contracts.dataset import Dataset, DatasetSpec, HashSplit
from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError
from dse_cli.contracts.reward import RewardSpec
from dse_cli.contracts.signature import Signature, SignatureSpec
from dse_cli.evaluation.datasets.dataset_loader import load_dataset
from dse_cli.evaluation.datasets.splits import hashed_split
from dse_cli.evaluation.rewards.reward import Reward

SIGNATURE = Signature(
    SignatureSpec.model_validate(
        {
            "dse": "signature/v1",
            "id": "@acme/support/Route.v1",
            "description": "d",
            "input": {"ticket": "string"},
            "output": {"queue": {"enum": ["billing", "other"]}},
            "prompt": [{"instruction": "i"}],
        }
    ),
    {},
)


def spec_of(**changes) -> DatasetSpec:
    base = {"dse": "dataset/v1", "id": "d", "files": ["rows.jsonl"], "split": {"field": "split"}}
    return DatasetSpec.model_validate(base | changes)


def row(row_id: str, **changes) -> dict:
    base = {
        "id": row_id,
        "input": {"ticket": f"text of {row_id}"},
        "expected": {"queue": "billing"},
        "split": "train",
    }
    return base | changes


def write(folder: Path, *rows: object, name: str = "rows.jsonl") -> None:
    lines = [line if isinstance(line, str) else json.dumps(line) for line in rows]
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def load(folder: Path, spec: DatasetSpec | None = None, **options: Any) -> Dataset:
    return load_dataset(
        options.get("root", folder),
        spec or spec_of(),
        options.get("signature", SIGNATURE),
        folder=folder,
        loose_fields=options.get("loose_fields", frozenset()),
        row_problem=options.get("row_problem", lambda row: None),
    )


def problems(folder: Path, spec: DatasetSpec | None = None, **options: Any) -> list[Diagnostic]:
    with pytest.raises(SpecError) as caught:
        load(folder, spec, **options)
    return list(caught.value.diagnostics)


def only(found: list[Diagnostic]) -> Diagnostic:
    assert len(found) == 1, found
    return found[0]


def test_rows_come_in_id_order_with_clean_tags(tmp_path):
    write(tmp_path, row("b", tags=[" z", "a", "a "], split="val"), "", row("a", reviewed=False))
    dataset = load(tmp_path)
    assert [found.id for found in dataset.rows] == ["a", "b"]
    assert dataset.rows[1].tags == ("a", "z")
    assert (dataset.rows[1].file, dataset.rows[1].line) == ("rows.jsonl", 1)
    assert dataset.rows[0].line == 3
    assert [found.id for found in dataset.split("val")] == ["b"]


def test_the_revision_covers_every_row_in_full_and_not_where_it_stands(tmp_path):
    base = [row("a"), row("b", split="val", tags=["x", "y"])]
    write(tmp_path, *base)
    revision = load(tmp_path).revision
    write(tmp_path, "", base[1] | {"tags": ["y", "x", "x"]}, base[0])
    assert load(tmp_path).revision == revision
    for changed in (
        row("c"),
        row("a", split="val"),
        row("a", tags=["t"]),
        row("a", expected={"queue": "other"}),
        row("a", input={"ticket": "else"}),
    ):
        write(tmp_path, changed, base[1])
        assert load(tmp_path).revision != revision
    write(tmp_path, *base)
    assert load(tmp_path, spec_of(id="e")).revision != revision


def test_a_row_with_another_number_spelling_is_the_same_row(tmp_path):
    write(tmp_path, row("a", input={"n": 1}))
    first = load(tmp_path, signature=None)
    write(tmp_path, row("a", input={"n": 1.0}))
    assert load(tmp_path, signature=None).revision == first.revision


def test_duplicate_ids_name_both_lines(tmp_path):
    write(tmp_path, row("a"), row("b"), row("a", input={"ticket": "else"}))
    found = only(problems(tmp_path))
    assert (found.code, found.line) == ("duplicate-id", 3)
    assert "rows.jsonl:1" in found.message
    assert found.column == 8


def test_duplicate_ids_are_found_across_files(tmp_path):
    write(tmp_path, row("a"))
    write(tmp_path, row("a", input={"ticket": "else"}), name="more.jsonl")
    found = only(problems(tmp_path, spec_of(files=["rows.jsonl", "more.jsonl"])))
    assert (found.file, found.line) == ("more.jsonl", 1)
    assert "rows.jsonl:1" in found.message


@pytest.mark.parametrize(
    ("left", "right"), [("train", "holdout"), ("val", "holdout"), ("train", "val")]
)
def test_the_same_input_in_two_splits_is_a_leak(tmp_path, left, right):
    write(
        tmp_path,
        row("a", input={"n": 1, "m": 2}, split=left),
        row("b", input={"m": 2, "n": 1.0}, split=right),
    )
    found = only(problems(tmp_path, signature=None))
    assert (found.code, found.line) == ("split-leak", 2)
    assert "'a'" in found.message
    assert "rows.jsonl:1" in found.message


def test_the_same_input_twice_in_one_split_is_no_leak(tmp_path):
    write(tmp_path, row("a", input={"ticket": "x"}), row("b", input={"ticket": "x"}))
    assert len(load(tmp_path).rows) == 2


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("test", "did you mean 'holdout'?"),
        ("dev", "did you mean 'val'?"),
        ("trian", "did you mean 'train'?"),
        ("xyz", None),
        (3, None),
        (None, None),
    ],
)
def test_a_split_that_does_not_exist(tmp_path, written, hint):
    write(tmp_path, row("a", split=written))
    found = only(problems(tmp_path))
    assert (found.code, found.line, found.hint) == ("bad-split", 1, hint)
    assert "train, val, holdout" in found.message


def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path):
    write(tmp_path, row("a", tag=["x"]))
    found = only(problems(tmp_path))
    assert (found.code, found.hint) == ("unknown-key", "did you mean 'tags'?")
    assert found.column == json.dumps(row("a", tag=["x"])).index('"tag"') + 1


def test_a_split_key_has_no_effect_and_is_refused_when_a_hash_splits(tmp_path):
    write(tmp_path, row("a"))
    rule = {"hash": {"train": 0.5, "val": 0.25, "holdout": 0.25, "seed": 1}}
    assert only(problems(tmp_path, spec_of(split=rule))).code == "unknown-key"


def test_every_missing_key_is_named(tmp_path):
    write(tmp_path, {"tags": []})
    assert [found.message for found in problems(tmp_path)] == [
        "missing key 'expected'",
        "missing key 'id'",
        "missing key 'input'",
        "missing key 'split'",
    ]


@pytest.mark.parametrize("bad", ["", "a b", "-a", "ä", "a" * 201, 7, None, ["a"], "a\n"])
def test_what_cannot_be_an_id(tmp_path, bad):
    write(tmp_path, row("a") | {"id": bad})
    assert only(problems(tmp_path)).code == "wrong-value"


def test_an_unreviewed_row_stays_out_of_the_holdout(tmp_path):
    write(tmp_path, row("a", split="holdout", reviewed=False), row("b", reviewed=False))
    found = only(problems(tmp_path))
    assert (found.code, found.line) == ("unreviewed-holdout", 1)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reviewed": "yes"}, "wrong-type"),
        ({"tags": "x"}, "wrong-type"),
        ({"tags": ["", 3]}, "wrong-value"),
        ({"input": ["x"]}, "wrong-type"),
        ({"expected": None}, "wrong-type"),
    ],
)
def test_wrong_types_are_named(tmp_path, changes, code):
    write(tmp_path, row("a", **changes))
    assert {found.code for found in problems(tmp_path)} == {code}


@pytest.mark.parametrize("line", ["3", "null", "[]", '"text"'])
def test_a_row_that_is_no_mapping(tmp_path, line):
    write(tmp_path, line)
    assert only(problems(tmp_path)).code == "wrong-type"


def test_a_value_that_does_not_fit_names_its_field_and_the_nearest_choice(tmp_path):
    write(tmp_path, row("a", expected={"queue": "biling"}))
    found = only(problems(tmp_path))
    assert found.code == "does-not-fit"
    assert found.message.startswith('expected.queue: "biling"')
    assert found.hint == "did you mean 'billing'?"


def test_a_field_that_the_input_does_not_have(tmp_path):
    write(tmp_path, row("a", input={"tiket": "x"}))
    found = problems(tmp_path)
    assert {item.code for item in found} == {"does-not-fit"}
    assert any("tiket" in item.message for item in found)
    assert found[0].hint == "did you mean 'ticket'?"


def test_expected_lists_are_for_metrics_that_read_lists(tmp_path):
    write(tmp_path, row("a", expected={"queue": ["billing", "other"]}))
    assert only(problems(tmp_path)).code == "does-not-fit"
    assert len(load(tmp_path, loose_fields=frozenset({"queue"})).rows) == 1
    write(tmp_path, row("a", expected={}))
    assert only(problems(tmp_path, loose_fields=frozenset({"queue"}))).code == "does-not-fit"


def test_a_row_that_the_reward_cannot_judge_is_found_at_load(tmp_path):
    spec = RewardSpec.model_validate({"signals": [{"one_of": {"weight": 1, "field": "queue"}}]})
    reward = Reward(spec)
    write(tmp_path, row("a", expected={"queue": ["other"]}), row("b", expected={"queue": []}))
    found = only(
        problems(tmp_path, loose_fields=reward.loose_fields, row_problem=reward.row_problem)
    )
    assert (found.line, found.code) == (2, "cannot-be-judged")
    assert found.message == "one_of:queue: expected.queue lists no value"


def test_a_malformed_line_is_shown_with_its_column(tmp_path):
    write(tmp_path, row("a"), '{"id": "b",}')
    found = only(problems(tmp_path))
    assert (found.file, found.line, found.column) == ("rows.jsonl", 2, 11)
    assert found.source == '{"id": "b",}'


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "a", "id": "b"}',
        '{"id": NaN}',
        '{"id": 1e999}',
        '{"id": 12345678901234567890}',
        '{"id": "\\ud800"}',
        "{'id': 1}",
        "[" * 100_000,
    ],
)
def test_what_is_not_strict_json_is_a_diagnostic(tmp_path, line):
    write(tmp_path, line)
    assert problems(tmp_path)[0].line == 1


def test_long_lines_are_shortened(tmp_path):
    write(tmp_path, row("a", split="x", input={"ticket": "long " * 1000}))
    found = only(problems(tmp_path))
    assert found.source is not None
    assert len(found.source) <= 240


def test_all_problems_of_all_files_come_together(tmp_path):
    write(tmp_path, row("a", split="x"), row("b"), row("b", expected={}))
    write(tmp_path, "{", name="broken.jsonl")
    spec = spec_of(files=["rows.jsonl", "missing.jsonl", "broken.jsonl"])
    found = [(item.file, item.line, item.code) for item in problems(tmp_path, spec)]
    assert ("rows.jsonl", 1, "bad-split") in found
    assert ("rows.jsonl", 3, "duplicate-id") in found
    assert ("rows.jsonl", 3, "does-not-fit") in found
    assert ("missing.jsonl", 0, "missing-file") in found
    assert any(file == "broken.jsonl" for file, *_ in found)


@pytest.mark.parametrize("content", ["", "\n\n", "  \n"])
def test_a_file_without_rows(tmp_path, content):
    (tmp_path / "rows.jsonl").write_text(content, encoding="utf-8")
    assert only(problems(tmp_path)).code == "empty-file"


@pytest.mark.parametrize("path", ["../out.jsonl", "a/../../out.jsonl", "\0", "/rows.jsonl"])
def test_no_file_outside_the_project_is_read(tmp_path, path):
    root = tmp_path / "project"
    (root / "datasets").mkdir(parents=True)
    write(tmp_path, row("a"), name="out.jsonl")
    spec = spec_of(files=[path])
    found = only(problems(root, spec))
    assert (found.file, found.code) == ("dataset.yaml", "path-outside-project")


def test_a_symbolic_link_does_not_lead_out_of_the_project(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    write(tmp_path, row("a"), name="out.jsonl")
    (root / "rows.jsonl").symlink_to(tmp_path / "out.jsonl")
    assert only(problems(root)).code == "path-outside-project"
    (root / "rows.jsonl").unlink()
    (root / "rows.jsonl").symlink_to(root / "rows.jsonl")
    assert problems(root)


def test_paths_are_relative_to_the_dataset_and_shown_from_the_project_root(tmp_path):
    folder = tmp_path / "datasets" / "d"
    folder.mkdir(parents=True)
    write(tmp_path / "datasets", row("a", split="x"), name="shared.jsonl")
    found = only(problems(folder, spec_of(files=["../shared.jsonl"]), root=tmp_path))
    assert found.file == "datasets/shared.jsonl"
    twice = spec_of(files=["../shared.jsonl", "../../datasets/shared.jsonl"])
    codes = {item.code: item.file for item in problems(folder, twice, root=tmp_path)}
    assert codes["duplicate-file"] == "datasets/d/dataset.yaml"


def test_groups_are_read_from_the_declared_field(tmp_path):
    write(tmp_path, row("a", patient="p1"), row("b"))
    dataset = load(tmp_path, spec_of(group="patient"))
    assert [found.group for found in dataset.rows] == ["p1", None]
    write(tmp_path, row("a", patient=7))
    assert only(problems(tmp_path, spec_of(group="patient"))).code == "wrong-type"


def test_a_hash_split_moves_no_old_row_and_keeps_its_shares(tmp_path):
    rule = {"train": 0.5, "val": 0.25, "holdout": 0.25, "seed": 7}
    spec = spec_of(split={"hash": rule})
    rows = [{k: v for k, v in row(f"r{i}").items() if k != "split"} for i in range(800)]
    write(tmp_path, *rows[:400])
    before = {found.id: found.split for found in load(tmp_path, spec).rows}
    write(tmp_path, *rows[::-1])
    after = {found.id: found.split for found in load(tmp_path, spec).rows}
    assert {name: after[name] for name in before} == before
    counts = [list(after.values()).count(name) for name in ("train", "val", "holdout")]
    assert counts == pytest.approx([400, 200, 200], abs=45)


def test_another_seed_splits_otherwise_and_an_empty_share_gets_no_row():
    ids = [f"r{i}" for i in range(300)]
    one, two = (HashSplit(train=0.5, val=0.5, holdout=0, seed=seed) for seed in (0, 1))
    assert [hashed_split(one, i) for i in ids] != [hashed_split(two, i) for i in ids]
    assert {hashed_split(one, i) for i in ids} == {"train", "val"}
    last = HashSplit(train=0, val=0, holdout=1, seed=3)
    assert {hashed_split(last, i) for i in ids} == {"holdout"}


ANY_LINE = st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "input", "expected", "split", "tags", "reviewed", "x"]), inner
        )
    ),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())


@settings(deadline=None, max_examples=80)
@given(st.lists(ANY_LINE, max_size=4))
def test_whatever_the_bytes_there_are_rows_or_diagnostics(lines):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rows.jsonl").write_bytes(b"\n".join(lines))
        try:
            dataset = load(folder)
        except SpecError as error:
            assert error.diagnostics
            assert all(found.file == "rows.jsonl" for found in error.diagnostics)
        else:
            assert dataset.rows
