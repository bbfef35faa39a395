"""One row of a dataset: from what a file says to a :class:`Row`, or to what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter, ValidationError

from dse_cli.canonical import NotCanonicalError
from dse_cli.contracts.base import RowId
from dse_cli.contracts.dataset import SPLITS, Row, Split
from dse_cli.contracts.schema import Checker, Schema
from dse_cli.evaluation.datasets.row_checks import check_reviewed, explain_misfit, shown, tags_of
from dse_cli.evaluation.datasets.row_file import Draft, PlacedRow, RowFile
from dse_cli.evaluation.datasets.splits import hashed_split
from dse_cli.evaluation.schema_fields import loosened
from dse_cli.project.suggest import did_you_mean

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import CsvColumns, DatasetSpec
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.contracts.signature import Signature

_ID: Final = TypeAdapter[str](RowId)
#: What other tools call the splits.
_OTHER_NAMES: Final[dict[str, Split]] = {
    "training": "train",
    "dev": "val",
    "valid": "val",
    "validation": "val",
    "eval": "holdout",
    "test": "holdout",
    "hold_out": "holdout",
}


class RowBuilder:
    """Builds the rows of one dataset.

    Args:
        spec: the dataset.
        signature: what rows must fit, or None.
        loose_fields: see :func:`dse_cli.evaluation.datasets.dataset_loader.load_dataset`.
    """

    def __init__(
        self, spec: DatasetSpec, signature: Signature | None, loose_fields: frozenset[str]
    ) -> None:
        self.split_field = spec.split.field
        self.group_field = spec.group
        self.loose_fields = loose_fields
        self.input_schema: Schema = signature.input_schema if signature else {}
        self.output_schema: Schema = signature.output_schema if signature else {}
        self._checks: list[tuple[str, Checker, Schema]] = []
        if signature is not None:
            expected = loosened(self.output_schema, loose_fields)
            self._checks = [
                ("input", signature.input_checker, self.input_schema),
                ("expected", Checker(expected), expected),
            ]
        self._hash_split = spec.split.hash
        optional = [name for name in (spec.split.field, spec.group) if name is not None]
        self._allowed = frozenset({"id", "input", "expected", "tags", "reviewed", *optional})

    def column_problem(self, columns: CsvColumns) -> str | None:
        """Return why a CSV column map does not go with the dataset's other settings."""
        if self.split_field is not None and columns.split is None:
            return "the split comes from a field, so the column map needs 'split'"
        if self.split_field is None and columns.split is not None:
            return "the split comes from a hash, so 'split' in the column map has no effect"
        if (self.group_field is None) != (columns.group is None):
            return "'group' stands in both the dataset and the column map, or in neither"
        return None

    def rows(self, file: RowFile, problems: list[Diagnostic]) -> Iterator[PlacedRow]:
        """Yield the rows of a file that have an id; what is wrong goes to ``problems``."""
        for line in file:
            draft = Draft(file, line, problems)
            row_id = self._id(draft)
            row = None if row_id is None else self._row(draft, row_id)
            if row_id is not None:
                yield PlacedRow(row_id, row, file, line)

    def _id(self, draft: Draft) -> str | None:
        value = draft.value
        if not isinstance(value, dict):
            draft.fail((), "wrong-type", "a row must be a mapping with id, input and expected")
            return None
        for key in sorted(value.keys() - self._allowed):
            hint = did_you_mean(key, self._allowed - value.keys(), otherwise="known keys")
            draft.fail((key,), "unknown-key", f"unknown key {key!r}", hint, key=True)
        for key in sorted({"id", "input", "expected", self.split_field or "id"} - value.keys()):
            draft.fail((), "missing-key", f"missing key {key!r}")
        row_id = value.get("id")
        try:
            return _ID.validate_python(row_id, strict=True)
        except ValidationError:
            pass
        if "id" in value:
            hint = "letters, digits and . _ : / - after a first letter or digit, at most 200"
            draft.fail(("id",), "wrong-value", f"{shown(row_id)} cannot be an id", hint)
        return None

    def _row(self, draft: Draft, row_id: str) -> Row | None:
        value = draft.value
        split = self._split(draft, row_id)
        tags = tags_of(draft)
        group = self._group(draft)
        for key in ("input", "expected"):
            if key in value and not isinstance(value[key], dict):
                draft.fail((key,), "wrong-type", f"{key!r} must be a mapping")
        check_reviewed(draft, split)
        for key, checker, schema in self._checks:
            part = value.get(key)
            if isinstance(part, dict) and not checker.fits(part):
                explain_misfit(draft, key, checker, schema)
        if draft.failed or split is None:
            return None
        make = partial(Row, row_id, value["input"], value["expected"], split, tags, group)
        try:
            return make(draft.file.source.name, draft.line.line)
        except NotCanonicalError as error:
            draft.fail((), "not-canonical", f"the row has no canonical JSON form: {error}")
            return None

    def _split(self, draft: Draft, row_id: str) -> Split | None:
        if self._hash_split is not None:
            return hashed_split(self._hash_split, row_id)
        field = self.split_field or ""
        written = draft.value.get(field)
        for split in SPLITS:
            if written == split:
                return split
        if field in draft.value:
            known = _OTHER_NAMES.get(written) if isinstance(written, str) else None
            hint = f"did you mean {known!r}?" if known else None
            if hint is None and isinstance(written, str):
                hint = did_you_mean(written, SPLITS)
            message = f"{field!r} is {shown(written)}, expected one of {', '.join(SPLITS)}"
            draft.fail((field,), "bad-split", message, hint)
        return None

    def _group(self, draft: Draft) -> str | None:
        field = self.group_field
        if field is None or field not in draft.value:
            return None
        group = draft.value[field]
        if isinstance(group, str) and group:
            return group
        draft.fail((field,), "wrong-type", f"the group {field!r} must be a text, not empty")
        return None
