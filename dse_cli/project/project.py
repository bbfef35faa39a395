"""A project: its root, its ``dse.yaml``, and what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError
from dse_cli.contracts.project import ProjectSpec
from dse_cli.project.config import Overrides, Settings, load_settings
from dse_cli.project.names import is_folder_slug, resolve_name, resolve_reference
from dse_cli.project.paths import PROJECT_FILE, ProjectPaths, confine, find_root
from dse_cli.project.source_text import raise_sorted
from dse_cli.project.validate import validate
from dse_cli.project.yaml_document import YamlDocument, load_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Project:
    """An open project.

    Attributes:
        paths: where everything stands.
        spec: ``dse.yaml``.
        document: ``dse.yaml`` with positions.
        allow_code: what the person at the command line says of the project's Python metrics; None
            leaves it to the user's own configuration. No file of the project can set it.
    """

    paths: ProjectPaths
    spec: ProjectSpec
    document: YamlDocument
    allow_code: bool | None = None

    @classmethod
    def open(
        cls,
        start: str | Path | None = None,
        *,
        root: str | Path | None = None,
        environ: Mapping[str, str] | None = None,
        allow_code: bool | None = None,
    ) -> Project:
        """Find and read a project.

        Args:
            start: folder to search upwards from; the working directory when omitted.
            root: the project root itself (``--project``); wins over DSE_PROJECT and ``start``.
            environ: the environment; the process's own when omitted.
            allow_code: whether Python metrics of the project may run (``--allow-code``).

        Raises:
            UsageError: there is no project.
            SpecError: ``dse.yaml`` is wrong.
        """
        here = Path.cwd() if start is None else Path(start)
        paths = ProjectPaths(find_root(here, explicit=root, environ=environ))
        document = load_yaml(paths.project_file, name=PROJECT_FILE)
        return cls(paths, validate(document, ProjectSpec), document, allow_code)

    @property
    def root(self) -> Path:
        """The real path of the project root."""
        return self.paths.root

    def settings(
        self, overrides: Overrides | None = None, *, environ: Mapping[str, str] | None = None
    ) -> Settings:
        """Return the settings in force; see :func:`dse_cli.project.config.load_settings`."""
        return load_settings(
            root=self.root,
            spec=self.spec,
            document=self.document,
            overrides=overrides,
            environ=environ,
        )

    @cached_property
    def trusts_code(self) -> bool:
        """Whether Python metrics may run: ``--allow-code``, or ``allow_code`` of the user."""
        return self.settings(Overrides(allow_code=self.allow_code)).allow_code

    def signature_names(self) -> list[str]:
        """Return the folders under ``signatures/`` that hold a ``signature.yaml``, sorted.

        Raises:
            SpecError: such a folder has a name that is not a slug, or is a link out of the project.
        """
        return self._folders(self.paths.signatures, "signature.yaml")

    def dataset_names(self) -> list[str]:
        """Return the folders under ``datasets/`` that hold a ``dataset.yaml``, sorted.

        Raises:
            SpecError: such a folder has a name that is not a slug, or is a link out of the project.
        """
        return self._folders(self.paths.datasets, "dataset.yaml")

    def job_variants(self, folder: str) -> list[str | None]:
        """Return the compile jobs of a signature: None for ``compile.yaml``, then the variants.

        A variant is the middle part of ``compile.<variant>.yaml``; they are sorted.
        """
        home = self.paths.signature(folder)
        names = sorted(path.name for path in home.glob("compile*.yaml") if path.is_file())
        plain: list[str | None] = [None] if "compile.yaml" in names else []
        variants = [
            name.removeprefix("compile.").removesuffix(".yaml")
            for name in names
            if name.startswith("compile.") and name != "compile.yaml"
        ]
        return [*plain, *variants]

    def resolve_signature(self, name: str) -> str:
        """Return the signature folder that a folder name, an id or a prefix means.

        Raises:
            UsageError: nothing matches, or several do.
        """
        folders = self.signature_names()
        # A folder's own name needs no other file, so a broken neighbour is no obstacle.
        return name if name in folders else resolve_name(name, self.signature_ids)

    def resolve_dataset(self, reference: str) -> str:
        """Return the dataset folder that an id (``support/route-ticket``) or a folder name means.

        Prefixes are not taken: a reference in a file must not change its meaning when a dataset
        is added. An id wins over a folder of the same name.

        Raises:
            UsageError: nothing matches, or several do.
        """
        return resolve_reference(reference, self.dataset_ids, what="dataset")

    @cached_property
    def signature_ids(self) -> dict[str, str]:
        """Folder to signature id; an empty id for a file that cannot be read."""
        return {
            folder: _id_in(self.paths.signature_file(folder)) for folder in self.signature_names()
        }

    @cached_property
    def dataset_ids(self) -> dict[str, str]:
        """Folder to dataset id; an empty id for a file that cannot be read."""
        return {folder: _id_in(self.paths.dataset_file(folder)) for folder in self.dataset_names()}

    def _folders(self, parent: Path, file: str) -> list[str]:
        if not parent.is_dir():
            return []
        problems: list[Diagnostic] = []
        names = sorted(child.name for child in parent.iterdir() if (child / file).is_file())
        for name in names:
            message = self._folder_problem(parent, name)
            if message is not None:
                where = self.paths.relative(parent / name / file)
                problems.append(Diagnostic(where, 0, 0, "invalid-folder", message))
        raise_sorted(problems)
        return names

    def _folder_problem(self, parent: Path, name: str) -> str | None:
        if not is_folder_slug(name):
            return f"the folder {name!r} must be named in lower-case letters, digits, '-' and '_'"
        try:
            confine(self.root, parent, name)
        except ValueError as error:
            return f"the folder {name!r}: {error}"
        return None


def _id_in(path: Path) -> str:
    """Return the id that a spec gives itself, without checking the rest of it."""
    try:
        value = load_yaml(path, name=path.name).value
    except SpecError:
        # Reported when the file itself is loaded, and by 'dse check'.
        return ""
    identifier = value.get("id") if isinstance(value, dict) else None
    return identifier if isinstance(identifier, str) else ""
