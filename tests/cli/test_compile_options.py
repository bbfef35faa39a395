"""What `dse compile` makes of its options, and how it says them again."""

from __future__ import annotations

from typing import Any

from dse_cli.cli.compile_ import _overrides, _resume_command

RUN: dict[str, Any] = {"no_cache": False, "concurrency": None}


def test_an_optimizer_is_an_override_of_its_id_alone() -> None:
    assert _overrides("mipro_v2.v1", None, None, {"max_lm_calls": None}) == {
        "optimizer": {"id": "mipro_v2.v1"}
    }
    assert _overrides(None, 0, None, {}) == {"seed": 0}


def test_the_command_that_resumes_names_the_optimizer() -> None:
    overrides = _overrides("copro.v1", 3, None, {"max_lm_calls": 9})
    command = _resume_command("route", None, overrides, RUN, None, allow_code=False)

    assert command == ("dse compile route --optimizer copro.v1 --seed 3 --max-lm-calls 9 --resume")
