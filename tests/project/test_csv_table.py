from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError
from dse_cli.project.csv_table import CsvTable, load_csv, parse_csv


def codes(text: str) -> list[tuple[int, str]]:
    with pytest.raises(SpecError) as caught:
        parse_csv(text, name="f.csv")
    return [(found.line, found.code) for found in caught.value.diagnostics]


def test_rows_carry_the_line_on_which_they_start(tmp_path: Path) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(b'id,text\r\n1,"two\nlines"\r\n\r\n2,"a, ""b"""\r\n')
    table = load_csv(path)
    assert table.columns == ("id", "text")
    assert list(table) == [
        (2, {"id": "1", "text": "two\nlines"}),
        (5, {"id": "2", "text": 'a, "b"'}),
    ]
    assert table.diagnostic(5, "code", "message").source == '2,"a, ""b"""'


def test_rows_of_another_width_are_each_reported() -> None:
    assert codes("a,b\n1\n1,2\n1,2,3\n") == [(2, "csv-width"), (4, "csv-width")]


@pytest.mark.parametrize("header", ["a,a", "a,", "a,  ,b"])
def test_a_header_without_distinct_names_is_refused(header: str) -> None:
    assert codes(header + "\n") == [(1, "csv-header")]


def test_an_empty_file_has_no_header() -> None:
    assert codes("") == [(1, "empty-file")]


def test_quotes_that_do_not_close_are_refused() -> None:
    assert codes('a,b\n1,2\n3,"4\n')[0] == (3, "csv-syntax")
    assert codes('a,b\n1,"2"x\n')[0] == (2, "csv-syntax")


def test_a_byte_order_mark_is_named() -> None:
    assert codes("\ufeffa,b\n1,2\n") == [(1, "byte-order-mark")]


def attempt(text: str) -> CsvTable | tuple[Diagnostic, ...]:
    try:
        return parse_csv(text, name="f")
    except SpecError as error:
        return error.diagnostics


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="ab,\"\n\r \0'", max_size=30))
def test_any_text_is_a_table_or_refused(text: str) -> None:
    result = attempt(text)
    if isinstance(result, CsvTable):
        assert all(set(cells) == set(result.columns) for _, cells in result)
        return
    last = text.count("\n") + text.count("\r") + 1
    assert result
    assert all(1 <= found.line <= last for found in result)
