from __future__ import annotations

from pathlib import Path

import pytest

from dse_cli.contracts.history import HistoryRecord
from dse_cli.registry.json_text import json_file_bytes

ROOT = Path(__file__).resolve().parents[2]
RECORDS = sorted(ROOT.glob("artifacts/*/history/*.json"))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.parent.parent.name)
def test_a_committed_record_is_written_again_with_the_same_bytes(path: Path) -> None:
    record = HistoryRecord.model_validate_json(path.read_bytes())
    assert json_file_bytes(record.to_json()) == path.read_bytes()


def test_there_are_committed_records_to_hold_on_to() -> None:
    assert RECORDS
