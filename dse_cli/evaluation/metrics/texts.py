"""Metrics that look into a text: what must stand there, what must not, and its form."""

from __future__ import annotations

from dse_cli.contracts.metrics.match import Contains, Forbidden, Regex
from dse_cli.contracts.pattern import fits_whole
from dse_cli.evaluation.json_values import normalized, shown, value_at
from dse_cli.evaluation.metric_result import MetricError, MetricResult, Sample
from dse_cli.evaluation.metrics.common import RIGHT, expected_at, expected_texts, listed, wrong


def contains(config: Contains, sample: Sample) -> MetricResult:
    """Return the share of the expected texts that stand in a field of the output."""
    texts = expected_texts(sample.expected, config.field)
    for text in texts:
        if not normalized(text, config.normalize):
            raise MetricError(
                f"expected.{config.field} holds an empty text, which stands everywhere"
            )
    got = value_at(sample.output, config.field)
    if not isinstance(got, str):
        return wrong(config.field, got, f"a text with {listed(map(shown, texts))}")
    seen = normalized(got, config.normalize)
    absent = [text for text in texts if normalized(text, config.normalize) not in seen]
    if not absent:
        return RIGHT
    feedback = f"{config.field}: {shown(got)} does not contain {listed(map(shown, absent))}"
    return MetricResult((len(texts) - len(absent)) / len(texts), feedback)


def forbidden(config: Forbidden, sample: Sample) -> MetricResult:
    """Return 1 minus the share of the forbidden texts that stand in a field of the output."""
    texts = _forbidden_texts(config, sample)
    if not texts:
        return RIGHT
    got = value_at(sample.output, config.field)
    if not isinstance(got, str):
        return wrong(config.field, got, f"a text without {listed(map(shown, texts))}")
    seen = normalized(got, config.normalize)
    present = [text for text in texts if normalized(text, config.normalize) in seen]
    if not present:
        return RIGHT
    found = listed(map(shown, present))
    feedback = f"{config.field}: {shown(got)} contains {found}, which must not stand there"
    return MetricResult((len(texts) - len(present)) / len(texts), feedback)


def regex(config: Regex, sample: Sample) -> MetricResult:
    """Return 1 when the whole of a text field matches the pattern."""
    got = value_at(sample.output, config.field)
    if isinstance(got, str) and fits_whole(config.pattern, got):
        return RIGHT
    return wrong(config.field, got, f"a text of the form {config.pattern}")


def _forbidden_texts(config: Forbidden, sample: Sample) -> list[str]:
    """Return the texts of the settings and of the row, each once, sorted."""
    texts = set(config.texts)
    if config.expected is not None and expected_at(sample.expected, config.expected) != []:
        texts |= set(expected_texts(sample.expected, config.expected))
    for text in sorted(texts):
        if not normalized(text, config.normalize):
            raise MetricError(f"{shown(text)} is forbidden, but an empty text stands everywhere")
    return sorted(texts)
