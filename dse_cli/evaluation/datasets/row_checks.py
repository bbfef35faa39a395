"""Checks of one row of a dataset, each with words for what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dse_cli.evaluation.schema_fields import choices_at, names_at
from dse_cli.project.suggest import did_you_mean

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Split
    from dse_cli.contracts.schema import Checker, Schema
    from dse_cli.evaluation.datasets.row_file import Draft

_LONGEST_TAG: Final = 200
_LONGEST_MESSAGE: Final = 300


def tags_of(draft: Draft) -> tuple[str, ...]:
    """Return the tags of a row: trimmed, sorted, each once."""
    written = draft.value.get("tags", [])
    if not isinstance(written, list):
        draft.fail(("tags",), "wrong-type", "'tags' must be a list of texts")
        return ()
    for index, tag in enumerate(written):
        if not isinstance(tag, str) or not 0 < len(tag.strip()) <= _LONGEST_TAG:
            message = f"a tag must be a text of 1 to {_LONGEST_TAG} characters, not {shown(tag)}"
            draft.fail(("tags", index), "wrong-value", message)
    return tuple(sorted({tag.strip() for tag in written if isinstance(tag, str)}))


def check_reviewed(draft: Draft, split: Split | None) -> None:
    """Keep rows that nobody reviewed out of the holdout."""
    reviewed = draft.value.get("reviewed", True)
    if not isinstance(reviewed, bool):
        draft.fail(("reviewed",), "wrong-type", "'reviewed' must be true or false")
    elif split == "holdout" and not reviewed:
        message = "a row that nobody reviewed cannot be in the holdout"
        hint = "review it, or move it to train or val"
        draft.fail(("reviewed",), "unreviewed-holdout", message, hint)


def explain_misfit(draft: Draft, key: str, checker: Checker, schema: Schema) -> None:
    """Say field by field why ``input`` or ``expected`` does not fit the signature."""
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


def shown(value: Any) -> str:
    """Return a value for a message, cut when it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_TAG else text[: _LONGEST_TAG - 3] + "..."
