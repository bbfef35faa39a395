"""What a compile writes, as a pure function of inputs, search and transcript."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dse_cli import __version__
from dse_cli.canonical import sha256_of
from dse_cli.contracts.artifact import (
    ARTIFACT_FORMAT,
    CompiledArtifact,
    ModelRecord,
    OptimizerRecord,
    PolicyHashes,
    Provenance,
)
from dse_cli.contracts.dataset import rows_hash
from dse_cli.contracts.receipt import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    BuildDefinition,
    CandidateRecord,
    CompilePredicate,
    CompileReceipt,
    CompileResult,
    Digest,
    Resource,
    RunDetails,
)
from dse_cli.evaluation.summary import summarize
from dse_cli.registry.receipts import RunFiles, artifact_subject, index_subject, run_byproducts
from dse_cli.report.compile_markdown import compile_report
from dse_cli.workflows.compiles.compile_search import find_optimizer
from dse_cli.workflows.compiles.libraries import library_versions

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.demo_index import DemoIndex
    from dse_cli.contracts.evaluation import Cell, EvalSummary
    from dse_cli.lm.transcript import TranscriptFiles
    from dse_cli.workflows.compiles.compile_search import SearchOutcome
    from dse_cli.workflows.inputs import JobInputs


@dataclass(frozen=True)
class CompileOutputs:
    """All that a compile leaves in git.

    Attributes:
        artifact: the winner with its evidence.
        receipt: what was read, done and written, by hash.
        files: transcript and report.
        index: of the winner's demos, where it selects among them for each input.
    """

    artifact: CompiledArtifact
    receipt: CompileReceipt
    files: RunFiles
    index: DemoIndex | None = None


def build_outputs(
    inputs: JobInputs,
    outcome: SearchOutcome,
    transcript: TranscriptFiles,
) -> CompileOutputs:
    """Return artifact, receipt and run files.

    Args:
        transcript: ``calls.jsonl`` and ``texts.jsonl``.
    """
    run = sha256_of({"inputs": inputs.run_inputs_hash, "transcript": transcript.digest})
    artifact = _artifact(inputs, outcome, run, transcript.digest)
    report = compile_report(
        inputs.name, artifact, _result(outcome, artifact), inputs.signature.instruction
    )
    files = RunFiles(transcript.calls, transcript.texts, report.encode())
    receipt = _receipt(inputs, outcome, artifact, files)
    return CompileOutputs(artifact, receipt, files, outcome.winner.candidate.main.index)


def _artifact(
    inputs: JobInputs, outcome: SearchOutcome, run: str, transcript_digest: str
) -> CompiledArtifact:
    policy = outcome.winner.candidate.main
    registered, config = find_optimizer(inputs)
    return CompiledArtifact(
        format=ARTIFACT_FORMAT,
        signature_id=inputs.signature.id,
        compiled_id=policy.id,
        hashes=PolicyHashes(**policy.hashes),
        params=policy.params,
        evaluation=_summary(inputs, outcome.rows, outcome.winner_cells),
        baseline=_summary(inputs, outcome.rows, outcome.baseline_cells),
        optimizer=OptimizerRecord(
            id=registered.optimizer.id,
            version=registered.optimizer.revision,
            config=config.model_dump(mode="json", exclude_none=True),
            stop_reason=outcome.stop_reason,
        ),
        provenance=Provenance(
            run=run,
            job_hash=inputs.job_hash,
            dataset_revision=inputs.dataset.revision,
            split_hash=rows_hash(tuple(outcome.rows)),
            reward_hash=inputs.reward.hash,
            search_space_hash=inputs.search_space_hash,
            models=_models(inputs, outcome),
            seed=inputs.job.seed,
            compiler_version=__version__,
            parent=outcome.winner.parent,
            transcript_sha256=transcript_digest,
        ),
    )


def _summary(inputs: JobInputs, rows: Sequence[Row], cells: list[Cell]) -> EvalSummary:
    return summarize(
        cells,
        split="val",
        dataset_revision=inputs.dataset.revision,
        split_hash=rows_hash(tuple(rows)),
        reward_hash=inputs.reward.hash,
        rows={row.id: row for row in rows},
        seed=inputs.job.seed,
    )


def _models(inputs: JobInputs, outcome: SearchOutcome) -> dict[str, ModelRecord]:
    cells = [*outcome.baseline_cells, *outcome.winner_cells]
    served = {"main": {cell.served_model for cell in cells}, **outcome.log.served}
    by_job = [served.get(meta.name, set()) for meta in inputs.meta if not meta.pins_model]
    served["proposer"] = set().union(*by_job)
    records = {
        role: _model(inputs, name, served.get(role, ())) for role, name in inputs.models.items()
    }
    for meta in inputs.meta:
        if meta.pins_model:
            asked = meta.model()
            records[f"meta:{meta.name}"] = _model(inputs, asked, served.get(meta.name, ()))
    for judge in inputs.judges:
        asked = judge.policy.model("main").model or ""
        calls = [call for cell in cells for call in cell.judges if call.signal == judge.signal]
        models = {model for call in calls for model in call.served_models}
        records[f"judge:{judge.index}"] = _model(inputs, asked, models)
    return records


def _model(inputs: JobInputs, asked: str, served: Iterable[str]) -> ModelRecord:
    return ModelRecord(
        asked=asked,
        weights=inputs.catalog.identify(asked).weights,
        served=", ".join(sorted({model for model in served if model})),
    )


def _candidates(outcome: SearchOutcome) -> tuple[CandidateRecord, ...]:
    archive = outcome.archive
    return tuple(
        CandidateRecord(
            id=entry.candidate.id,
            origin=entry.origin,
            parent=entry.parent,
            mean=_rounded(archive.mean(entry)),
            n=archive.scored(entry),
            tokens=archive.tokens(entry) if archive.mean(entry) is not None else None,
        )
        for entry in archive
    )


def _log(outcome: SearchOutcome) -> dict[str, Any]:
    """Return what the search did besides; a part that is empty stays out of the file."""
    log = outcome.log
    parts: dict[str, Sequence[Any]] = {
        "proposals": log.proposals,
        "demo_sets": log.demo_sets,
        "trials": log.trials,
    }
    return {name: tuple(records) for name, records in parts.items() if records}


def _rounded(mean: float | None) -> float | None:
    return None if mean is None else round(mean, 12)


def _result(outcome: SearchOutcome, artifact: CompiledArtifact) -> CompileResult:
    return CompileResult(
        winner=artifact.compiled_id,
        improved=outcome.winner.candidate.id != outcome.baseline.candidate.id,
        candidates=_candidates(outcome),
        stop_reason=outcome.stop_reason,
        charged=outcome.charged,
        **_log(outcome),
    )


def _receipt(
    inputs: JobInputs,
    outcome: SearchOutcome,
    artifact: CompiledArtifact,
    files: RunFiles,
) -> CompileReceipt:
    index = outcome.winner.candidate.main.index
    return CompileReceipt(
        _type=STATEMENT_TYPE,
        subject=(artifact_subject(artifact), *([] if index is None else [index_subject(index)])),
        predicateType=PREDICATE_TYPE,
        predicate=CompilePredicate(
            buildDefinition=BuildDefinition(
                buildType=f"https://dse.dev/optimizer/{artifact.optimizer.id}",
                externalParameters=inputs.external_parameters,
                resolvedDependencies=dependencies(inputs),
            ),
            runDetails=RunDetails(
                builder={
                    "dse": __version__,
                    "optimizer_revision": str(artifact.optimizer.version),
                    **library_versions(artifact.optimizer.id),
                },
                byproducts=run_byproducts(files),
            ),
            result=_result(outcome, artifact),
        ),
    )


def dependencies(inputs: JobInputs) -> tuple[Resource, ...]:
    """Return what decided the run, by the hash of its canonical content.

    Canonical content and not file bytes: a comment or a line break in a spec changes no result, so
    it must not make a receipt unreplayable.
    """
    hashes = {
        "base-policy": inputs.base.id,
        "dataset": inputs.dataset.revision,
        "job": inputs.job_hash,
        "reward": inputs.reward.hash,
        "train-rows": rows_hash(inputs.dataset.split("train")),
        "val-rows": rows_hash(inputs.rows("val")),
        **inputs.reward.code_digests,
        **{
            f"signature/{name}": digest for name, digest in inputs.signature.contract_hashes.items()
        },
    }
    own = [Resource(name=name, digest=_digest(value)) for name, value in sorted(hashes.items())]
    return (*own, *_judges(inputs), *_meta(inputs))


def _judges(inputs: JobInputs) -> Iterator[Resource]:
    """Yield the policy that each judge is, and the artifact that it is pinned to."""
    for judge in inputs.judges:
        about = {"signature": judge.policy.signature.id, "signal": judge.signal}
        yield Resource(
            name=f"judge:{judge.index}/artifact",
            digest=_digest(judge.digest),
            annotations={**about, "file": judge.artifact},
        )
        yield Resource(
            name=f"judge:{judge.index}/policy", digest=_digest(judge.policy.id), annotations=about
        )


def _meta(inputs: JobInputs) -> Iterator[Resource]:
    """Yield the policy that answers each meta-signature, and the artifact that it is, if one."""
    for meta in inputs.meta:
        about = {"signature": meta.policy.signature.id}
        if meta.digest is not None and meta.artifact is not None:
            yield Resource(
                name=f"meta:{meta.name}/artifact",
                digest=_digest(meta.digest),
                annotations={**about, "file": meta.artifact},
            )
        yield Resource(
            name=f"meta:{meta.name}/policy", digest=_digest(meta.policy.id), annotations=about
        )


def _digest(written: str) -> Digest:
    return Digest(sha256=written.removeprefix("sha256:"))
