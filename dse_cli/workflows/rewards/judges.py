"""The judges of a reward: found, loaded, checked and pinned before anything is spent.

A judge is an ordinary signature of kind ``judge`` and one compiled artifact of it. Whatever is
wrong with either, or with what the judge is shown, is an error at its line of the job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.contracts.metrics.judges import PairwiseJudge
from dse_cli.evaluation.judges.pinned_judge import PinnedJudge
from dse_cli.workflows.pins.pin_loader import PinLoader, raise_pin_problems
from dse_cli.workflows.rewards.judge_checks import judge_problems

if TYPE_CHECKING:
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.contracts.metrics.judges import Judge
    from dse_cli.contracts.signature import Signature
    from dse_cli.evaluation.rewards.reward import Reward
    from dse_cli.lm.catalog import ModelCatalog
    from dse_cli.project.project import Project
    from dse_cli.project.yaml_document import YamlDocument


def load_judges(
    project: Project,
    reward: Reward,
    task: Signature,
    document: YamlDocument,
    catalog: ModelCatalog,
) -> tuple[PinnedJudge, ...]:
    """Return the judges of a reward, in its order.

    Args:
        reward: with its signals, not yet with the ids of its judges.
        task: whose outputs are judged.
        document: the job, for positions.
        catalog: must know the models that the judges are pinned to.

    Raises:
        SpecError: every problem with every judge.
        AlteredFileError: likewise, when an artifact is not what its hashes say.
    """
    problems: list[Diagnostic] = []
    judges: list[PinnedJudge] = []
    for index, config in reward.judges:
        kind = "pairwise_judge" if isinstance(config, PairwiseJudge) else "judge"
        place = ("reward", "signals", index, kind)
        loader = PinLoader(project, document, catalog, place, "judge", problems)
        judge = _load(loader, index, config, reward.signal_ids[index], task)
        if judge is not None:
            judges.append(judge)
    raise_pin_problems(problems)
    return tuple(judges)


def _load(
    loader: PinLoader, index: int, config: Judge | PairwiseJudge, signal: str, task: Signature
) -> PinnedJudge | None:
    """Return a judge, or None after recording why there is none."""
    loaded = loader.signature(config.signature)
    if loaded is None:
        return None
    folder = loaded.folder
    if loaded.signature.spec.kind != "judge":
        message = f"the signature {folder!r} is of kind task, and only a judge may judge"
        hint = f"write 'kind: judge' in signatures/{folder}/signature.yaml, or name a judge"
        loader.report(("signature",), "not-a-judge", message, hint)
        return None
    for found in judge_problems(config, loaded.signature, task):
        loader.report(found.location, "bad-judge", found.message, found.hint, key=found.key)
    if config.artifact is None:
        message = f"the judge {folder!r} is not pinned to a compiled artifact"
        hint = f"run 'dse compile {folder}', then add the id that 'dse list {folder}' shows: "
        hint += "'artifact: ID'"
        loader.report((), "unpinned-judge", message, hint, key=True)
        return None
    pinned = loader.artifact(config.artifact, loaded)
    if pinned is None:
        return None
    return PinnedJudge(
        index=index,
        signal=signal,
        config=config,
        policy=pinned.policy,
        name=folder,
        artifact=pinned.file,
        digest=pinned.digest,
    )
