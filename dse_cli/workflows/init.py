"""``dse init``: a project, a judge or a meta-signature, copied byte for byte from this package.

Nothing is filled in: a template is the file that will be written. In the package a name that begins
with a dot is spelled ``dot_``, so that no tool takes a template for its own configuration.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final, Literal

from dse_cli.contracts.errors import UsageError
from dse_cli.project.project import Project
from dse_cli.project.suggest import did_you_mean
from dse_cli.registry.atomic import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable
    from pathlib import Path

#: The signature of the templates, as commands take it.
SIGNATURE: Final = "review-intent"
JudgeKind = Literal["rubric", "pairwise"]
_DOT: Final = "dot_"


def init_project(folder: Path) -> list[str]:
    """Write a project into ``folder``, which is made if missing.

    Returns:
        The names of the files, relative to ``folder``, sorted.

    Raises:
        UsageError: one of the files is there already, or a file stands where a folder must be;
            nothing was written.
        InfrastructureError: the system refuses to write.
    """
    return _write(folder, "init", hint="choose an empty folder: dse init FOLDER")


def add_judge(folder: Path, kind: JudgeKind) -> tuple[str, list[str]]:
    """Add a shipped judge, with its labelled judgements, to the project that holds ``folder``.

    Returns:
        The judge's name, as commands take it, and the files relative to the project root, sorted.

    Raises:
        UsageError: there is no project, or one of the files is there already; nothing was written.
        SpecError: ``dse.yaml`` is wrong.
        InfrastructureError: the system refuses to write.
    """
    project = Project.open(folder)
    hint = "the judge was added before; remove those files to have it as shipped"
    return f"{kind}-judge", _write(project.root, f"judges/{kind}", hint=hint)


def add_meta(folder: Path, written: str) -> tuple[str, list[str]]:
    """Add a meta-signature as shipped to the project that holds ``folder``, to make it one's own.

    Args:
        written: which one (``propose_instruction``).

    Returns:
        Its name, as commands take it, and the files relative to the project root.

    Raises:
        UsageError: there is none of that name or no project, or its file is there already; nothing
            was written.
        SpecError: ``dse.yaml`` is wrong.
        InfrastructureError: the system refuses to write.
    """
    from dse_cli.optimizers.proposals.meta_signatures import META_NAMES, shipped_file

    name = next((known for known in META_NAMES if known == written), None)
    if name is None:
        hint = did_you_mean(written, META_NAMES, otherwise="meta-signatures")
        raise UsageError(f"there is no meta-signature {written!r}", hint=hint)
    project = Project.open(folder)
    own = name.replace("_", "-")
    templates = {f"signatures/{own}/signature.yaml": shipped_file(name)}
    return own, _copy(project.root, templates, hint="remove that file to have it as shipped")


def _write(folder: Path, template: str, *, hint: str) -> list[str]:
    home = files("dse_cli.workflows") / "templates"
    for part in template.split("/"):
        home /= part
    return _copy(folder, dict(sorted(_templates(home, ""))), hint=hint)


def _copy(folder: Path, templates: dict[str, Traversable], *, hint: str) -> list[str]:
    taken = sorted({name for path in templates if (name := _in_the_way(folder, path))})
    if taken:
        message = f"nothing was written, because there is already: {', '.join(taken)}"
        raise UsageError(message, hint=hint)
    for name, source in templates.items():
        write_atomic(folder / name, source.read_bytes())
    return list(templates)


def _templates(source: Traversable, parent: str) -> Iterator[tuple[str, Traversable]]:
    """Yield the name that each template gets in a project, and the template."""
    for entry in source.iterdir():
        name = parent + entry.name
        if entry.name.startswith(_DOT):
            name = f"{parent}.{entry.name.removeprefix(_DOT)}"
        if entry.is_dir():
            yield from _templates(entry, f"{name}/")
        else:
            yield name, entry


def _in_the_way(folder: Path, name: str) -> str | None:
    """Return what stands where ``name`` must be written, or None."""
    if folder.is_symlink() or folder.exists():
        if not folder.is_dir():
            return str(folder)
    else:
        return None
    path = folder
    for part in name.split("/"):
        path /= part
        is_last = path == folder / name
        # A dangling link does not exist, but a write would go through it or replace it.
        if path.is_symlink() or (path.exists() and (is_last or not path.is_dir())):
            return path.relative_to(folder).as_posix()
    return None
