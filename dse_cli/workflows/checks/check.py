"""``dse check``: every spec, hash, pointer and history chain; no model call."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import AlteredError, DseError, ExitCode, SpecError, UsageError
from dse_cli.contracts.job import CompileJob
from dse_cli.evaluation.datasets.dataset_loader import load_dataset
from dse_cli.project.source_text import raise_sorted
from dse_cli.project.specs import load_dataset_spec, load_signature
from dse_cli.project.validate import validate
from dse_cli.project.yaml_document import load_yaml
from dse_cli.registry.store import SignatureStore, file_names
from dse_cli.registry.verify import verify_store
from dse_cli.runtime.direct import refuse_tools
from dse_cli.workflows.checks.artifact_pins import artifact_pins
from dse_cli.workflows.checks.canary_checks import canary_findings
from dse_cli.workflows.checks.gate_records import gate_record_findings
from dse_cli.workflows.checks.holdout_size import holdout_findings, no_holdout
from dse_cli.workflows.checks.ignored import unignored_local_folder
from dse_cli.workflows.checks.stale import JobsOfNow, stale_findings
from dse_cli.workflows.compiles.compile_search import find_optimizer, known_optimizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dse_cli.contracts.signature import Signature
    from dse_cli.project.project import Project
    from dse_cli.workflows.inputs import JobInputs

#: Outcomes of a diagnostic that mean integrity and not a wrong spec.
INTEGRITY_OUTCOMES = frozenset({"altered", "integrity", "pointer_moved", "diverged"})


def check_project(project: Project) -> list[Diagnostic]:
    """Return every finding, sorted by file and line; errors and warnings."""
    findings: list[Diagnostic] = []
    checked_datasets: set[str] = set()
    jobs = JobsOfNow(project)
    for name in project.signature_names():
        signature = _signature(project, name, findings)
        if signature is None:
            continue
        findings += _tool_warnings(project, name, signature)
        for variant in project.job_variants(name):
            work = partial(_check_job, jobs, name, variant, checked_datasets, findings)
            _guarded(findings, work, project.paths.job_file(name, variant), project)
    for dataset in project.dataset_names():
        if dataset not in checked_datasets:
            work = partial(_check_dataset, project, dataset)
            _guarded(findings, work, project.paths.dataset_file(dataset), project)
    findings += _check_stores(jobs)
    findings += unignored_local_folder(project)
    return sorted(set(findings), key=_order)


def _order(found: Diagnostic) -> tuple[Any, ...]:
    return (found.file, found.line, found.column, found.code, found.message, found.hint or "")


def gravest(findings: list[Diagnostic]) -> ExitCode:
    """Return the exit code of the gravest finding: integrity, then spec, then stale."""
    outcomes = {finding.outcome for finding in findings if finding.severity == "error"}
    if outcomes & INTEGRITY_OUTCOMES:
        return ExitCode.INTEGRITY
    if outcomes - {"stale"}:
        return ExitCode.USAGE
    return ExitCode.QUALITY if outcomes else ExitCode.DONE


def _signature(project: Project, name: str, findings: list[Diagnostic]) -> Signature | None:
    found: list[Signature] = []
    file = project.paths.signature_file(name)
    _guarded(findings, lambda: found.append(load_signature(project, name).signature), file, project)
    return found[0] if found else None


def _tool_warnings(project: Project, name: str, signature: Signature) -> list[Diagnostic]:
    try:
        refuse_tools(signature)
    except UsageError as error:
        file = project.paths.relative(project.paths.signature_file(name))
        return [Diagnostic(file, 0, 0, "tools", error.message, error.hint, severity="warning")]
    return []


def _check_job(
    jobs: JobsOfNow,
    name: str,
    variant: str | None,
    checked_datasets: set[str],
    findings: list[Diagnostic],
) -> None:
    try:
        inputs = jobs.load(name, variant, {})
    except SpecError:
        # What is wrong with its inputs hides what is wrong with its optimizer.
        path = jobs.project.paths.job_file(name, variant)
        document = load_yaml(path, name=jobs.project.paths.relative(path))
        job = validate(document, CompileJob)
        _guarded(findings, lambda: known_optimizer(job, document), path, jobs.project)
        raise
    dataset = jobs.project.resolve_dataset(inputs.job.dataset)
    if dataset not in checked_datasets:
        _, document = load_dataset_spec(jobs.project, dataset)
        findings += no_holdout(inputs.dataset, document)
    checked_datasets.add(dataset)
    find_optimizer(inputs)
    findings += _code_warnings(inputs)


def _code_warnings(inputs: JobInputs) -> list[Diagnostic]:
    if inputs.project.trusts_code:
        return []
    return [
        Diagnostic(
            f"signatures/{inputs.name}/{file}",
            0,
            0,
            "code-not-run",
            "this file was read and hashed, and not run: nobody allowed it",
            "'dse check --allow-code' also tries its metrics on the expected outputs",
            severity="warning",
        )
        for file in sorted(inputs.reward.code_digests)
    ]


def _check_dataset(project: Project, name: str) -> None:
    spec, document = load_dataset_spec(project, name)
    folder = (project.root / document.name).parent
    dataset = load_dataset(project.root, spec, None, folder=folder)
    raise_sorted(holdout_findings(project, dataset, document))


def _check_stores(jobs: JobsOfNow) -> list[Diagnostic]:
    project = jobs.project
    findings: list[Diagnostic] = []
    signatures, pins = set(project.signature_names()), artifact_pins(project)
    for name in file_names(project.paths.artifacts):
        store = SignatureStore(project.paths.artifact(name), project.paths.locks)
        if not store.folder.is_dir():
            continue
        ignored: list[Diagnostic] = []
        signature = _signature(project, name, ignored) if name in signatures else None
        findings += verify_store(store, signature, pins.get(name))
        findings += gate_record_findings(store)
        if signature is not None:
            findings += stale_findings(jobs, store, signature, pins.get(name))
            findings += canary_findings(project, name)
        if name not in signatures:
            message = "these artifacts belong to no signature"
            hint = f"remove artifacts/{name}, or restore signatures/{name}/signature.yaml"
            findings.append(
                Diagnostic(
                    f"artifacts/{name}", 0, 0, "orphan-artifacts", message, hint, severity="warning"
                )
            )
    return findings


def _guarded(
    findings: list[Diagnostic], work: Callable[[], object], file: Path, project: Project
) -> None:
    """Run a check of a file; what it raises becomes findings."""
    name = project.paths.relative(file)
    try:
        work()
    except SpecError as error:
        findings.extend(error.diagnostics)
    except AlteredError as error:
        findings.extend(error.diagnostics or [_plain(error, name)])
    except DseError as error:
        findings.append(_plain(error, name))


def _plain(error: DseError, file: str) -> Diagnostic:
    return Diagnostic(file, 0, 0, error.outcome, error.message, error.hint, outcome=error.outcome)
