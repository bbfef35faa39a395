"""The meta-signatures that are shipped: one YAML file each, read as any signature of a project is.

What stands in a file is part of what an optimizer does. Every policy made of one is pinned by hash
in the run and in its receipt, so another text is another run.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, get_args

from dse_cli.contracts.meta import MetaName
from dse_cli.contracts.signature import Signature, SignatureSpec
from dse_cli.project.signature_checks import signature_problems
from dse_cli.project.source_text import raise_sorted
from dse_cli.project.validate import validate
from dse_cli.project.yaml_document import parse_yaml

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

META_NAMES: tuple[MetaName, ...] = get_args(MetaName)


@cache
def shipped_signature(name: MetaName) -> Signature:
    """Return a meta-signature as shipped.

    Raises:
        SpecError: the installed file was edited and is no longer a signature.
    """
    text = shipped_file(name).read_text("utf-8")
    document = parse_yaml(text, name=f"dse_cli/optimizers/proposals/signatures/{name}.yaml")
    spec = validate(document, SignatureSpec)
    raise_sorted(signature_problems(spec, document))
    return Signature(spec, {})


def shipped_file(name: MetaName) -> Traversable:
    """Return the file of a meta-signature in the package."""
    return files("dse_cli.optimizers.proposals") / "signatures" / f"{name}.yaml"
