"""The policies of one ``dse eval``: what a word means there, and one policy on other models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.contracts.errors import UsageError
from dse_cli.contracts.project import EMBEDDED_ALIASES
from dse_cli.project.suggest import did_you_mean
from dse_cli.workflows.compiles.latest import latest_artifact
from dse_cli.workflows.policies import find_policy

if TYPE_CHECKING:
    from dse_cli.runtime.policy import Policy
    from dse_cli.workflows.inputs import JobInputs
    from dse_cli.workflows.policies import NamedPolicy

#: What may stand before ``@REV``.
AT_REVISION = ("active", "default")


@dataclass(frozen=True)
class Subject:
    """A policy to measure.

    Attributes:
        label: how to call it.
        policy: what runs.
        alias: of ``--model``, or None.
    """

    label: str
    policy: Policy
    alias: str | None = None


def policy_of(inputs: JobInputs, word: str) -> NamedPolicy:
    """Return what ``word`` means: ``active``, ``default``, ``latest``, an artifact, ``active@REV``.

    Raises:
        UsageError: it means nothing, or several artifacts.
        AlteredError, StaleError: the policy is not sound.
    """
    kind, at, revision = word.partition("@")
    if at:
        if kind not in AT_REVISION:
            raise UsageError(
                f"{word!r} names no policy at a revision",
                hint="active@REV or default@REV, for example active@origin/main",
            )
        from dse_cli.workflows.evals.revisions import policy_at

        return policy_at(inputs, kind, revision)
    if word == "latest":
        word = latest_artifact(inputs.project, inputs.store)
    return find_policy(inputs.store, inputs.signature, inputs.base, word)


def on_models(inputs: JobInputs, policy: Policy, aliases: tuple[str, ...]) -> list[Subject]:
    """Return the policy once for each alias, with its main model replaced; an alias counts once.

    Raises:
        UsageError: no such alias.
    """
    return [
        Subject(alias, policy.on_model(resolve_alias(inputs, alias)), alias)
        for alias in dict.fromkeys(aliases)
    ]


def resolve_alias(inputs: JobInputs, alias: str) -> str:
    """Return the resolved model name of an alias.

    Raises:
        UsageError: no such alias; the nearest one is named.
    """
    known = sorted([*inputs.project.spec.models, *EMBEDDED_ALIASES])
    if alias not in known:
        raise UsageError(
            f"there is no model alias {alias!r}",
            hint=did_you_mean(alias, known, otherwise="known aliases"),
        )
    return inputs.catalog.resolve(alias)
