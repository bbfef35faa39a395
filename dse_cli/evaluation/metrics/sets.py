"""The metric that compares two lists as sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from dse_cli.canonical import canonical_text
from dse_cli.contracts.metrics.lists import SetMatch
from dse_cli.evaluation.json_values import normalized, shown, value_at
from dse_cli.evaluation.metric_result import MetricResult, Sample
from dse_cli.evaluation.metrics.common import expected_list, listed, wrong


class Overlap(NamedTuple):
    """Precision, recall and F1 of what was found against what is right, each in [0, 1].

    Nothing found has precision 0, nothing to find has recall 1; nothing of both is perfect.
    """

    precision: float
    recall: float
    f1: float

    @classmethod
    def of(cls, hits: float, found: float, right: float) -> Overlap:
        """Return the measures of ``hits`` among ``found`` things, of ``right`` there are."""
        if not found and not right:
            return cls(1.0, 1.0, 1.0)
        precision = hits / found if found else 0.0
        recall = hits / right if right else 1.0
        return cls(precision, recall, 2 * hits / (found + right))


def set_match(config: SetMatch, sample: Sample) -> MetricResult:
    """Return precision, recall or F1 of the distinct items of a list."""
    wanted = keyed(normalized(expected_list(sample.expected, config.field), config.normalize))
    got = value_at(sample.output, config.field)
    if not isinstance(got, list):
        words = listed(shown(wanted[key]) for key in sorted(wanted))
        return wrong(config.field, got, f"a list of {words}" if words else "an empty list")
    found = keyed(normalized(got, config.normalize))
    overlap = Overlap.of(len(found.keys() & wanted.keys()), len(found), len(wanted))
    score: float = getattr(overlap, config.measure)
    feedback = "" if score == 1 else difference(config.field, found, wanted)
    return MetricResult(score, feedback, overlap._asdict())


def keyed(items: Sequence[Any]) -> dict[str, Any]:
    """Return the distinct items by their canonical JSON text: 1 and 1.0 are one item."""
    found: dict[str, Any] = {}
    for item in items:
        found.setdefault(canonical_text(item), item)
    return found


def difference(field: str, found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Return feedback that lists what is correct, missed and wrong, each sorted."""
    parts = [
        f"{word} {listed(shown(from_[key]) for key in sorted(keys))}"
        for word, from_, keys in (
            ("correct:", wanted, wanted.keys() & found.keys()),
            ("missed:", wanted, wanted.keys() - found.keys()),
            ("wrong:", found, found.keys() - wanted.keys()),
        )
        if keys
    ]
    return f"{field}: {'; '.join(parts)}"
