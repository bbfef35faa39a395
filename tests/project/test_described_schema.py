from __future__ import annotations

from typing import Any

import pytest

from dse_cli.contracts.base import Contract
from dse_cli.contracts.dataset import DatasetSpec
from dse_cli.contracts.job import CompileJob
from dse_cli.contracts.project import ProjectSpec
from dse_cli.contracts.signature import SignatureSpec
from dse_cli.project.described_schema import attribute_lines, described_schema, first_sentence

DOCSTRING = """A thing: with ``code``. Not shown.

    More that is not shown.

    Attributes:
        one: the first,
            on two lines: with a colon.
        two, three: both.

    Raises:
        ValueError: never.
    """


class Thing(Contract):
    """A thing (DESIGN section 3.1).

    Attributes:
        one: the first.
    """

    one: int
    two: int = 0


def test_of_a_docstring_the_first_sentence_and_the_attribute_lines_are_left() -> None:
    assert first_sentence(DOCSTRING) == "A thing: with `code`."
    assert attribute_lines(DOCSTRING) == {
        "one": "the first, on two lines: with a colon.",
        "two": "both.",
        "three": "both.",
    }


def test_each_documented_field_has_its_own_description() -> None:
    schema = described_schema(Thing)
    assert schema["description"] == "A thing."
    assert schema["properties"]["one"]["description"] == "the first."
    assert "description" not in schema["properties"]["two"]


def descriptions(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [text for part in schema for text in descriptions(part)]
    if not isinstance(schema, dict):
        return []
    own = schema.get("description")
    found = [text for part in schema.values() for text in descriptions(part)]
    return [*([own] if isinstance(own, str) else []), *found]


@pytest.mark.parametrize("contract", [ProjectSpec, SignatureSpec, DatasetSpec, CompileJob])
def test_no_schema_shows_the_raw_docstring(contract: type[Contract]) -> None:
    found = descriptions(described_schema(contract))
    assert len(found) > 5
    for text in found:
        assert "Attributes:" not in text
        assert "\n" not in text
        assert "``" not in text
