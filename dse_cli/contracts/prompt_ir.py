"""Prompt IR v1: the ordered blocks of a prompt, as data (DESIGN section 3.1).

In YAML each block is a mapping with one key, its kind. A compiler may change the instruction text,
the demos, the tool policy, the output format and the rubric; nothing else.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from dse_cli.contracts.base import Contract, Items, RowId, only_key

Text = Annotated[str, Field(min_length=1, max_length=200_000)]


class Demo(Contract):
    """A worked example shown to the model, in full.

    Attributes:
        id: row id, or the id given in the prompt.
        input, output: JSON objects that fit the signature.
        source: where it comes from. ``authored``: written in the prompt. ``labelled``: a row of the
            train split with its label (``train`` is what the first optimizers write for it).
            ``bootstrapped``: a row of the train split with what a policy answered, which passed.
    """

    id: RowId
    input: dict[str, Any]
    output: dict[str, Any]
    source: Literal["authored", "train", "labelled", "bootstrapped"] = "authored"


class SystemBlock(Contract):
    """Standing orders, first in the system message."""

    system: Text


class InstructionBlock(Contract):
    """The task. There is exactly one; optimizers rewrite its text."""

    instruction: Text


class FewShotBlock(Contract):
    """Demos as authored."""

    few_shot: Items[Demo]


class ContextEntry(Contract):
    """A fact the prompt carries: a value written here, or the text of a file beside the spec."""

    key: Annotated[str, Field(min_length=1, max_length=200)]
    value: Any = None
    blob: str | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> ContextEntry:
        if ("value" in self.model_fields_set) == ("blob" in self.model_fields_set):
            raise ValueError("a context entry has either a value or a blob")
        return self


class ContextBlock(Contract):
    """Entries of context, in order."""

    context: Items[ContextEntry]


class ToolPolicy(Contract):
    """Which tools may be called, how often and for how long (milliseconds)."""

    allowed: Items[str] = ()
    max_calls: Annotated[int, Field(ge=0, le=1000)] | None = None
    timeout_ms: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)


class ToolPolicyBlock(Contract):
    """The tool policy as authored."""

    tool_policy: ToolPolicy


class OutputFormatBlock(Contract):
    """How the answer must look: always derived from the output schema, never hand-written."""

    output_format: Literal["json_schema", "json"]


class RubricBlock(Contract):
    """How to judge; only in signatures of kind ``judge``."""

    rubric: Text


Block = Annotated[
    Annotated[SystemBlock, Tag("system")]
    | Annotated[InstructionBlock, Tag("instruction")]
    | Annotated[FewShotBlock, Tag("few_shot")]
    | Annotated[ContextBlock, Tag("context")]
    | Annotated[ToolPolicyBlock, Tag("tool_policy")]
    | Annotated[OutputFormatBlock, Tag("output_format")]
    | Annotated[RubricBlock, Tag("rubric")],
    Discriminator(only_key),
]

#: Kinds that may stand only once in a prompt.
SINGLE_BLOCKS = ("instruction", "few_shot", "tool_policy", "output_format", "rubric")
