"""A strict YAML reader that knows where everything stands.

YAML is read as a tree of events, never through a constructor, so that no tag can make an object.
Refused: duplicate keys, tags, merge keys, several documents, keys that are not texts, aliases that
expand to more than 1,000 values, more than 5 MB, nesting deeper than 64. All that is
wrong is collected where possible; a syntax error ends the reading.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import yaml

from dse_cli.project.document import Document, Node
from dse_cli.project.source_text import SourceText, raise_sorted, read_source
from dse_cli.project.yaml_composer import StopReading, YamlComposer
from dse_cli.project.yaml_syntax import explain_syntax

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.contracts.diagnostic import Diagnostic

MAX_BYTES: Final = 5_000_000

# YAML 1.1 readers (libyaml) break lines at these; YAML 1.2 and editors do not.
_ODD_BREAK: Final = re.compile("[\x85\u2028\u2029]")
_CONTROL: Final = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")


class YamlDocument(Document):
    """A parsed YAML file: ``value``, and ``position`` and ``diagnostic`` for every part of it."""


def load_yaml(path: Path, *, name: str) -> YamlDocument:
    """Read and parse a YAML file.

    Args:
        name: what diagnostics call the file: its path relative to the project root.

    Raises:
        SpecError: with every problem found.
    """
    return _parse(read_source(path, name=name, max_bytes=MAX_BYTES))


def parse_yaml(text: str, *, name: str) -> YamlDocument:
    """Parse YAML text; see :func:`load_yaml`.

    Raises:
        SpecError: with every problem found.
    """
    return _parse(SourceText(name, text))


def _parse(source: SourceText) -> YamlDocument:
    raise_sorted([*source.text_problems(), *_character_problems(source)])
    composer = YamlComposer(source)
    root: Node | None = None
    try:
        root = composer.document()
    except StopReading:
        pass
    # PyYAML's own classes, and what its scanner lets through from int() and chr().
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        composer.problems.append(explain_syntax(error, source))
    raise_sorted(composer.problems)
    tree = root or Node(0)
    return YamlDocument(source, tree.to_value(), lambda: tree)


def _character_problems(source: SourceText) -> list[Diagnostic]:
    problems = []
    for pattern, what in ((_CONTROL, "control character"), (_ODD_BREAK, "line separator")):
        if match := pattern.search(source.text):
            code = ord(match.group())
            problems.append(
                source.diagnostic(
                    match.start(),
                    "invalid-character",
                    f"the {what} U+{code:04X} cannot stand in YAML as it is",
                    f'in a text in double quotes, write it as "\\u{code:04x}"',
                )
            )
    return problems
