"""An evaluation as JUnit XML: a test case for each row and policy.

A row that is not perfect is a *failure*, a row that an outage left without an answer an *error*.
There is no ``time``: a measurement is not a function of the clock. Source of the form: the schema
that Jenkins' xUnit plugin publishes (``junit-10.xsd``); ``file`` and ``line`` as pytest has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from dse_cli.evaluation.summary import PASSES
from dse_cli.report.eval_words import cost_text, tokens_text
from dse_cli.report.plain import points

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.evaluation import Cell
    from dse_cli.report.eval_report import EvalReport, EvalVerdict, Measured

#: Characters that XML 1.0 cannot hold, escaped or not.
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(report: EvalReport, verdict: EvalVerdict) -> bytes:
    """Return the document as UTF-8, indented, with a newline at the end."""
    from xml.etree.ElementTree import Element, indent, tostring

    root = Element("testsuites")
    places = {row.id: row for row in report.rows}
    totals = [0, 0, 0]
    for measured in report.measured:
        suite, counts = _suite(report, verdict, measured, places)
        root.append(suite)
        totals = [total + count for total, count in zip(totals, counts, strict=True)]
    root.attrib = {"name": f"dse eval {report.name}", **_counts(totals)}
    indent(root)
    body: str = tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'.encode()


def _suite(
    report: EvalReport, verdict: EvalVerdict, measured: Measured, places: dict[str, Row]
) -> tuple[Element, list[int]]:
    from xml.etree.ElementTree import Element, SubElement

    name = f"{report.name}.{report.split}"
    if measured.alias is not None:
        name += f".{measured.alias}"
    suite = Element("testsuite", {"name": _xml(name)})
    properties = SubElement(suite, "properties")
    for key, value in _properties(report, verdict.of(measured, report), measured):
        SubElement(properties, "property", {"name": key, "value": _xml(value)})
    by_row: dict[str, list[Cell]] = {}
    for cell in measured.cells:
        by_row.setdefault(cell.example, []).append(cell)
    counts = [0, 0, 0]
    for row, cells in by_row.items():
        case = SubElement(suite, "testcase", {"classname": _xml(name), "name": _xml(row)})
        place = places.get(row)
        if place is not None and place.file:
            case.attrib |= {"file": _xml(place.file), "line": str(place.line)}
        kind = _fill(case, cells)
        counts[0] += 1
        counts[1] += kind == "failure"
        counts[2] += kind == "error"
    suite.attrib |= _counts(counts)
    return suite, counts


def _fill(case: Element, cells: Sequence[Cell]) -> str:
    """Add what became of a row; return ``failure``, ``error`` or nothing."""
    from xml.etree.ElementTree import SubElement

    wrong = [cell for cell in cells if cell.reward is not None and cell.reward < PASSES]
    outages = [cell for cell in cells if cell.is_outage]
    if not wrong and not outages:
        return ""
    kind = "failure" if wrong else "error"
    first = (wrong or outages)[0]
    reason = first.failures[0] if first.failures else None
    if wrong:
        scored = [cell.reward for cell in cells if cell.reward is not None]
        message = f"reward {points(sum(scored) / len(scored))} of 100"
    else:
        message = f"{len(outages)} of {len(cells)} without an answer"
    if reason is not None:
        message += f": {reason.message}"
    attributes = {"message": _xml(message), "type": "reward" if reason is None else reason.kind}
    SubElement(case, kind, attributes).text = _xml(
        "\n".join(_reasons([*wrong, *outages], several=len(cells) > 1))
    )
    return kind


def _reasons(cells: Sequence[Cell], *, several: bool) -> Iterator[str]:
    for cell in cells:
        rollout = f"rollout {cell.rollout}: " if several else ""
        for failure in cell.failures:
            yield f"{rollout}{failure.kind} {failure.source}: {failure.message}"
            if failure.expected is not None:
                yield f"  expected {failure.expected}"
            if failure.got is not None:
                yield f"  got      {failure.got}"


def _properties(
    report: EvalReport, verdict: EvalVerdict, measured: Measured
) -> Iterator[tuple[str, str]]:
    summary, comparison = measured.summary, measured.comparison
    yield "outcome", verdict.outcome
    for message in verdict.messages:
        yield "message", str(message)
    yield "policy", measured.compiled_id
    yield "model", measured.model or ""
    yield "mean", "" if summary.mean is None else f"{summary.mean:.12g}"
    if summary.interval is not None:
        yield "interval_low", f"{summary.interval.low:.12g}"
        yield "interval_high", f"{summary.interval.high:.12g}"
    yield "n", str(summary.n)
    yield "rollouts", str(report.rollouts)
    yield "dataset_revision", summary.dataset_revision
    yield "tokens", tokens_text(summary)
    yield "cost", cost_text(summary)
    if comparison is not None:
        yield "against", comparison.against
        yield "delta", f"{comparison.test.delta:.12g}"


def _counts(counts: Sequence[int]) -> dict[str, str]:
    names = ("tests", "failures", "errors")
    return dict(zip(names, map(str, counts), strict=True))


def _xml(text: str) -> str:
    return _NOT_XML.sub(lambda found: f"<U+{ord(found.group()):04X}>", text)
