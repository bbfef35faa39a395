"""The metric that looks a quote up in the text that it cites."""

from __future__ import annotations

from typing import Any, Final

from dse_cli.contracts.metrics.lists import Evidence
from dse_cli.evaluation.json_values import MISSING, kind_of, shown, value_at
from dse_cli.evaluation.metric_result import MetricError, MetricResult, Sample
from dse_cli.evaluation.metrics.common import RIGHT, listed, wrong

#: The id of a source that is the only one and has none.
_ONLY: Final = ""


def evidence(config: Evidence, sample: Sample) -> MetricResult:
    """Return 1 when the quote is an exact substring of the cited text of the input."""
    sources = _sources(config, sample.input)
    quote = value_at(sample.output, config.quote)
    if not isinstance(quote, str):
        return wrong(config.quote, quote, "a text that stands in the cited source")
    if not quote.strip():
        if config.allow_empty:
            return RIGHT
        return wrong(config.quote, quote, "a quote from the cited source, not an empty one")
    cited = next(iter(sources))
    if config.cites is not None:
        cited = value_at(sample.output, config.cites)
        if not isinstance(cited, str) or cited not in sources:
            words = f"the id of a source: {listed(map(shown, sorted(sources)))}"
            return wrong(config.cites, cited, words)
    if quote in sources[cited]:
        return RIGHT
    return MetricResult(0.0, _feedback(config, quote, cited, sources))


def _feedback(config: Evidence, quote: str, cited: str, sources: dict[str, str]) -> str:
    named = f"the cited source {shown(cited)}" if cited != _ONLY else f"input.{config.sources}"
    said = f"{config.quote}: got {shown(quote)}, which does not stand letter by letter in {named}"
    others = [name for name in sorted(sources) if name != cited and quote in sources[name]]
    if others:
        return f"{said}, but in {listed(map(shown, others))}; expected {config.cites} to name it"
    return f"{said}, nor in any other source" if len(sources) > 1 else said


def _sources(config: Evidence, given: Any) -> dict[str, str]:
    """Return the texts of the input by id.

    Raises:
        MetricError: there are none, one of them is no text, or it is open which one is cited.
    """
    found = value_at(given, config.sources)
    if found is MISSING:
        raise MetricError(f"the input has no field {config.sources!r}")
    if isinstance(found, str):
        if config.cites is not None:
            raise MetricError(f"input.{config.sources} is one text without an id, but cites is set")
        return {_ONLY: found}
    sources = _by_id(found, config.sources)
    if not sources:
        raise MetricError(f"input.{config.sources} holds no source")
    if len(sources) > 1 and config.cites is None:
        raise MetricError(
            f"input.{config.sources} holds {len(sources)} sources, so cites is needed"
        )
    return sources


def _by_id(found: Any, field: str) -> dict[str, str]:
    pairs: list[tuple[Any, Any]]
    if isinstance(found, dict):
        pairs = list(found.items())
    elif isinstance(found, list):
        pairs = [(value_at(item, "id"), value_at(item, "text")) for item in found]
    else:
        raise MetricError(f"input.{field} is {kind_of(found)}, not a text, an object or a list")
    sources: dict[str, str] = {}
    for name, text in pairs:
        if not isinstance(name, str) or not isinstance(text, str):
            raise MetricError(f"input.{field} holds a source without an id or a text")
        if name in sources:
            raise MetricError(f"input.{field} holds two sources with the id {shown(name)}")
        sources[name] = text
    return sources
