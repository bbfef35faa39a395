"""The options of ``dse eval``, as typer reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PolicyOption = Annotated[
    str,
    typer.Option(metavar="ID", help="active, default, latest, an artifact, or active@REV."),
]
AgainstOption = Annotated[
    str | None,
    typer.Option(
        metavar="ID", help="Compare with: active, default, latest, an artifact, active@REV."
    ),
]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="ALIAS", help="Measure on this model; may be repeated."),
]
SplitOption = Annotated[str, typer.Option(help="train or val; the holdout is for the gate.")]
TagOption = Annotated[
    list[str] | None, typer.Option(help="Rows with this tag; may be repeated, all must match.")
]
IdOption = Annotated[list[str] | None, typer.Option("--id", help="This row; may be repeated.")]
FailedOption = Annotated[
    bool, typer.Option("--failed", help="Rows that were not perfect in the last dse eval.")
]
SampleOption = Annotated[int | None, typer.Option(min=1, help="Draw N rows.")]
SeedOption = Annotated[
    int | None,
    typer.Option(help="Of the sample and the intervals; the job's when omitted."),
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="First N rows.")]
RepeatOption = Annotated[int, typer.Option(min=1, max=100, help="Rollouts a row.")]
FailUnderOption = Annotated[
    float | None, typer.Option(help="Exit 1 below this mean reward, 0 to 1.")
]
MaxRegressionOption = Annotated[
    float | None,
    typer.Option(help="Exit 1 when worse than --against by more, 0 to 1."),
]
MaxErrorRateOption = Annotated[
    float | None,
    typer.Option(help="Exit 3 when a larger share has no answer, 0 to 1."),
]
RowsOption = Annotated[bool, typer.Option("--rows", help="Print every imperfect row.")]
JunitOption = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.")
]
MarkdownOption = Annotated[
    Path | None, typer.Option("--markdown", metavar="FILE", help="Write a Markdown summary.")
]
