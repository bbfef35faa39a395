"""Every metric by the key it has in a reward, with its version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from dse_cli.contracts.metrics.base import MetricConfig
from dse_cli.contracts.metrics.judges import Judge, PairwiseJudge
from dse_cli.contracts.metrics.lists import Evidence, ListMatch, Retrieval, SetMatch
from dse_cli.contracts.metrics.match import (
    Classification,
    Contains,
    ExactMatch,
    Forbidden,
    FormatValidity,
    JsonSchemaFit,
    OneOf,
    Regex,
    Structured,
)
from dse_cli.contracts.metrics.python import PythonMetric
from dse_cli.contracts.metrics.texts import EditSimilarity, RougeL, TokenF1
from dse_cli.contracts.metrics.values import Date, Number, Numeric
from dse_cli.evaluation.metric_result import MetricResult, Sample
from dse_cli.evaluation.metrics.alignment import list_match
from dse_cli.evaluation.metrics.dates import date
from dse_cli.evaluation.metrics.evidence import evidence
from dse_cli.evaluation.metrics.fields import structured
from dse_cli.evaluation.metrics.match import classification, exact_match, format_validity, one_of
from dse_cli.evaluation.metrics.numbers import number, numeric
from dse_cli.evaluation.metrics.overlap import edit_similarity, rouge_l, token_f1
from dse_cli.evaluation.metrics.retrieval import retrieval
from dse_cli.evaluation.metrics.schema_fit import json_schema
from dse_cli.evaluation.metrics.sets import set_match
from dse_cli.evaluation.metrics.texts import contains, forbidden, regex

Types = frozenset[str]
_TEXT: Final = (frozenset({"string"}), "a text")
_NUMBER: Final = (frozenset({"number", "integer"}), "a number")
_TEXT_OR_NUMBER: Final = (frozenset({"string", "number", "integer"}), "a text or a number")
_LIST: Final = (frozenset({"array"}), "a list")


class Metric(NamedTuple):
    """A metric with its version; a new version is a new reward.

    Attributes:
        id: ``<key>.v<version>``; part of the reward's hash.
        score: says of one output; called with (config, sample).
        config: its settings.
        needs: JSON types that its fields must have, and the words for them; None for any.
    """

    id: str
    score: Callable[[Any, Sample], MetricResult]
    config: type[MetricConfig]
    needs: tuple[Types, str] | None = None


#: Every metric that is a function of this package.
METRICS: Final[dict[str, Metric]] = {
    "format_validity": Metric("format_validity.v1", format_validity, FormatValidity),
    "exact_match": Metric("exact_match.v1", exact_match, ExactMatch),
    "one_of": Metric("one_of.v1", one_of, OneOf),
    "contains": Metric("contains.v1", contains, Contains, _TEXT),
    "forbidden": Metric("forbidden.v1", forbidden, Forbidden, _TEXT),
    "regex": Metric("regex.v1", regex, Regex, _TEXT),
    "numeric": Metric("numeric.v1", numeric, Numeric, _NUMBER),
    "number": Metric("number.v1", number, Number, _TEXT_OR_NUMBER),
    "date": Metric("date.v1", date, Date, _TEXT),
    "set_match": Metric("set_match.v1", set_match, SetMatch, _LIST),
    "token_f1": Metric("token_f1.v1", token_f1, TokenF1, _TEXT),
    "rouge_l": Metric("rouge_l.v1", rouge_l, RougeL, _TEXT),
    "edit_similarity": Metric("edit_similarity.v1", edit_similarity, EditSimilarity, _TEXT),
    "json_schema": Metric("json_schema.v1", json_schema, JsonSchemaFit),
    "structured": Metric("structured.v1", structured, Structured),
    "list_match": Metric("list_match.v1", list_match, ListMatch, _LIST),
    "classification": Metric("classification.v1", classification, Classification),
    "retrieval": Metric("retrieval.v1", retrieval, Retrieval, _LIST),
    "evidence": Metric("evidence.v1", evidence, Evidence, _TEXT),
}

#: Versions and settings of the metrics whose score comes from elsewhere: the project's own code,
#: or a judge that was asked before.
EXTERNAL: Final[dict[str, tuple[str, type[MetricConfig]]]] = {
    "python": ("python.v1", PythonMetric),
    "judge": ("judge.v1", Judge),
    "pairwise_judge": ("pairwise_judge.v1", PairwiseJudge),
}
