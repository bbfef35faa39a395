"""Date formats in strptime's letters, read the same on every machine.

The standard library reads names of months and days in the language of the process; here they are
English, so that a score does not depend on an environment variable.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

_MONTHS: Final = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PATTERNS: Final = {
    "Y": r"(?P<Y>[0-9]{4})",
    "y": r"(?P<y>[0-9]{2})",
    "m": r"(?P<m>1[0-2]|0?[1-9])",
    "d": r"(?P<d>3[01]|[12][0-9]|0?[1-9])",
    "B": f"(?P<B>{'|'.join(_MONTHS)})",
    "b": f"(?P<b>{'|'.join(name[:3] for name in _MONTHS)})",
    "A": f"(?P<A>{'|'.join(_DAYS)})",
    "a": f"(?P<a>{'|'.join(name[:3] for name in _DAYS)})",
    "H": r"(?P<H>2[0-3]|[01]?[0-9])",
    "M": r"(?P<M>[0-5]?[0-9])",
    "S": r"(?P<S>[0-5]?[0-9])",
    "%": "%",
}
#: Of two-digit years, those from here on are of the 1900s (POSIX).
_PIVOT: Final = 69


def format_problem(form: str) -> str | None:
    """Return why a format does not say a date, in words that follow its name; None if it does."""
    letters = re.findall(r"%(.?)", form, re.DOTALL)
    unknown = sorted({letter for letter in letters if letter not in _PATTERNS})
    if unknown:
        known = ", ".join(f"%{letter}" for letter in _PATTERNS)
        return f"uses %{unknown[0]}, which is not one of {known}"
    twice = sorted({letter for letter in letters if letter != "%" and letters.count(letter) > 1})
    if twice:
        return f"has %{twice[0]} twice"
    for one_of, what in (("Yy", "year"), ("mBb", "month"), ("d", "day")):
        found = [letter for letter in one_of if letter in letters]
        if len(found) != 1:
            choices = " or ".join(f"%{letter}" for letter in one_of)
            return f"has {'no' if not found else 'more than one'} {what} ({choices})"
    return None


def read_date(text: str, form: str) -> datetime | None:
    """Return the date (and time, if the format has one) that a text means, None if it does not fit.

    Case and the amount of white space do not matter. A name of a day must be the day of the date.
    """
    match = _compiled(form).fullmatch(" ".join(text.split()))
    if match is None:
        return None
    found = {name: value.casefold() for name, value in match.groupdict().items()}
    try:
        date = datetime(
            _year(found),
            _month(found),
            int(found["d"]),
            int(found.get("H", 0)),
            int(found.get("M", 0)),
            int(found.get("S", 0)),
            tzinfo=UTC,
        )
    except ValueError:  # the 30th of February
        return None
    named = found.get("A", found.get("a"))
    if named is not None and not _DAYS[date.weekday()].startswith(named):
        return None
    return date


def shown_date(date: datetime) -> str:
    """Return a date in ISO form, with its time if it has one."""
    midnight = (date.hour, date.minute, date.second) == (0, 0, 0)
    return date.date().isoformat() if midnight else date.replace(tzinfo=None).isoformat()


@lru_cache(maxsize=64)
def _compiled(form: str) -> re.Pattern[str]:
    parts = re.split(r"%(.)", " ".join(form.split()), flags=re.DOTALL)
    texts, letters = parts[::2], parts[1::2]
    pattern = re.escape(texts[0])
    for letter, text in zip(letters, texts[1:], strict=True):
        pattern += _PATTERNS[letter] + re.escape(text)
    return re.compile(pattern, re.IGNORECASE | re.ASCII)


def _year(found: dict[str, str]) -> int:
    if "Y" in found:
        return int(found["Y"])
    short = int(found["y"])
    return short + (1900 if short >= _PIVOT else 2000)


def _month(found: dict[str, str]) -> int:
    if "m" in found:
        return int(found["m"])
    name = found.get("B", found.get("b", ""))
    return next(number for number, full in enumerate(_MONTHS, 1) if full.startswith(name))
