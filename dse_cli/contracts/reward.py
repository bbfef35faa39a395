"""The reward: weighted signals that add up to a scalar in [0, 1], and what may discount it.

In YAML each signal is a mapping with one key, the metric; its value is a weight, or the metric's
settings with the weight among them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Field, Tag

from dse_cli.contracts.base import Contract, Items, only_key
from dse_cli.contracts.metrics.judges import JudgeSignal, PairwiseJudgeSignal
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
from dse_cli.contracts.penalties import Penalty


class FormatValiditySignal(Contract):
    format_validity: FormatValidity


class ExactMatchSignal(Contract):
    exact_match: ExactMatch


class OneOfSignal(Contract):
    one_of: OneOf


class ContainsSignal(Contract):
    contains: Contains


class ForbiddenSignal(Contract):
    forbidden: Forbidden


class RegexSignal(Contract):
    regex: Regex


class NumericSignal(Contract):
    numeric: Numeric


class NumberSignal(Contract):
    number: Number


class DateSignal(Contract):
    date: Date


class SetMatchSignal(Contract):
    set_match: SetMatch


class TokenF1Signal(Contract):
    token_f1: TokenF1


class RougeLSignal(Contract):
    rouge_l: RougeL


class EditSimilaritySignal(Contract):
    edit_similarity: EditSimilarity


class JsonSchemaSignal(Contract):
    json_schema: JsonSchemaFit


class StructuredSignal(Contract):
    structured: Structured


class ListMatchSignal(Contract):
    list_match: ListMatch


class ClassificationSignal(Contract):
    classification: Classification


class RetrievalSignal(Contract):
    retrieval: Retrieval


class EvidenceSignal(Contract):
    evidence: Evidence


class PythonSignal(Contract):
    python: PythonMetric


Signal = Annotated[
    Annotated[FormatValiditySignal, Tag("format_validity")]
    | Annotated[ExactMatchSignal, Tag("exact_match")]
    | Annotated[OneOfSignal, Tag("one_of")]
    | Annotated[ContainsSignal, Tag("contains")]
    | Annotated[ForbiddenSignal, Tag("forbidden")]
    | Annotated[RegexSignal, Tag("regex")]
    | Annotated[NumericSignal, Tag("numeric")]
    | Annotated[NumberSignal, Tag("number")]
    | Annotated[DateSignal, Tag("date")]
    | Annotated[SetMatchSignal, Tag("set_match")]
    | Annotated[TokenF1Signal, Tag("token_f1")]
    | Annotated[RougeLSignal, Tag("rouge_l")]
    | Annotated[EditSimilaritySignal, Tag("edit_similarity")]
    | Annotated[JsonSchemaSignal, Tag("json_schema")]
    | Annotated[StructuredSignal, Tag("structured")]
    | Annotated[ListMatchSignal, Tag("list_match")]
    | Annotated[ClassificationSignal, Tag("classification")]
    | Annotated[RetrievalSignal, Tag("retrieval")]
    | Annotated[EvidenceSignal, Tag("evidence")]
    | Annotated[PythonSignal, Tag("python")]
    | Annotated[JudgeSignal, Tag("judge")]
    | Annotated[PairwiseJudgeSignal, Tag("pairwise_judge")],
    Discriminator(only_key),
]


class RewardSpec(Contract):
    """The signals of a reward, whose weighted mean is the quality, and its penalties."""

    signals: Annotated[Items[Signal], Field(min_length=1)]
    penalties: Items[Penalty] = ()
