"""Versions of the libraries that decide what an optimizer does.

A sampler of another version may choose other candidates from the same numbers. So the versions name
the run, stand in its receipt, and a strict replay with others is refused before it starts.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from dse_cli.contracts.errors import StaleError
from dse_cli.optimizers.registry import OPTIMIZERS

if TYPE_CHECKING:
    from dse_cli.contracts.receipt import CompileReceipt

#: What a receipt says of its builder besides libraries.
OWN = frozenset({"dse", "optimizer_revision"})


def library_versions(optimizer: str) -> dict[str, str]:
    """Return the installed versions of an optimizer's libraries; none for an unknown optimizer."""
    registered = OPTIMIZERS.get(optimizer)
    names = () if registered is None else registered.optimizer.libraries
    return {name: version(name) for name in sorted(names)}


def refuse_other_libraries(receipt: CompileReceipt) -> None:
    """Make sure that the libraries of a run are installed in the versions that it had.

    Raises:
        StaleError: names each library with both versions.
    """
    builder = receipt.predicate.runDetails.builder
    recorded = {name: was for name, was in sorted(builder.items()) if name not in OWN}
    optimizer = receipt.predicate.buildDefinition.buildType.rsplit("/", 1)[-1]
    installed = library_versions(optimizer)
    other = [
        f"{name} {was} decided this run, {installed.get(name, 'no version')} is installed"
        for name, was in recorded.items()
        if installed.get(name) != was
    ]
    if other:
        pins = " ".join(f"{name}=={was}" for name, was in recorded.items())
        raise StaleError(
            "; ".join(other),
            hint=f"install {pins}, or use --mode until-divergence to see what the change does",
        )
