"""DSE, the compiler for prompts.

Public surface: :func:`load` returns a compiled signature as a callable, ``MetricResult`` is what a
Python metric may return; everything else is the ``dse`` command line. Importing this package
imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.evaluation.metric_result import MetricResult
    from dse_cli.workflows.serving.loader import LoadedSignature

__version__ = "0.1.0"
__all__ = ["MetricResult", "__version__", "load"]


def load(name: str, *, project: str | Path | None = None) -> LoadedSignature:
    """Return signature ``name`` with its active policy, ready to be called.

    Args:
        name: a signature folder, a signature id, or an unambiguous prefix of either.
        project: the project root; found upwards from the working directory when omitted.

    Raises:
        dse_cli.contracts.errors.DseError: the project, the spec or the pointer is not sound.
    """
    from dse_cli.workflows.serving.loader import load_signature

    return load_signature(name, project=project)


def __getattr__(name: str) -> Any:
    """Import what is public and lives in a layer only when it is asked for."""
    if name == "MetricResult":
        from dse_cli.evaluation.metric_result import MetricResult

        return MetricResult
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
