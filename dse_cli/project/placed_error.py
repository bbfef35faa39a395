"""Pydantic's errors, placed in the document: of each union only the branch that was meant.

Pydantic reports a union once per branch, with the branch's name within the location; here the
location is split into what exists in the document and what does not, and one branch is chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dse_cli.project.suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

    from dse_cli.project.document import Loc

_TYPE_ERRORS: Final = frozenset({"none_required", "int_from_float"})


@dataclass(frozen=True, slots=True)
class PlacedError:
    """A Pydantic error with its location split into document path and union branches.

    Attributes:
        error: as Pydantic reports it.
        loc: keys and indexes that exist in the document (and the missing key, if one is missing).
        branches: for each union on the way, its place and the name of the branch.
    """

    error: ErrorDetails
    loc: Loc
    branches: tuple[tuple[Loc, str], ...]

    @property
    def kind(self) -> str:
        return self.error["type"]

    @property
    def about_type(self) -> bool:
        """Whether the value is of another type, and not just out of range."""
        return self.kind.endswith("_type") or self.kind in _TYPE_ERRORS


def place(error: ErrorDetails, value: Any) -> PlacedError:
    """Split an error's location: what is not in the document is the name of a union branch."""
    parts = error["loc"]
    if parts and parts[-1] == "[key]":
        parts = parts[:-1]
    steps = _steps(parts, value, error["type"]) or [(part, True) for part in parts]
    loc: list[str | int] = []
    branches: list[tuple[Loc, str]] = []
    for part, is_real in steps:
        if is_real:
            loc.append(part)
        else:
            branches.append((tuple(loc), str(part)))
    return PlacedError(error, tuple(loc), tuple(branches))


def _steps(parts: Loc, value: Any, kind: str) -> list[tuple[str | int, bool]] | None:
    """Say of each part whether it is in the document; None if the parts do not fit ``value``.

    A branch may be called like a key (``system`` of ``{system: ...}``), so a part that could be
    either is tried as a key first; an unknown key has to end at a key that is there, and a missing
    one at a mapping without it.
    """
    if not parts:
        return []
    part, rest = parts[0], parts[1:]
    if kind == "missing" and not rest:
        return [(part, True)] if isinstance(value, dict) and part not in value else None
    if _holds(value, part):
        further = _steps(rest, value[part], kind)
        if further is not None:
            return [(part, True), *further]
    if kind == "extra_forbidden" and not rest:
        return None
    further = _steps(rest, value, kind)
    return None if further is None else [(part, False), *further]


def _holds(value: Any, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and part < len(value)
    return isinstance(value, dict) and part in value


def likely_errors(errors: Sequence[PlacedError], depth: int = 0) -> list[PlacedError]:
    """Return the errors worth showing: of each union only those of the branch that fits best.

    The best branch is one that accepts the type of the value and has the fewest errors; when none
    accepts the type, one error stands for all, and the message names every type allowed.
    """
    shown: list[PlacedError] = []
    unions: dict[Loc, dict[str, list[PlacedError]]] = {}
    for error in errors:
        if len(error.branches) > depth:
            place_of_union, branch = error.branches[depth]
            unions.setdefault(place_of_union, {}).setdefault(branch, []).append(error)
        else:
            shown.append(error)
    for place_of_union, by_branch in unions.items():
        branches = [likely_errors(found, depth + 1) for found in by_branch.values()]
        fitting = [
            found
            for found in branches
            if not any(e.about_type and e.loc == place_of_union for e in found)
        ]
        fitting.sort(key=len)
        shown += fitting[0] if fitting else branches[0]
    return shown


def misspelt_keys(errors: Sequence[PlacedError]) -> set[Loc]:
    """Return the missing keys that stand in the document under a name near their own."""
    missing = [e.loc for e in errors if e.kind == "missing"]
    return {
        loc
        for loc in missing
        for e in errors
        if e.kind == "extra_forbidden"
        and e.loc[:-1] == loc[:-1]
        and nearest(str(e.loc[-1]), [str(other[-1]) for other in missing if other[:-1] == loc[:-1]])
        == loc[-1]
    }
