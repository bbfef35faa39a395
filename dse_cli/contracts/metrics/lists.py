"""Settings of the metrics that compare lists, and of the one that looks a quote up."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dse_cli.contracts.base import Items
from dse_cli.contracts.metrics.base import (
    FieldPath,
    FieldRules,
    MetricConfig,
    Normalization,
    OutputPath,
)


class SetMatch(MetricConfig):
    """Precision, recall or F1 of a list against the expected list, both as sets."""

    field: FieldPath
    measure: Literal["f1", "precision", "recall"] = "f1"
    normalize: Items[Normalization] = ()


class ListMatch(MetricConfig):
    """F1 of the best alignment of a list with the expected list.

    Attributes:
        order: only alignments that keep the order of both lists.
        items: how alike two items are: ``exact`` 0 or 1, ``edit`` the edit similarity of two
            texts, ``fields`` the weighted share of their fields.
        fields: for ``items: fields``, as in ``structured``.
        normalize: steps on every text of both lists.
    """

    field: FieldPath
    order: bool = True
    items: Literal["exact", "edit", "fields"] = "exact"
    fields: FieldRules | None = None
    normalize: Items[Normalization] = ()

    @model_validator(mode="after")
    def _fields_are_for_fields(self) -> ListMatch:
        if (self.items == "fields") != (self.fields is not None):
            raise ValueError(
                "fields and 'items: fields' go together: one is here without the other"
            )
        return self


class Retrieval(MetricConfig):
    """A ranked list of ids against the relevant ids in ``expected``; binary relevance.

    Attributes:
        relevant: path in ``expected`` of the relevant ids, in any order; ``field`` when absent.
        measure: see ``docs/metrics.md`` for the formulas.
        k: only the first k count; all when absent.
    """

    field: FieldPath
    relevant: FieldPath | None = None
    measure: Literal["recall", "precision", "f1", "mrr", "ndcg"] = "recall"
    k: Annotated[int, Field(ge=1)] | None = None

    @property
    def loose_paths(self) -> tuple[str, ...]:
        return (self.relevant or self.field,)


class Evidence(MetricConfig):
    """1 when a quote of the output stands, letter by letter, in the text that it cites.

    Attributes:
        quote: output field of the quote.
        sources: input field of a text, of an object from id to text, or of a list of {id, text}.
        cites: output field of the id of the cited source, when there are several.
        allow_empty: an empty quote scores 1 (the model may abstain), not 0.
    """

    quote: FieldPath
    sources: FieldPath
    cites: FieldPath | None = None
    allow_empty: bool = False

    @property
    def about(self) -> str | None:
        return self.quote

    @property
    def output_paths(self) -> tuple[OutputPath, ...]:
        cites: tuple[OutputPath, ...] = () if self.cites is None else ((("cites",), self.cites),)
        return ((("quote",), self.quote), *cites)

    @property
    def input_paths(self) -> tuple[OutputPath, ...]:
        return ((("sources",), self.sources),)
