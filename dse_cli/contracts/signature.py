"""``signature.yaml``, and the signature that it resolves to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dse_cli.canonical import sha256_of, sha256_of_text
from dse_cli.contracts.base import Contract, Items
from dse_cli.contracts.params import Params
from dse_cli.contracts.prompt_ir import (
    SINGLE_BLOCKS,
    Block,
    ContextBlock,
    Demo,
    FewShotBlock,
    InstructionBlock,
    RubricBlock,
    ToolPolicyBlock,
)
from dse_cli.contracts.schema import Checker, Schema, expand

SIGNATURE_ID_PATTERN = (
    r"^@[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)+/[A-Z][A-Za-z0-9]*\.v[1-9][0-9]*$"
)
SignatureId = Annotated[str, Field(pattern=SIGNATURE_ID_PATTERN)]

EXPORT_FORMAT = "dse/signature_contract/v1"


class Constraints(Contract):
    """Limits that hold for every policy of the signature.

    Attributes:
        timeout_ms: a prediction is cancelled after this many milliseconds.
        max_tokens: cap on the tokens of one answer; a policy may set less, never more.
    """

    timeout_ms: Annotated[int, Field(ge=1, le=3_600_000)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class SignatureDefaults(Contract):
    """What holds before anything was compiled."""

    params: Params = Params()
    constraints: Constraints = Constraints()

    @model_validator(mode="after")
    def _selects_no_demos(self) -> SignatureDefaults:
        few_shot = self.params.few_shot
        if few_shot is not None and few_shot.selector is not None:
            raise ValueError("a selector needs an index of its demos, which only a compile makes")
        return self


class ToolContract(Contract):
    """A tool the model may be offered: typed input, and where its code stands."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    description: Annotated[str, Field(min_length=1)]
    input: dict[str, Any]
    output: dict[str, Any] | None = None
    run: Annotated[str, Field(pattern=r"^python:[A-Za-z_][\w.]*$")]


class SignatureSpec(Contract):
    """The whole of ``signature.yaml``."""

    dse: Literal["signature/v1"]
    id: SignatureId
    description: Annotated[str, Field(min_length=1)]
    kind: Literal["task", "judge"] = "task"
    input: Annotated[dict[str, Any], Field(min_length=1)]
    output: Annotated[dict[str, Any], Field(min_length=1)]
    prompt: Annotated[Items[Block], Field(min_length=1)]
    defaults: SignatureDefaults = SignatureDefaults()
    tools: Items[ToolContract] = ()

    @model_validator(mode="after")
    def _blocks_make_sense(self) -> SignatureSpec:
        kinds = [next(iter(type(block).model_fields)) for block in self.prompt]
        for kind in SINGLE_BLOCKS:
            if kinds.count(kind) > 1:
                raise ValueError(f"the prompt has more than one {kind} block")
        if "instruction" not in kinds:
            raise ValueError("the prompt has no instruction block")
        if "rubric" in kinds and self.kind != "judge":
            raise ValueError("a rubric block belongs into a signature of kind judge")
        names = [tool.name for tool in self.tools]
        if len(set(names)) != len(names):
            raise ValueError("two tools have the same name")
        for block in self.prompt:
            if isinstance(block, ToolPolicyBlock):
                unknown = {*block.tool_policy.allowed, *block.tool_policy.timeout_ms} - set(names)
                if unknown:
                    raise ValueError(
                        f"tool_policy names tools that are not declared: {sorted(unknown)}"
                    )
        return self


@dataclass(frozen=True)
class Signature:
    """A signature with its types expanded and its blobs read.

    Attributes:
        spec: the file.
        blobs: text of each context blob by the path written in the spec.
    """

    spec: SignatureSpec
    blobs: dict[str, str]

    @property
    def id(self) -> str:
        return self.spec.id

    @cached_property
    def input_schema(self) -> Schema:
        return expand(self.spec.input)

    @cached_property
    def output_schema(self) -> Schema:
        return expand(self.spec.output)

    @cached_property
    def input_checker(self) -> Checker:
        return Checker(self.input_schema)

    @cached_property
    def output_checker(self) -> Checker:
        return Checker(self.output_schema)

    @cached_property
    def instruction(self) -> str:
        return next(b.instruction for b in self.spec.prompt if isinstance(b, InstructionBlock))

    @cached_property
    def authored_demos(self) -> tuple[Demo, ...]:
        return next((b.few_shot for b in self.spec.prompt if isinstance(b, FewShotBlock)), ())

    @cached_property
    def rubric(self) -> str | None:
        return next((b.rubric for b in self.spec.prompt if isinstance(b, RubricBlock)), None)

    @cached_property
    def prompt_ir(self) -> dict[str, Any]:
        """The authored blocks as JSON, blobs replaced by their hash and size in bytes."""
        return {"version": 1, "blocks": [self._block_json(block) for block in self.spec.prompt]}

    def _block_json(self, block: Any) -> dict[str, Any]:
        data: dict[str, Any] = block.to_json()
        if isinstance(block, ContextBlock):
            for entry in data["context"]:
                if "blob" in entry:
                    text = self.blobs[entry["blob"]]
                    entry["blob"] = {"sha256": sha256_of_text(text), "bytes": len(text.encode())}
        return data

    @cached_property
    def contract_hashes(self) -> dict[str, str]:
        """The hashes that an artifact was compiled against; any change makes it stale."""
        return {
            "input_schema": sha256_of(self.input_schema),
            "output_schema": sha256_of(self.output_schema),
            "prompt_ir": sha256_of(self.prompt_ir),
        }

    def export(self) -> dict[str, Any]:
        """Return the language-neutral contract that ``dse export`` prints."""
        return {
            "format": EXPORT_FORMAT,
            "signature_id": self.id,
            "description": self.spec.description,
            "kind": self.spec.kind,
            "input_schema": self.input_schema,
            "output_schema": self.output_schema,
            "prompt_ir": self.prompt_ir,
            "default_params": self.spec.defaults.params.to_json(),
            "default_constraints": self.spec.defaults.constraints.to_json(),
            "tools": [tool.to_json() for tool in self.spec.tools],
            "hashes": {
                **self.contract_hashes,
                "default_params": sha256_of(self.spec.defaults.params.to_json()),
                "tools": sha256_of([tool.to_json() for tool in self.spec.tools]),
            },
        }
