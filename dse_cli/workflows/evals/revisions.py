"""``active@REV`` and ``default@REV``: a policy as it stood at a git revision.

What the policy is made of is exported to a folder outside the project and read there by the same
loaders as always, so that a pull request can be compared with its base branch.
"""

from __future__ import annotations

import posixpath
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dse_cli.canonical import short
from dse_cli.contracts.errors import AlteredError, SpecError, StaleError, UsageError
from dse_cli.contracts.prompt_ir import ContextBlock
from dse_cli.lm.catalog import ModelCatalog
from dse_cli.project.git_tree import tree_at
from dse_cli.project.paths import PROJECT_FILE
from dse_cli.project.project import Project
from dse_cli.project.specs import load_job, load_signature, load_signature_spec
from dse_cli.registry.store import SignatureStore
from dse_cli.workflows.opening import authored_for
from dse_cli.workflows.policies import NamedPolicy, find_policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse_cli.contracts.signature import Signature
    from dse_cli.project.git_tree import GitTree
    from dse_cli.workflows.inputs import JobInputs

_SCHEMAS: Final = {"input_schema": "input", "output_schema": "output"}


def policy_at(inputs: JobInputs, word: str, revision: str) -> NamedPolicy:
    """Return the policy that ``word`` meant at a revision.

    Its params, prompt and pinned model are those of the revision; rows, reward and endpoints are
    those of today.

    Args:
        word: ``active`` or ``default``.
        revision: anything that git takes for a commit.

    Raises:
        UsageError: no git, no such revision, no such signature there, or one whose input or output
            is of another shape, so that today's rows say nothing about it.
        AlteredError, StaleError: the policy of the revision is not sound.
    """
    tree = tree_at(inputs.project.root, revision)
    try:
        with _exported(tree, inputs.name) as project:
            named = _find(project, inputs, word, revision)
    except SpecError as error:
        message = f"at {revision} the project cannot be read: {error.message}"
        raise UsageError(message, hint=error.hint) from error
    except StaleError as error:
        raise StaleError(f"at {revision}: {error.message}") from error
    except AlteredError as error:
        raise AlteredError(f"at {revision}: {error.message}") from error
    return replace(named, label=f"{word}@{revision} {short(named.policy.id)}")


def _find(project: Project, inputs: JobInputs, word: str, revision: str) -> NamedPolicy:
    signature = load_signature(project, inputs.name).signature
    _check_shape(inputs.signature, signature, revision)
    variants = project.job_variants(inputs.name)
    variant = inputs.variant if inputs.variant in variants else None
    job = load_job(project, inputs.name, variant)[0] if variant in variants else None
    authored = authored_for(project, signature, job, ModelCatalog(project.spec))
    store = SignatureStore(project.paths.artifact(inputs.name), project.paths.locks)
    return find_policy(store, signature, authored, word)


def _check_shape(now: Signature, then: Signature, revision: str) -> None:
    changed = [
        word
        for key, word in _SCHEMAS.items()
        if now.contract_hashes[key] != then.contract_hashes[key]
    ]
    if changed:
        raise UsageError(
            f"the {' and the '.join(changed)} of {now.id} had another shape at {revision}: "
            "the rows of today cannot be compared",
            hint="compare with a revision that has the same input and output",
        )


@contextmanager
def _exported(tree: GitTree, name: str) -> Iterator[Project]:
    """Open the project of a revision, with no more of it than the policy of ``name`` needs."""
    import tempfile

    needed = [path for path in tree.blobs if _is_needed(path, name)]
    for path in (PROJECT_FILE, f"signatures/{name}/signature.yaml"):
        if path not in needed:
            raise UsageError(f"there is no {path} at {tree.revision}")
    with tempfile.TemporaryDirectory(prefix="dse-revision-") as made:
        folder = Path(made).resolve()
        tree.export(needed, folder)
        project = Project.open(root=folder)
        tree.export(_blobs(project, name, tree), folder)
        yield project


def _is_needed(path: str, name: str) -> bool:
    parts = path.split("/")
    if parts[0] == "signatures":
        # Of the neighbours only what names are resolved by.
        return len(parts) > 2 and (parts[1] == name or parts[2:] == ["signature.yaml"])
    if parts[0] == "datasets":
        return parts[2:] == ["dataset.yaml"]
    if parts[:2] == ["artifacts", name]:
        return len(parts) > 2 and parts[2] != "receipts"
    return path == PROJECT_FILE


def _blobs(project: Project, name: str, tree: GitTree) -> list[str]:
    """Return the texts that the signature's context names, wherever in the project they stand."""
    spec, _ = load_signature_spec(project, name)
    written = [
        entry.blob
        for block in spec.prompt
        if isinstance(block, ContextBlock)
        for entry in block.context
        if entry.blob is not None
    ]
    paths = [posixpath.normpath(f"signatures/{name}/{blob}") for blob in written]
    return [path for path in paths if path in tree.blobs]
