"""The page about metrics names every metric, and its examples are accepted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from dse_cli.contracts.penalties import Penalty
from dse_cli.contracts.reward import RewardSpec
from dse_cli.evaluation.json_values import normalized
from dse_cli.evaluation.metrics import EXTERNAL, METRICS

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "metrics.md").read_text(encoding="utf-8")
FORMATS = (DOCS / "formats.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```yaml\n(reward:.*?)^```", PAGE, re.M | re.S)


def keys_of(union: object) -> list[str]:
    return [next(iter(get_args(one)[0].model_fields)) for one in get_args(get_args(union)[0])]


@pytest.mark.parametrize("text", [PAGE, FORMATS], ids=["metrics.md", "formats.md"])
def test_a_table_names_every_metric_with_its_settings(text: str) -> None:
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    named = {name: row for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    for key, metric in METRICS.items():
        said = " ".join(named[key][2:])
        fields = {info.alias or name for name, info in metric.config.model_fields.items()}
        if key == "number":
            fields -= {"abs_tolerance", "rel_tolerance"}  # "tolerances"
        assert [name for name in sorted(fields - {"weight"}) if f"`{name}" not in said] == [], key
    assert set(named) >= set(EXTERNAL)


def test_every_penalty_and_every_step_is_named() -> None:
    for key in keys_of(Penalty):
        assert f"| `{key}` |" in PAGE
        assert f"`{key} {{" in FORMATS
    for step in re.findall(r"^\| `(\w+)` \| (?:removes|one space|Unicode)", PAGE, re.M):
        assert normalized("a", [step]) in ("a", "")
        assert f"`{step}`" in FORMATS


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_are_rewards(example: str) -> None:
    assert RewardSpec.model_validate(yaml.safe_load(example)["reward"]).signals


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3
