"""The options of ``dse promote``, and which of them go together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dse_cli.contracts.errors import UsageError

if TYPE_CHECKING:
    from dse_cli.workflows.promotion.canary import CanaryPlan
    from dse_cli.workflows.promotion.look import GateTerms


class ChannelName(StrEnum):
    """Pointers that a policy can be promoted to."""

    ACTIVE = "active"
    CANARY = "canary"


class FromName(StrEnum):
    """Channels that can be made active."""

    CANARY = "canary"


ChannelOption = Annotated[
    ChannelName, typer.Option("--channel", help="'canary' tries it on a share of the requests.")
]
PercentOption = Annotated[
    float | None, typer.Option("--percent", metavar="P", help="Share of a canary, up to 100.")
]
SaltOption = Annotated[
    str | None, typer.Option("--salt", help="Draws which requests are the canary's.")
]
SamplesOption = Annotated[
    int | None,
    typer.Option(
        "--min-samples", min=1, max=1_000_000, help="Predictions before a canary is judged; 20."
    ),
]
ErrorsOption = Annotated[
    float | None,
    typer.Option("--max-error-rate", min=0.0, max=1.0, help="Above it a canary stops; 0.2."),
]
FromOption = Annotated[
    FromName | None, typer.Option("--from", help="Make the canary active, by its receipts.")
]
ResolveOption = Annotated[
    bool, typer.Option("--resolve", help="Join two git branches that both promoted.")
]
OverrideOption = Annotated[
    str | None,
    typer.Option("--override", metavar="REASON", help="Move although the gate says no."),
]
NonInferiorityOption = Annotated[
    bool,
    typer.Option("--non-inferiority", help="Enough not to be worse, and to save what is promised."),
]


@dataclass(frozen=True)
class PromoteOptions:
    """What was asked for.

    Raises:
        UsageError: options that do not go together.
    """

    name: str
    artifact: str | None
    latest: bool
    dry_run: bool
    channel: ChannelName
    percent: float | None
    salt: str | None
    min_samples: int | None
    max_error_rate: float | None
    from_canary: bool
    resolve: bool
    override: str | None
    non_inferiority: bool

    def __post_init__(self) -> None:
        if self.resolve or self.from_canary:
            self._refuse_company()
        elif (self.artifact is None) == (not self.latest):
            raise UsageError(
                "name one artifact, or say --latest", hint=f"'dse list {self.name}' shows them"
            )
        if self.channel is ChannelName.CANARY and self.percent is None:
            raise UsageError("a canary needs a share of the requests", hint="add --percent 10")
        if self.channel is ChannelName.ACTIVE and (given := self._canary_options()):
            raise UsageError(f"{given[0]} is of a canary", hint="add --channel canary")

    def terms(self) -> GateTerms:
        """Return on what terms the pointer may move."""
        from dse_cli.workflows.promotion.look import GateTerms

        mode: Any = "non_inferiority" if self.non_inferiority else "superiority"
        return GateTerms(mode, self.override)

    def plan(self) -> CanaryPlan:
        """Return how the canary is to run."""
        from pydantic import TypeAdapter, ValidationError

        from dse_cli.contracts.channel import CanaryStop, Salt
        from dse_cli.workflows.promotion.canary import CanaryPlan

        try:
            salt = None if self.salt is None else TypeAdapter(Salt).validate_python(self.salt)
        except ValidationError:
            raise UsageError(
                f"--salt {self.salt!r} is not a salt",
                hint="letters, digits and . _ -, at most 64, a letter or a digit first",
            ) from None
        stop = CanaryStop(
            min_samples=20 if self.min_samples is None else self.min_samples,
            max_error_rate=0.2 if self.max_error_rate is None else self.max_error_rate,
        )
        return CanaryPlan(float(self.percent or 0), salt, stop)

    def _refuse_company(self) -> None:
        word = "--resolve" if self.resolve else "--from canary"
        allowed = {"--override", "--non-inferiority"} if self.resolve else set()
        others = {
            "an artifact": self.artifact is not None,
            "--latest": self.latest,
            "--dry-run": self.dry_run,
            "--channel canary": self.channel is ChannelName.CANARY,
            "--from canary": self.resolve and self.from_canary,
            "--override": self.override is not None,
            "--non-inferiority": self.non_inferiority,
        }
        clash = [name for name, given in others.items() if given and name not in allowed]
        if clash:
            raise UsageError(f"{word} takes no {clash[0].removeprefix('an ')}")

    def _canary_options(self) -> list[str]:
        given = {
            "--percent": self.percent,
            "--salt": self.salt,
            "--min-samples": self.min_samples,
            "--max-error-rate": self.max_error_rate,
        }
        return [name for name, value in given.items() if value is not None]
