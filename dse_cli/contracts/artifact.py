"""The compiled artifact: a policy, and the evidence of the run that found it (DESIGN 3.5)."""

from __future__ import annotations

from typing import Any, Final, Literal

from dse_cli.canonical import sha256_of
from dse_cli.contracts.base import Contract, Sha256
from dse_cli.contracts.evaluation import EvalSummary
from dse_cli.contracts.params import Params
from dse_cli.contracts.signature import SignatureId

ARTIFACT_FORMAT: Final = "dse/compiled_artifact/v1"


class PolicyHashes(Contract):
    """The hashes that say what a policy was compiled against, and of its params."""

    input_schema: Sha256
    output_schema: Sha256
    prompt_ir: Sha256
    params: Sha256


class StopReason(Contract):
    """Why the search ended, as a logical event that a replay obeys.

    Attributes:
        kind: ``complete`` when the search space was covered, else the budget that ended it.
        batch: number of the first batch that did not start, counted from 0; None when complete.
        detail: one sentence.
    """

    kind: Literal[
        "complete", "max_metric_calls", "max_lm_calls", "max_tokens", "max_cost_usd", "max_time_s"
    ]
    batch: int | None = None
    detail: str = ""


class OptimizerRecord(Contract):
    """Which algorithm found the policy, and why it stopped."""

    id: str
    version: int
    config: dict[str, Any]
    stop_reason: StopReason


class ModelRecord(Contract):
    """A model as asked and as served."""

    asked: str
    weights: Sha256 | None
    served: str


class Provenance(Contract):
    """Where an artifact comes from, by hash.

    Attributes:
        run: hash of the run's inputs and of its transcript; names the receipt folder.
    """

    run: Sha256
    job_hash: Sha256
    dataset_revision: Sha256
    split_hash: Sha256
    reward_hash: Sha256
    search_space_hash: Sha256
    models: dict[str, ModelRecord]
    seed: int
    compiler_version: str
    parent: Sha256 | None
    transcript_sha256: Sha256


class CompiledArtifact(Contract):
    """The whole of ``artifacts/<name>/compiled/<id12>-<run12>.json``."""

    format: Literal["dse/compiled_artifact/v1"]
    signature_id: SignatureId
    compiled_id: Sha256
    hashes: PolicyHashes
    params: Params
    evaluation: EvalSummary
    baseline: EvalSummary
    optimizer: OptimizerRecord
    provenance: Provenance


def params_hash(params: Params) -> str:
    """Return the hash of the params as they stand in an artifact."""
    return sha256_of(params.to_json())


def policy_hashes(contract_hashes: dict[str, str], params: Params) -> dict[str, str]:
    """Return the four hashes of a policy."""
    return {**contract_hashes, "params": params_hash(params)}


def compiled_id(signature_id: str, hashes: dict[str, str], params: Params) -> str:
    """Return the id of a policy: everything that decides behaviour, and nothing else."""
    return sha256_of(
        {
            "format": ARTIFACT_FORMAT,
            "signature_id": signature_id,
            "hashes": hashes,
            "params": params.to_json(),
        }
    )
