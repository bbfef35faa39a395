"""Which policy a word means: ``active``, ``default``, ``latest``, or a prefix of an id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.canonical import short
from dse_cli.contracts.history import PolicyRef
from dse_cli.registry.pointer import active_policy
from dse_cli.registry.receipts import read_receipt
from dse_cli.runtime.policy import Policy

if TYPE_CHECKING:
    from dse_cli.contracts.artifact import CompiledArtifact
    from dse_cli.contracts.evaluation import EvalSummary
    from dse_cli.contracts.receipt import CompileResult
    from dse_cli.contracts.signature import Signature
    from dse_cli.registry.store import SignatureStore


@dataclass(frozen=True)
class NamedPolicy:
    """A policy and where it comes from.

    Attributes:
        label: how to call it in output.
        policy: what runs.
        artifact: its evidence, None for the authored policy.
        ref: how pointer and history name it.
    """

    label: str
    policy: Policy
    artifact: CompiledArtifact | None
    ref: PolicyRef


def find_policy(
    store: SignatureStore, signature: Signature, authored: Policy, word: str
) -> NamedPolicy:
    """Return the policy that ``word`` means.

    Args:
        authored: the policy of the signature file.
        word: ``active`` (the authored one when nothing is promoted), ``default`` (the authored
            one), or an artifact by file name, id prefix or run prefix.

    Raises:
        UsageError: nothing, or several artifacts, match.
        AlteredError, StaleError: the artifact is not what it says, or of another signature.
    """
    if word == "default":
        return _authored(authored)
    if word == "active":
        active = active_policy(store, signature)
        if active is None:
            return _authored(authored)
        return _compiled(
            store,
            f"active {short(active.ref.compiled_id)}",
            signature,
            active.artifact,
            active.ref,
        )
    name = store.resolve(word)
    stored = store.load_artifact_for(name, signature)
    ref = PolicyRef(
        compiled_id=stored.artifact.compiled_id, artifact=name, artifact_digest=stored.digest
    )
    return _compiled(store, short(ref.compiled_id), signature, stored.artifact, ref)


def _authored(policy: Policy) -> NamedPolicy:
    ref = PolicyRef(compiled_id=policy.id, artifact=None, artifact_digest=None)
    return NamedPolicy("default", policy, None, ref)


def _compiled(
    store: SignatureStore,
    label: str,
    signature: Signature,
    artifact: CompiledArtifact,
    ref: PolicyRef,
) -> NamedPolicy:
    policy = Policy(signature, artifact.params, store.load_index(artifact.params))
    return NamedPolicy(label, policy, artifact, ref)


def comparable_evaluations(
    left: NamedPolicy, right: NamedPolicy
) -> tuple[EvalSummary | None, EvalSummary | None]:
    """Return the val results of two policies.

    The authored policy has no artifact of its own; the run of the other one measured it, as its
    baseline, when it is the very policy that the run started from.
    """

    def of(named: NamedPolicy, other: NamedPolicy) -> EvalSummary | None:
        if named.artifact is not None:
            return named.artifact.evaluation
        return None if other.artifact is None else other.artifact.baseline

    return of(left, right), of(right, left)


def search_result(store: SignatureStore, named: NamedPolicy) -> CompileResult | None:
    """Return what the search of a compiled policy did; None for the authored policy.

    None too where the receipt is gone: that is for ``dse check`` to say, a policy shows without it.

    Raises:
        AlteredError: the receipt of its run is malformed.
    """
    if named.artifact is None:
        return None
    run = short(named.artifact.provenance.run)
    if not (store.folder / f"receipts/{run}").is_dir():
        return None
    return read_receipt(store, run).predicate.result
