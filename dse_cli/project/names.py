"""What signatures and folders may be called, and how a short name finds the long one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.errors import UsageError
from dse_cli.contracts.signature import SIGNATURE_ID_PATTERN
from dse_cli.project.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNATURE_ID: Final = re.compile(SIGNATURE_ID_PATTERN)
#: Folder names under signatures/, datasets/ and artifacts/: the same on every file system.
FOLDER_SLUG: Final = re.compile(r"^[a-z0-9][a-z0-9_-]{0,63}$")
#: Shortest hash prefix that is looked up.
MIN_HASH_PREFIX: Final = 4


def is_folder_slug(name: str) -> bool:
    """Whether a folder of a signature or dataset may have this name."""
    return FOLDER_SLUG.fullmatch(name) is not None


def resolve_name(name: str, candidates: Mapping[str, str], *, what: str = "signature") -> str:
    """Return the folder that ``name`` means.

    Args:
        name: a folder, an id, or an unambiguous prefix of a folder, of an id, or of the last part
            of an id (``RouteTicket``). What matches in full wins over prefixes.
        candidates: folder to id.
        what: the word for messages (``signature``, ``dataset``).

    Raises:
        UsageError: nothing matches, or several do.
    """
    if name in candidates:
        return name
    exact = sorted(folder for folder, identifier in candidates.items() if identifier == name)
    found = exact or sorted(
        folder
        for folder, identifier in candidates.items()
        if name
        and (
            folder.startswith(name)
            or identifier.startswith(name)
            or identifier.rsplit("/", 1)[-1].startswith(name)
        )
    )
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(f"{folder} ({candidates[folder]})" for folder in found)
        raise UsageError(f"{name!r} means more than one {what}: {listed}", hint="write more of it")
    if not candidates:
        raise UsageError(f"no {what} {name!r}: the project has none")
    words = _unambiguous([*candidates, *candidates.values()])
    hint = did_you_mean(name, words) or f"there are: {', '.join(sorted(candidates))}"
    raise UsageError(f"no {what} {name!r}", hint=hint)


def resolve_reference(reference: str, candidates: Mapping[str, str], *, what: str) -> str:
    """Return the folder that a reference in a file means: an id, or else a folder name, in full.

    Prefixes are for people at a terminal; a file must not change its meaning when something is
    added beside it.

    Raises:
        UsageError: nothing has this id or name, or several have the id.
    """
    named = sorted(folder for folder, identifier in candidates.items() if identifier == reference)
    if len(named) > 1:
        raise UsageError(f"more than one {what} has the id {reference!r}: {', '.join(named)}")
    if named:
        return named[0]
    if reference in candidates:
        return reference
    words = _unambiguous([word for pair in candidates.items() for word in pair if word])
    hint = did_you_mean(reference, words, otherwise="there are")
    raise UsageError(f"no {what} {reference!r}", hint=hint)


def _unambiguous(words: list[str]) -> list[str]:
    """Return the words that mean one thing: no other is worth suggesting."""
    return [word for word in words if words.count(word) == 1]
