"""Metrics of how near a text is to a reference; with several references, to the nearest."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from dse_cli.contracts.metrics.texts import EditSimilarity, RougeL, TokenF1
from dse_cli.evaluation.json_values import normalized, shown, value_at
from dse_cli.evaluation.metric_result import MetricResult, Sample
from dse_cli.evaluation.metrics.common import expected_texts, listed, or_list, wrong
from dse_cli.evaluation.metrics.sets import Overlap

_ARTICLES: Final = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)
_WORDS: Final = re.compile(r"[^\W_]+")

Scorer = Callable[[str, str], Overlap]


def token_f1(config: TokenF1, sample: Sample) -> MetricResult:
    """Return the F1 of shared words, repeats counted (Rajpurkar et al. 2016, script of SQuAD 2.0).

    Both texts lose case, ASCII punctuation and articles first. If one has no word left, the score
    is 1 when the other has none either.
    """
    return _best(config.field, sample, _squad, squad_tokens)


def rouge_l(config: RougeL, sample: Sample) -> MetricResult:
    """Return the F1 of the longest common subsequence of words (Lin 2004, beta = 1).

    As Google's ``rouge-score`` without stemming, but words of every alphabet count. Two texts
    without any word score 1 when they are equal.
    """
    return _best(config.field, sample, _rouge, rouge_tokens)


def edit_similarity(config: EditSimilarity, sample: Sample) -> MetricResult:
    """Return 1 - Levenshtein distance / length of the longer text, over code points."""
    from rapidfuzz.distance import Levenshtein

    references = expected_texts(sample.expected, config.field)
    got = value_at(sample.output, config.field)
    if not isinstance(got, str):
        return wrong(config.field, got, or_list(references))
    seen = normalized(got, config.normalize)
    scores = [
        Levenshtein.normalized_similarity(seen, normalized(text, config.normalize))
        for text in references
    ]
    best = max(scores)
    if best == 1:
        return MetricResult(1.0)
    nearest = references[scores.index(best)]
    edits = Levenshtein.distance(seen, normalized(nearest, config.normalize))
    feedback = f"{config.field}: got {shown(got)}, expected {shown(nearest)}: {edits} edits apart"
    return MetricResult(best, feedback, {"edits": edits})


def squad_tokens(text: str) -> list[str]:
    """Return the words of a text as SQuAD normalises it."""
    return _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()


def rouge_tokens(text: str) -> list[str]:
    """Return the runs of letters and digits of a text in lower case."""
    return _WORDS.findall(text.lower())


def _squad(got: str, wanted: str) -> Overlap:
    seen, target = squad_tokens(got), squad_tokens(wanted)
    if not seen or not target:
        same = float(seen == target)
        return Overlap(same, same, same)
    shared = (Counter(seen) & Counter(target)).total()
    return Overlap.of(shared, len(seen), len(target))


def _rouge(got: str, wanted: str) -> Overlap:
    from rapidfuzz.distance import LCSseq

    seen, target = rouge_tokens(got), rouge_tokens(wanted)
    if not seen and not target:
        same = float(got.strip() == wanted.strip())
        return Overlap(same, same, same)
    # Numbers in place of words: the library compares hashes, and those of texts are drawn anew in
    # each process.
    numbers: dict[str, int] = {}
    left, right = (
        [numbers.setdefault(word, len(numbers)) for word in words] for words in (seen, target)
    )
    return Overlap.of(LCSseq.similarity(left, right), len(seen), len(target))


def _best(
    field: str, sample: Sample, scorer: Scorer, tokens: Callable[[str], list[str]]
) -> MetricResult:
    references = expected_texts(sample.expected, field)
    got = value_at(sample.output, field)
    if not isinstance(got, str):
        return wrong(field, got, or_list(references))
    overlaps = [scorer(got, text) for text in references]
    best = max(overlaps, key=lambda overlap: overlap.f1)
    nearest = references[overlaps.index(best)]
    feedback = "" if best.f1 == 1 else _feedback(field, got, nearest, tokens)
    return MetricResult(best.f1, feedback, best._asdict())


def _feedback(field: str, got: str, wanted: str, tokens: Callable[[str], list[str]]) -> str:
    seen, target = tokens(got), tokens(wanted)
    said = f"{field}: got {shown(got)}, expected {shown(wanted)}"
    missing, extra = _sorted(target, seen), _sorted(seen, target)
    parts = [f"missing words: {listed(missing)}"] if missing else []
    parts += [f"words too many: {listed(extra)}"] if extra else []
    return "; ".join([said, *parts] if parts else [said, "the words stand in another order"])


def _sorted(these: Sequence[str], not_those: Sequence[Any]) -> list[str]:
    return sorted((Counter(these) - Counter(not_those)).elements())
