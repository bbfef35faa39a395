"""Settings of a metric that is a Python function of the project."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from dse_cli.contracts.metrics.base import MetricConfig


class PythonMetric(MetricConfig):
    """A score that a function beside ``signature.yaml`` gives; runs only when a person allows it.

    Attributes:
        call: ``metrics.py:function``, a file of the signature's folder and a name in it.
        args: keyword arguments, after output, expected and input.
    """

    call: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}\.py:[A-Za-z_][A-Za-z0-9_]{0,99}$",
        ),
    ]
    args: dict[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], Any] = Field(
        default_factory=dict
    )

    @property
    def about(self) -> str | None:
        return self.function

    @property
    def file(self) -> str:
        """The file's name."""
        return self.call.split(":")[0]

    @property
    def function(self) -> str:
        """The name inside the file."""
        return self.call.split(":")[1]
