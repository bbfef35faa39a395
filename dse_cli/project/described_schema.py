"""The JSON Schema of a contract for editors: each key says in one line what it is.

Our docstrings have an ``Attributes:`` section. Here its lines go to the fields that they are about,
and of the rest the first sentence stays.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dse_cli.contracts.base import Contract

#: ``name: text`` or ``name, other: text``, as the section's own indentation has it.
_LINE: Final = re.compile(r"^([a-z_][A-Za-z0-9_]*(?:, [a-z_][A-Za-z0-9_]*)*): (.*)$")
_SECTION: Final = re.compile(r"\n\s*(Attributes|Args|Raises|Returns):\s*\n")
_SENTENCE: Final = re.compile(r"^.*?[.](?=\s|$)", re.DOTALL)
#: For people who read the code, and not for those who write the file.
_INTERNAL: Final = re.compile(r" \(DESIGN section[^)]*\)|:[a-z]+:(?=`)")


def described_schema(contract: type[Contract]) -> dict[str, Any]:
    """Return the JSON Schema of a contract with a description for each documented field."""
    schema = contract.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        _describe(part)
    return schema


def _describe(schema: dict[str, Any]) -> None:
    for branch in (schema, *schema.get("anyOf", ())):
        written = branch.get("description")
        if not isinstance(written, str):
            continue
        branch["description"] = first_sentence(written)
        for name, text in attribute_lines(written).items():
            field = branch.get("properties", {}).get(name)
            if isinstance(field, dict):
                field.setdefault("description", text)


def first_sentence(docstring: str) -> str:
    """Return what a docstring begins with, on one line."""
    head = _SECTION.split(docstring, maxsplit=1)[0].strip().split("\n\n")[0]
    found = _SENTENCE.match(head)
    return _plain(head if found is None else found.group())


def attribute_lines(docstring: str) -> dict[str, str]:
    """Return the text of each name in the ``Attributes:`` section of a docstring."""
    parts = _SECTION.split(docstring)
    texts: dict[str, list[str]] = {}
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        if title != "Attributes":
            continue
        lines = body.split("\n")
        depth = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
        current: list[str] = []
        for line in lines:
            found = _LINE.match(line[depth:])
            if found is None:
                current.append(line.strip())
                continue
            current = [found.group(2)]
            texts |= dict.fromkeys(found.group(1).split(", "), current)
    return {name: _plain(" ".join(words)) for name, words in texts.items()}


def _plain(text: str) -> str:
    return _INTERNAL.sub("", " ".join(text.split())).replace("``", "`")
