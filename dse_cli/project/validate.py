"""From a parsed file to a contract, or to every reason why not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from dse_cli.contracts.base import Contract
from dse_cli.project.explain import explain, is_consequence
from dse_cli.project.placed_error import likely_errors, misspelt_keys, place
from dse_cli.project.schema_view import SchemaView
from dse_cli.project.source_text import raise_sorted

if TYPE_CHECKING:
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.project.document import Document

C = TypeVar("C", bound=Contract)


def validate(document: Document, contract: type[C], *, scan_secrets: bool = True) -> C:
    """Return the contract that a document holds.

    Args:
        scan_secrets: refuse whatever looks like a key. Off only for files that hold what a model
            said, where a look-alike is data.

    Raises:
        SpecError: every problem, in file order, each with its position, line and hint.
    """
    problems = document.secrets() if scan_secrets else []
    checked: C | None = None
    try:
        # As JSON, because that is what the file stands for: lists fill tuples, nothing else bends.
        checked = contract.model_validate_json(json.dumps(document.value))
    except ValidationError as error:
        problems += explained(error, document, contract)
    raise_sorted(problems)
    if checked is None:
        raise RuntimeError("a refused document came without a problem")
    return checked


def explained(
    error: ValidationError, document: Document, contract: type[Contract]
) -> list[Diagnostic]:
    """Return what Pydantic found wrong in a document, in plain words and at its lines."""
    if document.value is None:
        return [document.diagnostic((), "empty-file", "the file is empty, expected a mapping")]
    view = SchemaView(contract)
    placed = likely_errors(
        [place(entry, document.value) for entry in error.errors(include_url=False)]
    )
    misspelt = misspelt_keys(placed)
    return [
        explain(entry, document, view)
        for entry in placed
        if entry.loc not in misspelt and not is_consequence(entry, document)
    ]
