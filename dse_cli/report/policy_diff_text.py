"""A policy diff for the terminal: readable without colour, and safe to print.

What models and datasets wrote is shown, never obeyed: control characters, which a terminal would
take for commands, are printed as escapes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from dse_cli.canonical import canonical_text, short

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dse_cli.report.policy_diff import (
        DemoChange,
        Measure,
        ParameterChange,
        PolicyDiff,
        RowChange,
        RowComparison,
    )

#: Rows listed for each of better, worse and without a score; all of them are in ``--json``.
MOST_ROWS: Final = 10

_NANO: Final = 1_000_000_000
_CONTROL: Final = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_COLOURS: Final = {"red": "\x1b[31m", "green": "\x1b[32m", "cyan": "\x1b[36m", "bold": "\x1b[1m"}
_RESET: Final = "\x1b[0m"
_LINE_COLOURS: Final = {"+": "green", "-": "red", "@": "cyan"}


def render_diff_text(diff: PolicyDiff, color: bool) -> str:
    """Return the diff as text that ends with a newline.

    Args:
        color: whether to use ANSI colours; the words and signs are the same without them.
    """
    return "".join(f"{line}\n" for line in _Renderer(color).lines(diff))


class _Renderer:
    def __init__(self, color: bool) -> None:
        self._color = color

    def lines(self, diff: PolicyDiff) -> Iterator[str]:
        yield self._paint("red", f"--- {_safe(diff.before)} ({short(diff.before_id)})")
        yield self._paint("green", f"+++ {_safe(diff.after)} ({short(diff.after_id)})")
        if diff.same_policy:
            yield from self._section("the same policy", ())
        if diff.contract:
            parts = ", ".join(part.replace("_", " ") for part in diff.contract)
            yield from self._section("signature", [f"  changed: {parts}"])
        if diff.instruction:
            yield from self._section("instruction", map(self._diff_line, diff.instruction))
        if diff.demos:
            count = "demos ({} -> {})".format(*diff.demo_counts)
            lines = [line for change in diff.demos for line in self._demo(change)]
            yield from self._section(count, lines)
        if diff.parameters:
            yield from self._section("parameters", map(_parameter, diff.parameters))
        if diff.rows:
            yield from self._rows(diff.rows)
            yield from self._section("totals", map(_measure, diff.measures))
        else:
            yield from self._section(f"rows: {diff.rows_note}", ())

    def _section(self, title: str, lines: Iterable[str]) -> Iterator[str]:
        yield ""
        yield self._paint("bold", title)
        yield from lines

    def _diff_line(self, line: str) -> str:
        shown = "  " + _safe(line)
        colour = _LINE_COLOURS.get(line[:1])
        return self._paint(colour, shown) if colour else shown

    def _demo(self, change: DemoChange) -> Iterator[str]:
        name = _safe(change.id)
        if change.kind == "moved":
            yield f"  ~ {name} moved from place {change.before} to {change.after}"
            return
        sign = {"added": "+", "removed": "-", "changed": "~"}[change.kind]
        colour = _LINE_COLOURS.get(sign, "cyan")
        place = change.after or change.before
        yield self._paint(colour, f"  {sign} {name} {change.kind}, place {place}")
        for part in ("input", "output"):
            yield f"      {part}: {_safe(canonical_text(change.demo[part]))}"

    def _rows(self, rows: RowComparison) -> Iterator[str]:
        total = len(rows.wins) + len(rows.losses) + rows.ties
        title = (
            f"rows ({_safe(rows.split)}, n = {total}): {len(rows.wins)} better, "
            f"{len(rows.losses)} worse, {rows.ties} the same"
        )
        if rows.unscored:
            title += f", {len(rows.unscored)} without a score"
        yield from self._section(title, ())
        yield from self._row_list("+", rows.wins)
        yield from self._row_list("-", rows.losses)
        yield from self._row_list("?", rows.unscored)

    def _row_list(self, sign: str, rows: tuple[RowChange, ...]) -> Iterator[str]:
        for row in rows[:MOST_ROWS]:
            line = f"  {sign} {_safe(row.id)}  {_reward(row.before)} -> {_reward(row.after)}"
            yield self._paint(_LINE_COLOURS.get(sign, "cyan"), line)
        if len(rows) > MOST_ROWS:
            yield f"  {sign} and {len(rows) - MOST_ROWS} more"

    def _paint(self, colour: str, text: str) -> str:
        return f"{_COLOURS[colour]}{text}{_RESET}" if self._color else text


def _parameter(change: ParameterChange) -> str:
    before = _value(change.before) if change.set_before else "not set"
    after = _value(change.after) if change.set_after else "not set"
    return f"  {_safe(change.path)}: {before} -> {after}"


def _measure(measure: Measure) -> str:
    before, after = measure.before, measure.after
    name = {"mean": "mean reward", "cost_nano_usd": "cost, charged"}.get(
        measure.name, measure.name.replace("_", " ").replace("lm ", "model ")
    )
    line = f"  {name}: {_amount(measure.name, before)} -> {_amount(measure.name, after)}"
    if before is None or after is None or before == after:
        return line
    if measure.name == "mean":
        return f"{line} ({(after - before) * 100:+.1f} points)"
    share = f" ({(after - before) / before:+.0%})" if before else ""
    return line + share


def _amount(name: str, number: float | None) -> str:
    if number is None:
        return "unknown"
    if name == "mean":
        return f"{number * 100:.1f}"
    return f"${number / _NANO:.6f}" if name == "cost_nano_usd" else f"{number:,.0f}"


def _reward(reward: float | None) -> str:
    return "outage" if reward is None else f"{reward:.3f}"


def _value(value: Any) -> str:
    return _safe(canonical_text(value))


def _safe(text: str) -> str:
    return _CONTROL.sub(lambda match: match.group().encode("unicode_escape").decode(), text)
