from __future__ import annotations

from pathlib import Path

import pytest

from dse_cli.contracts.errors import SpecError
from dse_cli.project.source_text import SourceText, mask_secrets, read_source


def test_the_end_of_a_text_is_its_last_visible_character() -> None:
    source = SourceText("f", "a: 1\nb: [\n\n")
    assert source.position(len(source.text)) == (2, 4)
    assert SourceText("f", "").position(0) == (1, 1)


def test_each_kind_of_line_break_ends_a_line() -> None:
    source = SourceText("f", "a\nb\r\nc\rd")
    assert [source.line_text(line) for line in (1, 2, 3, 4)] == ["a", "b", "c", "d"]
    assert source.position(7) == (4, 1)
    assert source.line_text(5) == ""


def test_masking_keeps_the_width_of_a_line() -> None:
    line = "key: sk-" + "a" * 20 + " end"
    assert mask_secrets(line) == "key: " + "*" * 23 + " end"


def test_a_pipe_is_refused_without_being_opened(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SpecError) as caught:
        read_source(tmp_path / "pipe", name="pipe", max_bytes=10)
    assert caught.value.diagnostics[0].code == "not-a-file"


def test_a_path_that_no_system_can_open_is_a_diagnostic(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_source(tmp_path / ("x" * 5000), name="long", max_bytes=10)
    assert caught.value.diagnostics[0].code == "unreadable-file"
