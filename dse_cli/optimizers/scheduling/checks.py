"""Is a scheduler of any use on so many rows? What has no effect is refused."""

from __future__ import annotations

from dse_cli.optimizers.scheduling.rungs import FEWEST_ROWS, rung_sizes
from dse_cli.optimizers.scheduling.settings import RacingSettings, SchedulerSpec, settings_of
from dse_cli.optimizers.search import SettingProblem


def scheduler_problems(spec: SchedulerSpec | None, val: int) -> list[SettingProblem]:
    """Return what is wrong with a scheduler for ``val`` rows."""
    settings = settings_of(spec)
    if settings is None:
        return []
    if val <= FEWEST_ROWS:
        return [
            SettingProblem(
                "scheduler",
                f"{val} rows of val cannot be split into rungs",
                f"a rung has at least {FEWEST_ROWS} rows; so few are measured in full at once",
            )
        ]
    if (
        isinstance(settings, RacingSettings)
        and len(rung_sizes(val, settings.first, settings.growth)) == 1
    ):
        return [
            SettingProblem(
                "scheduler",
                f"the first rung is all {val} rows of val, so that nothing is ever dropped",
                "make `first` smaller",
            )
        ]
    return []
