from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.contracts.dataset import DatasetSpec
from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError
from dse_cli.contracts.signature import Signature, SignatureSpec
from dse_cli.evaluation.datasets.dataset_loader import load_dataset

SIGNATURE = Signature(
    SignatureSpec.model_validate(
        {
            "dse": "signature/v1",
            "id": "@acme/shop/Parse.v1",
            "description": "d",
            "input": {"text": "string"},
            "output": {
                "count": "integer",
                "price": "number",
                "gift": "boolean",
                "due": {"type": ["integer", "null"]},
                "items": "array",
                "extra": {"type": "object", "optional": True},
                "kind": {"enum": ["a", "b"]},
            },
            "prompt": [{"instruction": "i"}],
        }
    ),
    {},
)
FIELDS = ("count", "price", "gift", "due", "items", "extra", "kind")
HEADER = "id,text,split,tags," + ",".join(FIELDS)
GOOD = 'r1,"a, b",train,x; y,3,0.5,TRUE,,"[1, ""z""]","{""k"": null}",a'


def load(folder: Path, *lines: str, columns: dict | None = None, **options):
    (folder / "rows.csv").write_text("\n".join(lines), encoding="utf-8", newline="")
    loose = options.pop("loose_fields", frozenset())
    mapped = {
        "id": "id",
        "input": {"text": "text"},
        "expected": {name: name for name in FIELDS},
        "split": "split",
        "tags": "tags",
    }
    spec = {
        "dse": "dataset/v1",
        "id": "d",
        "files": [{"path": "rows.csv", "columns": mapped | (columns or {})}],
        "split": {"field": "split"},
    }
    return load_dataset(
        folder,
        DatasetSpec.model_validate(spec | options),
        SIGNATURE,
        folder=folder,
        loose_fields=loose,
    )


def problems(folder: Path, *lines: str, **options) -> list[Diagnostic]:
    with pytest.raises(SpecError) as caught:
        load(folder, *lines, **options)
    return list(caught.value.diagnostics)


def test_cells_become_the_types_of_the_signature(tmp_path):
    (row,) = load(tmp_path, HEADER, GOOD).rows
    assert row.input == {"text": "a, b"}
    assert row.expected == {
        "count": 3,
        "price": 0.5,
        "gift": True,
        "due": None,
        "items": [1, "z"],
        "extra": {"k": None},
        "kind": "a",
    }
    assert (row.tags, row.split, row.line) == (("x", "y"), "train", 2)


def test_an_empty_cell_leaves_out_an_optional_field(tmp_path):
    (row,) = load(tmp_path, HEADER, "r1,t,val,,3,4,false,7,[],,b").rows
    assert "extra" not in row.expected
    assert row.expected["due"] == 7
    assert row.tags == ()


def test_a_text_column_is_never_converted(tmp_path):
    (row,) = load(tmp_path, HEADER, "r1,007,val,,3,4,false,7,[],,b").rows
    assert row.input == {"text": "007"}


@pytest.mark.parametrize(
    ("cell", "place", "words"),
    [
        ("three", 4, "'three' is not of type integer"),
        ("3.5", 4, "'3.5' is of type number, expected integer"),
        ("", 4, "the cell is empty, expected integer"),
        ("1" * 5000, 4, "is not of type integer"),
        ("0,5", 5, "'0,5' is not of type number"),
        ("yes", 6, "'yes' is not of type boolean"),
        ("1", 6, "'1' is of type integer, expected boolean"),
        ("{}", 8, "'{}' is of type object, expected array"),
        ("NaN", 5, "'NaN' is not of type number"),
    ],
)
def test_a_cell_that_does_not_spell_its_type_is_an_error(tmp_path, cell, place, words):
    cells = ["r1", "t", "train", "", "3", "4", "true", "", "[]", "", "a"]
    cells[place] = f'"{cell}"'
    (found,) = problems(tmp_path, HEADER, ",".join(cells))
    assert (found.file, found.line, found.code) == ("rows.csv", 2, "cell-type")
    assert words in found.message
    assert f"column {FIELDS[place - 4]!r}" in found.message


def test_rows_are_checked_like_any_other(tmp_path):
    found = problems(tmp_path, HEADER, GOOD, GOOD, GOOD.replace("r1", "r2")[:-1] + "c")
    assert [(item.line, item.code) for item in found] == [(3, "duplicate-id"), (4, "does-not-fit")]


def test_lines_are_counted_through_quoted_line_breaks(tmp_path):
    second = 'r2,"two\nlines",train,,3,4,true,,[],,a'
    third = "r3,t,nowhere,,3,4,true,,[],,a"
    (found,) = problems(tmp_path, HEADER, GOOD, second, third)
    assert (found.line, found.code) == (5, "bad-split")
    assert found.source == third


def test_a_column_that_is_not_there_has_a_nearest_one(tmp_path):
    (found,) = problems(tmp_path, HEADER, GOOD, columns={"id": "idd"})
    assert (found.line, found.code, found.hint) == (1, "missing-column", "did you mean 'id'?")


def test_two_columns_of_one_name_are_refused(tmp_path):
    (found,) = problems(tmp_path, HEADER + ",id", GOOD + ",x")
    assert found.code == "duplicate-column"


def test_a_record_with_too_few_or_too_many_cells(tmp_path):
    found = problems(tmp_path, HEADER, "r1,t", GOOD + ",more")
    assert [(item.line, item.code) for item in found] == [(2, "cell-count"), (3, "cell-count")]


def test_a_quote_that_never_ends_is_a_diagnostic(tmp_path):
    (found,) = problems(tmp_path, HEADER, 'r1,"open')
    assert found.code == "csv-syntax"


def test_files_without_rows(tmp_path):
    assert [item.code for item in problems(tmp_path, "")] == ["empty-file"]
    assert [item.code for item in problems(tmp_path, HEADER)] == ["empty-file"]


def test_the_column_map_and_the_split_rule_must_agree(tmp_path):
    hashed = {"hash": {"train": 1.0, "val": 0.0, "holdout": 0.0, "seed": 1}}
    (found,) = problems(tmp_path, HEADER, GOOD, split=hashed)
    assert (found.file, found.code) == ("dataset.yaml", "column-map")
    (found,) = problems(tmp_path, HEADER, GOOD, columns={"split": None})
    assert found.code == "column-map"
    (found,) = problems(tmp_path, HEADER, GOOD, group="who")
    assert found.code == "column-map"


def test_a_group_column(tmp_path):
    dataset = load(
        tmp_path, HEADER + ",who", GOOD + ",anna", GOOD.replace("r1", "r2") + ",",
        columns={"group": "who"}, group="who",
    )  # fmt: skip
    assert [row.group for row in dataset.rows] == ["anna", None]


def test_a_loose_field_may_be_a_list(tmp_path):
    line = GOOD[:-1] + '"[""a"", ""b""]"'
    (row,) = load(tmp_path, HEADER, line, loose_fields=frozenset({"kind"})).rows
    assert row.expected["kind"] == ["a", "b"]
    (row,) = load(tmp_path, HEADER, GOOD, loose_fields=frozenset({"count"})).rows
    assert row.expected["count"] == 3


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=80), st.booleans())
def test_whatever_the_bytes_there_are_rows_or_diagnostics(data, has_header):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = (HEADER + "\n" if has_header else "") + data.decode("latin-1")
        try:
            assert load(folder, text).rows
        except SpecError as error:
            assert error.diagnostics
