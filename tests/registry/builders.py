"""A signature, artifacts, receipts and a store to put them in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dse_cli.canonical import sha256_of, sha256_of_text
from dse_cli.contracts.artifact import (
    CompiledArtifact,
    compiled_id,
    policy_hashes,
)
from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.history import HistoryRecord, PolicyRef
from dse_cli.contracts.params import Params
from dse_cli.contracts.receipt import CompileReceipt
from dse_cli.contracts.signature import Signature, SignatureSpec
from dse_cli.registry.history import previous_promoted, read_history
from dse_cli.registry.pointer import move_pointer, read_active
from dse_cli.registry.receipts import RunFiles, artifact_subject, run_byproducts
from dse_cli.registry.store import SignatureStore
from dse_cli.registry.verify import verify_store

SIGNATURE_ID = "@acme/support/RouteTicket.v1"
HASH = sha256_of_text("something")


def make_signature(**changes: Any) -> Signature:
    spec = {
        "dse": "signature/v1",
        "id": SIGNATURE_ID,
        "description": "Choose the queue.",
        "input": {"ticket": "string"},
        "output": {"queue": {"enum": ["billing", "other"]}},
        "prompt": [{"instruction": "Choose the queue."}, {"output_format": "json_schema"}],
    }
    return Signature(SignatureSpec.model_validate({**spec, **changes}), {})


def make_summary(**changes: Any) -> dict[str, Any]:
    return {
        "format": "dse/eval_summary/v1",
        "split": "val",
        "n": 2,
        "mean": 0.5,
        "interval": {"low": 0.1, "high": 0.9},
        "signals": {"exact_match": 0.5},
        "quantiles": {"50": 0.5},
        "slices": {},
        "failures": {},
        "repairs": 0,
        "lm_calls": 2,
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "cost": {"nano_usd": 1000, "kind": "exact"},
        "repeat": None,
        "dataset_revision": HASH,
        "split_hash": HASH,
        "reward_hash": HASH,
        "models": ["openai/small"],
        "rows": {"a": 1.0, "b": 0.0},
        "scripted": False,
        **changes,
    }


def make_artifact(
    text: str = "Choose.", *, run: str = "run", signature: Signature | None = None, **params: Any
) -> CompiledArtifact:
    signature = signature or make_signature()
    chosen = Params.model_validate(
        {"instruction": {"text": text}, "model": {"model": "openai/small"}, **params}
    )
    hashes = policy_hashes(signature.contract_hashes, chosen)
    return CompiledArtifact.model_validate(
        {
            "format": "dse/compiled_artifact/v1",
            "signature_id": signature.id,
            "compiled_id": compiled_id(signature.id, hashes, chosen),
            "hashes": hashes,
            "params": chosen.to_json(),
            "evaluation": make_summary(),
            "baseline": make_summary(),
            "optimizer": {
                "id": "instruction_grid.v1",
                "version": 1,
                "config": {},
                "stop_reason": {"kind": "complete"},
            },
            "provenance": {
                "run": sha256_of([run, text]),
                "job_hash": HASH,
                "dataset_revision": HASH,
                "split_hash": HASH,
                "reward_hash": HASH,
                "search_space_hash": HASH,
                "models": {"main": {"asked": "local", "weights": None, "served": "small"}},
                "seed": 7,
                "compiler_version": "0.1.0",
                "parent": None,
                "transcript_sha256": HASH,
            },
        }
    )


FILES = RunFiles(calls=b'{"path":"a"}\n', texts=b'{"sha256":"b"}\n', report=b"# Report\n")


def make_receipt(artifact: CompiledArtifact, files: RunFiles = FILES) -> CompileReceipt:
    return CompileReceipt.model_validate(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [artifact_subject(artifact).to_json()],
            "predicateType": "https://dse.dev/compile/v1",
            "predicate": {
                "buildDefinition": {
                    "buildType": "https://dse.dev/optimizer/instruction_grid/v1",
                    "externalParameters": {},
                    "resolvedDependencies": [],
                },
                "runDetails": {
                    "builder": {"dse": "0.1.0"},
                    "byproducts": [entry.to_json() for entry in run_byproducts(files)],
                },
                "result": {
                    "winner": artifact.compiled_id,
                    "improved": True,
                    "candidates": [],
                    "stop_reason": {"kind": "complete"},
                    "charged": {},
                },
            },
        }
    )


def make_gate(look: int = 1, split_hash: str = HASH) -> dict[str, Any]:
    return {
        "verdict": "promote",
        "dataset_revision": HASH,
        "split_hash": split_hash,
        "reward_hash": HASH,
        "models": ["openai/small"],
        "look": look,
        "alpha": 0.05,
        "level": 0.025,
        "min_effect": 0.0,
        "margin": 0.02,
        "seed": 7,
        "comparison": {
            "test": "mcnemar_mid_p",
            "n": 2,
            "candidate_mean": 1.0,
            "baseline_mean": 0.5,
            "delta": 0.5,
            "p": 0.01,
            "low": 0.1,
            "high": 0.9,
            "wins": 1,
            "losses": 0,
            "ties": 1,
            "minimum_detectable": None,
        },
        "candidate": make_summary(),
        "baseline": make_summary(),
        "line": "+50.0 points",
    }


def make_record(event: str, target: PolicyRef | None, **changes: Any) -> HistoryRecord:
    return HistoryRecord.model_validate(
        {
            "format": "dse/history/v1",
            "sequence": 1,
            "event": event,
            "signature_id": SIGNATURE_ID,
            "source": None,
            "target": target.to_json() if target else None,
            "reason": None,
            "gate": None,
            "previous": None,
            **changes,
        }
    )


@dataclass(frozen=True)
class Project:
    """A store with shorthand for what the workflows do with it."""

    store: SignatureStore
    root: Path

    def put(self, text: str, *, run: str = "run", **params: Any) -> PolicyRef:
        artifact = make_artifact(text, run=run, **params)
        name, digest = self.store.put_artifact(artifact)
        return PolicyRef(compiled_id=artifact.compiled_id, artifact=name, artifact_digest=digest)

    @property
    def current(self) -> str | None:
        pointer = read_active(self.store)
        return pointer.compiled_id if pointer else None

    def promote(self, target: PolicyRef) -> HistoryRecord:
        return move_pointer(self.store, self.current, target, make_record("promote", target))

    def rollback(self) -> HistoryRecord:
        target = previous_promoted(read_history(self.store))
        return move_pointer(self.store, self.current, target, make_record("rollback", target))

    def tree(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.store.folder.rglob("*"))
            if path.is_file()
        }


def findings(project: Project) -> list[Diagnostic]:
    """Return what `dse check` says of a store whose artifacts were put there by no run."""
    found = verify_store(project.store, make_signature())
    return [finding for finding in found if finding.code != "missing-receipt"]


def make_project(root: Path) -> Project:
    return Project(SignatureStore(root / "artifacts" / "route-ticket", root / ".dse/locks"), root)
