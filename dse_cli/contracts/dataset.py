"""``dataset.yaml`` and a row of it (DESIGN section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dse_cli.canonical import sha256_of
from dse_cli.contracts.base import Contract, Items

Split = Literal["train", "val", "holdout"]
SPLITS: tuple[Split, ...] = ("train", "val", "holdout")


class CsvColumns(Contract):
    """Which CSV column fills what; cells are text unless the signature's type says otherwise."""

    id: str
    input: Annotated[dict[str, str], Field(min_length=1)]
    expected: Annotated[dict[str, str], Field(min_length=1)]
    split: str | None = None
    tags: str | None = None
    group: str | None = None


class CsvFile(Contract):
    """A CSV file with its column map."""

    path: str
    columns: CsvColumns


class HashSplit(Contract):
    """Splits drawn by a hash of seed and row id, so that a new row moves no old one."""

    train: Annotated[float, Field(ge=0, le=1)]
    val: Annotated[float, Field(ge=0, le=1)]
    holdout: Annotated[float, Field(ge=0, le=1)]
    seed: int

    @model_validator(mode="after")
    def _sums_to_one(self) -> HashSplit:
        total = self.train + self.val + self.holdout
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares add up to {total:g}, not 1")
        return self


class SplitRule(Contract):
    """Where a row's split comes from: a field of the row, or a hash of its id."""

    field: str | None = None
    hash: HashSplit | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> SplitRule:
        if (self.field is None) == (self.hash is None):
            raise ValueError("split is either {field: NAME} or {hash: {...}}")
        return self


class DatasetSpec(Contract):
    """The whole of ``dataset.yaml``.

    Attributes:
        files: JSONL paths, or CSV files with a column map, relative to this file.
        split: how rows get their split.
        group: name of the row field that marks clusters, for standard errors.
    """

    dse: Literal["dataset/v1"]
    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)*$")]
    description: str | None = None
    files: Annotated[Items[str | CsvFile], Field(min_length=1)]
    split: SplitRule
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One example.

    Attributes:
        id: unique in the dataset.
        input, expected: JSON objects.
        split: train, val or holdout.
        tags: sorted, distinct.
        group: cluster, or None.
        file, line: where it stands; not part of the hash.
        hash: ``sha256:...`` of the content; cells and caches use this, never a row number.
    """

    id: str
    input: dict[str, Any]
    expected: dict[str, Any]
    split: Split
    tags: tuple[str, ...] = ()
    group: str | None = None
    file: str = ""
    line: int = 0
    hash: str = ""

    def __post_init__(self) -> None:
        if not self.hash:
            object.__setattr__(self, "hash", sha256_of(self.content()))

    def content(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "input": self.input,
            "expected": self.expected,
            "split": self.split,
            "tags": list(self.tags),
            "group": self.group,
        }


@dataclass(frozen=True, slots=True)
class Dataset:
    """All rows in id order.

    Attributes:
        id: dataset id.
        rows: sorted by id.
        revision: ``sha256:...`` over every row in full.
    """

    id: str
    rows: tuple[Row, ...]
    revision: str

    def split(self, name: Split) -> tuple[Row, ...]:
        """Return the rows of one split, in id order."""
        return tuple(row for row in self.rows if row.split == name)


def rows_hash(rows: tuple[Row, ...] | list[Row]) -> str:
    """Return the hash of a set of rows, by their content hashes in id order."""
    return sha256_of([row.hash for row in sorted(rows, key=lambda row: row.id)])
