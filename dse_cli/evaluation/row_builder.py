"""One row of a dataset: from what a file says to a :class:`Row`, or to what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydantic import TypeAdapter, ValidationError

from dse_cli.canonical import NotCanonicalError
from dse_cli.contracts.base import RowId
from dse_cli.contracts.dataset import SPLITS, Row, Split
from dse_cli.contracts.schema import Checker, Schema
from dse_cli.evaluation.schema_fields import choices_at, loosened, names_at
from dse_cli.evaluation.seeds import unit_draw
from dse_cli.project.suggest import did_you_mean

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import CsvColumns, DatasetSpec, HashSplit
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.contracts.signature import Signature
    from dse_cli.project.document import Loc
    from dse_cli.project.json_document import JsonLine
    from dse_cli.project.source_text import SourceText

_ID: Final = TypeAdapter[str](RowId)
_LONGEST_TAG: Final = 200
_LONGEST_LINE: Final = 240
_LONGEST_MESSAGE: Final = 300
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


class RowFile(Protocol):
    """A file of rows that can point into itself."""

    @property
    def source(self) -> SourceText:
        """The text of the file."""
        ...

    def __iter__(self) -> Iterator[JsonLine]: ...

    def diagnostic(
        self,
        row: JsonLine,
        loc: Loc,
        code: str,
        message: str,
        hint: str | None = None,
        *,
        key: bool = False,
    ) -> Diagnostic:
        """Return an error about the value (or key) at ``loc`` of one row."""
        ...


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A row and where it stands; ``row`` is None when something is wrong with it."""

    id: str
    row: Row | None
    file: RowFile
    line: JsonLine

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.file.source.name}:{self.line.line}"

    def diagnostic(self, loc: Loc, code: str, message: str, hint: str | None = None) -> Diagnostic:
        """Return an error about a part of the row."""
        return self.file.diagnostic(self.line, loc, code, message, hint)


class RowBuilder:
    """Builds the rows of one dataset.

    Args:
        spec: the dataset.
        signature: what rows must fit, or None.
        loose_fields: see :func:`dse_cli.evaluation.dataset_loader.load_dataset`.
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
            draft = _Draft(file, line, problems)
            row_id = self._id(draft)
            row = None if row_id is None else self._row(draft, row_id)
            if row_id is not None:
                yield PlacedRow(row_id, row, file, line)

    def _id(self, draft: _Draft) -> str | None:
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
            draft.fail(("id",), "wrong-value", f"{_shown(row_id)} cannot be an id", hint)
        return None

    def _row(self, draft: _Draft, row_id: str) -> Row | None:
        value = draft.value
        split = self._split(draft, row_id)
        tags = _tags(draft)
        group = self._group(draft)
        for key in ("input", "expected"):
            if key in value and not isinstance(value[key], dict):
                draft.fail((key,), "wrong-type", f"{key!r} must be a mapping")
        _check_reviewed(draft, split)
        for key, checker, schema in self._checks:
            part = value.get(key)
            if isinstance(part, dict) and not checker.fits(part):
                _explain_misfit(draft, key, checker, schema)
        if draft.failed or split is None:
            return None
        make = partial(Row, row_id, value["input"], value["expected"], split, tags, group)
        try:
            return make(draft.file.source.name, draft.line.line)
        except NotCanonicalError as error:
            draft.fail((), "not-canonical", f"the row has no canonical JSON form: {error}")
            return None

    def _split(self, draft: _Draft, row_id: str) -> Split | None:
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
            message = f"{field!r} is {_shown(written)}, expected one of {', '.join(SPLITS)}"
            draft.fail((field,), "bad-split", message, hint)
        return None

    def _group(self, draft: _Draft) -> str | None:
        field = self.group_field
        if field is None or field not in draft.value:
            return None
        group = draft.value[field]
        if isinstance(group, str) and group:
            return group
        draft.fail((field,), "wrong-type", f"the group {field!r} must be a text, not empty")
        return None


class _Draft:
    """A row on its way, with a place for what is wrong with it."""

    def __init__(self, file: RowFile, line: JsonLine, problems: list[Diagnostic]) -> None:
        self.file, self.line, self.value = file, line, line.value
        self.failed = False
        self._problems = problems

    def fail(
        self, loc: Loc, code: str, message: str, hint: str | None = None, *, key: bool = False
    ) -> None:
        self.failed = True
        self._problems.append(self.file.diagnostic(self.line, loc, code, message, hint, key=key))


def hashed_split(rule: HashSplit, row_id: str) -> Split:
    """Return the split of a row by a hash of seed and id: a new row moves no old one."""
    place = unit_draw(rule.seed, "split", row_id)
    shares: list[tuple[Split, float]] = [
        ("train", rule.train),
        ("val", rule.val),
        ("holdout", rule.holdout),
    ]
    # A split with no share gets no row, even where the shares add up to a little less than 1.
    used = [(split, share) for split, share in shares if share > 0]
    upper = 0.0
    for split, share in used[:-1]:
        upper += share
        if place < upper:
            return split
    return used[-1][0]


def shortened(found: Diagnostic) -> Diagnostic:
    """Return a diagnostic whose line fits a terminal; rows can be very long."""
    if found.source is None or len(found.source) <= _LONGEST_LINE:
        return found
    return replace(found, source=found.source[: _LONGEST_LINE - 3] + "...")


def _tags(draft: _Draft) -> tuple[str, ...]:
    written = draft.value.get("tags", [])
    if not isinstance(written, list):
        draft.fail(("tags",), "wrong-type", "'tags' must be a list of texts")
        return ()
    for index, tag in enumerate(written):
        if not isinstance(tag, str) or not 0 < len(tag.strip()) <= _LONGEST_TAG:
            message = f"a tag must be a text of 1 to {_LONGEST_TAG} characters, not {_shown(tag)}"
            draft.fail(("tags", index), "wrong-value", message)
    return tuple(sorted({tag.strip() for tag in written if isinstance(tag, str)}))


def _check_reviewed(draft: _Draft, split: Split | None) -> None:
    reviewed = draft.value.get("reviewed", True)
    if not isinstance(reviewed, bool):
        draft.fail(("reviewed",), "wrong-type", "'reviewed' must be true or false")
    elif split == "holdout" and not reviewed:
        message = "a row that nobody reviewed cannot be in the holdout"
        hint = "review it, or move it to train or val"
        draft.fail(("reviewed",), "unreviewed-holdout", message, hint)


def _explain_misfit(draft: _Draft, key: str, checker: Checker, schema: Schema) -> None:
    for location, said in checker.problems(draft.value[key]):
        path = ".".join(map(str, (key, *location)))
        words = said if len(said) <= _LONGEST_MESSAGE else said[: _LONGEST_MESSAGE - 3] + "..."
        hint = _misfit_hint(_at(draft.value[key], location), schema, location)
        draft.fail((key, *location), "does-not-fit", f"{path}: {words}", hint)


def _misfit_hint(value: Any, schema: Schema, location: tuple[str | int, ...]) -> str | None:
    if isinstance(value, str):
        choices = [choice for choice in choices_at(schema, location) if isinstance(choice, str)]
        return did_you_mean(value, choices)
    if isinstance(value, dict):
        names = names_at(schema, location)
        unknown = sorted(value.keys() - set(names))
        return did_you_mean(unknown[0], set(names) - value.keys()) if unknown else None
    return None


def _at(value: Any, location: tuple[str | int, ...]) -> Any:
    for part in location:
        value = value[part]
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_TAG else text[: _LONGEST_TAG - 3] + "..."
