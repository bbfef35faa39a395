"""A holdout on which no gate could ever pass is refused before anything is spent on it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dse_cli.evaluation.gate.verdict import holdout_problem

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Dataset
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.project.project import Project
    from dse_cli.project.yaml_document import YamlDocument


def holdout_findings(
    project: Project, dataset: Dataset, document: YamlDocument, look: int = 1
) -> list[Diagnostic]:
    """Return the error about a holdout that is too small; none when there is no holdout.

    Rows of one group are one observation, as they are in the gate.

    Args:
        document: ``dataset.yaml`` of the dataset.
        look: which look at the holdout the next one is; later ones are tested at stricter levels.
    """
    holdout = dataset.split("holdout")
    if not holdout:
        return []
    units = {("row", row.id) if row.group is None else ("group", row.group) for row in holdout}
    unit = "groups" if len(units) < len(holdout) else "rows"
    problem = holdout_problem(len(units), project.spec.gate.alpha, look, unit=unit)
    if problem is None:
        return []
    hint = "give more rows the split 'holdout', or none at all until there are enough"
    if len(units) < len(holdout):
        problem += f" (its {len(holdout)} rows are of {len(units)} groups)"
    return [document.diagnostic(("split",), "small-holdout", problem, hint, key=True)]


def no_holdout(dataset: Dataset, document: YamlDocument) -> list[Diagnostic]:
    """Return the warning about a dataset that has no holdout rows."""
    if dataset.split("holdout"):
        return []
    message = f"the dataset {dataset.id} has no holdout rows: nothing can be promoted"
    hint = "give rows that no search may see the split 'holdout'"
    found = document.diagnostic(("split",), "no-holdout", message, hint, key=True)
    return [replace(found, severity="warning")]
