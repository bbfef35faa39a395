"""What a job says of its embedder, held against its optimizer before anything is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dse_cli.contracts.project import EMBEDDED_ALIASES, EMBEDDER_ALIASES
from dse_cli.optimizers.fewshot_knn import FewShotKnnConfig, too_many

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse_cli.contracts.base import Contract
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.contracts.job import CompileJob
    from dse_cli.optimizers.search import Registered
    from dse_cli.project.yaml_document import YamlDocument


def embedder_problems(
    job: CompileJob, document: YamlDocument, registered: Registered[Any], config: Contract
) -> Iterator[Diagnostic]:
    """Yield what is wrong with the embedder of a job, and with how many demos it selects."""
    written, embeds = job.models.embedder, registered.optimizer.embeds
    if embeds and written is None:
        message = f"{job.optimizer.id} needs an embedder"
        hint = (
            "set models.embedder to an alias of dse.yaml whose model embeds, or to "
            f"{EMBEDDER_ALIASES[0]}, which is built in"
        )
        yield document.diagnostic(("optimizer", "id"), "no-embedder", message, hint)
    if written is not None and not embeds:
        message = f"{job.optimizer.id} embeds nothing, so an embedder has no effect"
        place = ("models", "embedder")
        yield document.diagnostic(place, "unused-model", message, "remove it", key=True)
    if embeds and written in EMBEDDED_ALIASES and written not in EMBEDDER_ALIASES:
        message = f"the model {written!r} answers and does not embed"
        hint = f"{', '.join(EMBEDDER_ALIASES)} is built in; docs/knn.md says why this one is not"
        yield document.diagnostic(("models", "embedder"), "not-an-embedder", message, hint)
    for role, alias in sorted(job.models.to_json().items()):
        if role != "embedder" and alias in EMBEDDER_ALIASES:
            message = f"the model {alias!r} embeds texts and answers nothing"
            hint = f"name a model that answers; {alias} is for models.embedder"
            yield document.diagnostic(("models", role), "not-a-model", message, hint)
    space = job.search_space.few_shot
    if isinstance(config, FewShotKnnConfig) and space is not None and config.k is not None:
        first = too_many(config, space.k_max)
        if first is not None:
            message = f"{config.k[first]} demos are more than search_space.few_shot.k_max allows"
            hint = f"k_max is {space.k_max}"
            yield document.diagnostic(
                ("optimizer", "config", "k", first), "bad-config", message, hint
            )
