"""Meta-signatures: the signatures by which an optimizer asks a model for prompts.

Each is shipped inside the package, typed and versioned, and can be overridden from the project, so
that a team can compile its own proposer.
"""

from __future__ import annotations

from typing import Literal

from dse_cli.contracts.base import Contract

MetaName = Literal[
    "describe_dataset",
    "summarize_observations",
    "describe_program",
    "describe_module",
    "propose_instruction",
    "refine_instruction",
    "rewrite_instruction",
    "improve_instruction",
    "offer_advice",
]


class MetaOverride(Contract):
    """A signature of the project that stands in for a shipped meta-signature.

    Attributes:
        signature: its folder under ``signatures/``, or its id.
        artifact: compiled artifact to use; the policy as authored when absent.
    """

    signature: str
    artifact: str | None = None
