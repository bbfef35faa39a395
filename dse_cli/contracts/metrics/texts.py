"""Settings of the metrics that measure how near a text is to a reference text."""

from __future__ import annotations

from dse_cli.contracts.base import Items
from dse_cli.contracts.metrics.base import FieldPath, MetricConfig, Normalization


class TextOverlap(MetricConfig):
    """A text field against one reference, or the best of several, in ``expected``."""

    field: FieldPath

    @property
    def loose_paths(self) -> tuple[str, ...]:
        return (self.field,)


class TokenF1(TextOverlap):
    """F1 of the words that both texts share, as SQuAD defines and normalises them."""


class RougeL(TextOverlap):
    """ROUGE-L: F1 of the longest common subsequence of words, without stemming."""


class EditSimilarity(TextOverlap):
    """1 minus the Levenshtein distance over the length of the longer text."""

    normalize: Items[Normalization] = ()
