"""Loading the specs of a project: signatures with their texts, jobs, datasets.

Each loader returns the contract with its document, so that later checks can point into the file.
What one file says about another (a dataset, a model alias, a blob) is checked here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from dse_cli.contracts.base import Contract
from dse_cli.contracts.dataset import CsvFile, DatasetSpec
from dse_cli.contracts.errors import SpecError, UsageError
from dse_cli.contracts.job import CompileJob
from dse_cli.contracts.project import EMBEDDED_ALIASES
from dse_cli.contracts.prompt_ir import ContextBlock
from dse_cli.contracts.signature import Signature, SignatureSpec
from dse_cli.project.paths import PathRefusedError, confine
from dse_cli.project.signature_checks import signature_problems
from dse_cli.project.source_text import raise_sorted, read_source
from dse_cli.project.suggest import did_you_mean
from dse_cli.project.validate import validate
from dse_cli.project.yaml_document import YamlDocument, load_yaml

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.project.document import Loc
    from dse_cli.project.project import Project

C = TypeVar("C", bound=Contract)

#: Largest text that a context block may carry, in bytes.
MAX_BLOB_BYTES = 1_000_000


class LoadedSignatureFile(NamedTuple):
    """A signature with its texts read, its file, and its folder under ``signatures/``."""

    signature: Signature
    document: YamlDocument
    folder: str


def load_signature_spec(project: Project, name: str) -> tuple[SignatureSpec, YamlDocument]:
    """Read ``signature.yaml`` of the signature that ``name`` means.

    Besides the contract, its types are checked as JSON Schemas, and its demos against them.

    Raises:
        UsageError: ``name`` means no signature, or several.
        SpecError: with every problem found.
    """
    folder = project.resolve_signature(name)
    spec, document = _read(project, project.paths.signature_file(folder), SignatureSpec)
    raise_sorted(signature_problems(spec, document))
    return spec, document


def load_signature(project: Project, name: str) -> LoadedSignatureFile:
    """Read a signature and the texts that its context blocks name.

    Raises:
        UsageError: ``name`` means no signature, or several.
        SpecError: with every problem found.
    """
    folder = project.resolve_signature(name)
    spec, document = load_signature_spec(project, folder)
    blobs: dict[str, str] = {}
    problems: list[Diagnostic] = []
    for loc, written in _blob_places(spec):
        path = _confined(project, document, loc, written, problems)
        if path is None:
            continue
        try:
            name_of_blob = project.paths.relative(path)
            blobs[written] = read_source(path, name=name_of_blob, max_bytes=MAX_BLOB_BYTES).text
        except SpecError as error:
            problems += error.diagnostics
    raise_sorted(problems)
    return LoadedSignatureFile(Signature(spec, blobs), document, folder)


def load_job(
    project: Project, name: str, variant: str | None = None
) -> tuple[CompileJob, YamlDocument]:
    """Read ``compile.yaml`` (or ``compile.<variant>.yaml``) of the signature ``name`` means.

    Raises:
        UsageError: no such signature, or no such job.
        SpecError: with every problem found, an unknown dataset or model alias among them.
    """
    folder = project.resolve_signature(name)
    variants = project.job_variants(folder)
    if variant not in variants:
        raise _no_job(folder, variant, variants)
    job, document = _read(project, project.paths.job_file(folder, variant), CompileJob)
    problems = _dataset_problems(project, job, document)
    raise_sorted([*problems, *_alias_problems(project, job, document)])
    return job, document


def load_dataset_spec(project: Project, reference: str) -> tuple[DatasetSpec, YamlDocument]:
    """Read ``dataset.yaml`` of the dataset with this id or folder name.

    Raises:
        UsageError: no such dataset, or several with this id.
        SpecError: with every problem found, a file that is missing or out of bounds among them.
    """
    folder = project.resolve_dataset(reference)
    spec, document = _read(project, project.paths.dataset_file(folder), DatasetSpec)
    dataset_file_paths(project, spec, document)
    return spec, document


def dataset_file_paths(project: Project, spec: DatasetSpec, document: YamlDocument) -> list[Path]:
    """Return the real paths of a dataset's files, in the order of ``files``.

    Raises:
        SpecError: a path leads out of the project, does not exist, stands twice, or ends neither
            in ``.jsonl`` nor, with a column map, in ``.csv``.
    """
    problems: list[Diagnostic] = []
    paths: list[Path] = []
    for index, file in enumerate(spec.files):
        is_csv = isinstance(file, CsvFile)
        loc: Loc = ("files", index, "path") if is_csv else ("files", index)
        written = file.path if isinstance(file, CsvFile) else file
        path = _confined(project, document, loc, written, problems)
        if path is None:
            continue
        problem = _file_problem(path, is_csv=is_csv, seen=paths)
        if problem is not None:
            problems.append(document.diagnostic(loc, "bad-file", *problem))
        paths.append(path)
    raise_sorted(problems)
    return paths


def _file_problem(path: Path, *, is_csv: bool, seen: list[Path]) -> tuple[str, str | None] | None:
    if not path.is_file():
        return f"the file {path.name!r} does not exist", None
    if path in seen:
        return f"the file {path.name!r} is listed twice", None
    if is_csv and path.suffix != ".csv":
        return f"a file with columns must end in .csv, and {path.name!r} does not", None
    if not is_csv and path.suffix == ".csv":
        return "a CSV file needs a column map", "write {path: ..., columns: {id: ..., ...}}"
    if not is_csv and path.suffix != ".jsonl":
        return f"the file {path.name!r} must end in .jsonl", None
    return None


def _read(project: Project, path: Path, contract: type[C]) -> tuple[C, YamlDocument]:
    document = load_yaml(path, name=project.paths.relative(path))
    return validate(document, contract), document


def _blob_places(spec: SignatureSpec) -> list[tuple[Loc, str]]:
    return [
        (("prompt", index, "context", position, "blob"), entry.blob)
        for index, block in enumerate(spec.prompt)
        if isinstance(block, ContextBlock)
        for position, entry in enumerate(block.context)
        if entry.blob is not None
    ]


def _confined(
    project: Project,
    document: YamlDocument,
    loc: Loc,
    written: str,
    problems: list[Diagnostic],
) -> Path | None:
    """Return the real path of what a document names, or None after recording why not."""
    base = (project.root / document.name).parent
    try:
        return confine(project.root, base, written)
    except PathRefusedError as error:
        problems.append(document.diagnostic(loc, "path-refused", str(error)))
        return None


def _dataset_problems(
    project: Project, job: CompileJob, document: YamlDocument
) -> list[Diagnostic]:
    try:
        project.resolve_dataset(job.dataset)
    except UsageError as error:
        return [document.diagnostic(("dataset",), "unknown-dataset", error.message, error.hint)]
    return []


def _alias_problems(project: Project, job: CompileJob, document: YamlDocument) -> list[Diagnostic]:
    known = sorted([*project.spec.models, *EMBEDDED_ALIASES])
    return [
        document.diagnostic(
            ("models", role),
            "unknown-model",
            f"the model {alias!r} is not an alias of dse.yaml",
            did_you_mean(alias, known, otherwise="known models"),
        )
        for role, alias in sorted(job.models.to_json().items())
        if alias is not None and alias not in known
    ]


def _no_job(folder: str, variant: str | None, variants: list[str | None]) -> UsageError:
    file = "compile.yaml" if variant is None else f"compile.{variant}.yaml"
    named = [known for known in variants if known is not None]
    hint = f"there are the variants {', '.join(named)}" if named else None
    if variant is not None:
        hint = did_you_mean(variant, named, otherwise="there are the variants")
    return UsageError(f"the signature {folder!r} has no {file}", hint=hint)
