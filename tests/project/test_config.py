from __future__ import annotations

from pathlib import Path

import pytest

from dse_cli.contracts import (
    artifact,
    dataset,
    job,
    params,
    project,
    signature,
)
from dse_cli.contracts.base import Contract
from dse_cli.contracts.errors import SpecError, UsageError
from dse_cli.project.config import Overrides, Settings, load_settings
from dse_cli.project.project import Project
from dse_cli.project.user_config import UserConfig


@pytest.fixture
def home(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "dse.yaml").write_text(
        "dse: project/v1\nmodels: {small: {model: openai/x}, large: {model: openai/y}}\n"
        "default_model: small\nlimits: {concurrency: 3}\n",
        encoding="utf-8",
    )
    return tmp_path


def user(home: Path, text: str) -> dict[str, str]:
    path = home / "config.yaml"
    path.write_text("dse: user_config/v1\n" + text, encoding="utf-8")
    return {"DSE_CONFIG": str(path)}


def settings_of(
    home: Path, environ: dict[str, str] | None = None, overrides: Overrides | None = None
) -> Settings:
    environ = {"DSE_CONFIG": str(home / "none.yaml"), **(environ or {})}
    return Project.open(home / "project", environ={}).settings(overrides, environ=environ)


def test_defaults_hold_where_nothing_is_said(home: Path) -> None:
    settings = settings_of(home)
    assert settings.max_error_rate == 0.05
    assert settings.cache_dir == (home / "project" / ".dse" / "cache").resolve()
    assert not settings.allow_code
    assert settings.origins["allow_code"].source == "default"


def test_each_place_wins_over_the_ones_after_it(home: Path) -> None:
    assert settings_of(home).concurrency == 3
    environ = user(home, "concurrency: 5\n")
    assert settings_of(home, environ).concurrency == 5
    environ["DSE_CONCURRENCY"] = "7"
    assert settings_of(home, environ).concurrency == 7
    assert settings_of(home, environ, Overrides(concurrency=9)).concurrency == 9


def test_every_setting_says_where_it_came_from(home: Path) -> None:
    environ = {**user(home, "quiet: true\n"), "DSE_MAX_ERROR_RATE": "0.5"}
    settings = settings_of(home, environ, Overrides(default_model="large"))
    origins = {row.name: str(row.origin) for row in settings.rows()}
    assert origins == {
        "root": "default",
        "allow_code": "default",
        "cache_dir": "default",
        "default_model": "command line (--default-model)",
        "concurrency": "dse.yaml (dse.yaml:4)",
        "max_error_rate": "environment (DSE_MAX_ERROR_RATE)",
        "no_color": "default",
        "quiet": f"user config ({home / 'config.yaml'}:2)",
    }


def test_no_color_is_respected(home: Path) -> None:
    assert settings_of(home, {"NO_COLOR": "1"}).no_color
    assert not settings_of(home, {"NO_COLOR": ""}).no_color


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("DSE_CONCURRENCY", "many", "a whole number from 1 to 1024"),
        ("DSE_CONCURRENCY", "0", "a whole number from 1 to 1024"),
        ("DSE_MAX_ERROR_RATE", "nan", "a number from 0 to 1"),
        ("DSE_QUIET", "maybe", "true or false"),
    ],
)
def test_a_variable_with_a_wrong_value_is_a_usage_error(
    home: Path, variable: str, value: str, expected: str
) -> None:
    with pytest.raises(UsageError) as caught:
        settings_of(home, {variable: value})
    assert caught.value.message == f"{variable} must be {expected}, but is {value!r}"


def test_a_default_model_from_outside_must_be_known(home: Path) -> None:
    with pytest.raises(UsageError) as caught:
        settings_of(home, {"DSE_DEFAULT_MODEL": "smal"})
    assert caught.value.hint == "did you mean 'small'?"
    assert "DSE_DEFAULT_MODEL" in caught.value.message


def test_the_user_and_the_command_line_can_allow_code(home: Path) -> None:
    by_user = settings_of(home, user(home, "allow_code: true\n"))
    assert by_user.allow_code
    assert by_user.origins["allow_code"].source == "user config"
    assert settings_of(home, overrides=Overrides(allow_code=True)).allow_code
    refused = settings_of(home, user(home, "allow_code: true\n"), Overrides(allow_code=False))
    assert not refused.allow_code


def test_a_project_cannot_allow_code(home: Path) -> None:
    path = home / "project" / "dse.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "allow_code: true\n", encoding="utf-8")
    with pytest.raises(SpecError, match="unknown key 'allow_code'"):
        Project.open(home / "project", environ={})


def test_a_user_file_inside_the_project_cannot_allow_code(home: Path) -> None:
    environ = user(home / "project", "allow_code: true\n")
    with pytest.raises(SpecError, match="has no force"):
        settings_of(home, environ)
    (home / "link.yaml").symlink_to(home / "project" / "config.yaml")
    with pytest.raises(SpecError, match="has no force"):
        settings_of(home, {"DSE_CONFIG": str(home / "link.yaml")})


def test_the_environment_cannot_allow_code(home: Path) -> None:
    with pytest.raises(UsageError, match="does not come from the environment"):
        settings_of(home, {"DSE_ALLOW_CODE": "1"})


def test_allow_code_is_a_field_of_no_contract() -> None:
    contracts: list[type[Contract]] = [
        value
        for module in (artifact, dataset, job, params, project, signature)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Contract)
    ]
    assert len(contracts) > 20
    contracts.append(UserConfig)
    assert all("allow_code" not in contract.model_fields for contract in contracts)


@pytest.mark.parametrize(
    "text", ["allow_code: 1\n", "allow_code: yes\n", "cache_dir: relative\n", "concurency: 1\n"]
)
def test_a_wrong_user_file_is_a_spec_error_with_a_line(home: Path, text: str) -> None:
    with pytest.raises(SpecError) as caught:
        settings_of(home, user(home, text))
    assert caught.value.diagnostics[0].line == 2


def test_folders_of_the_user_may_start_at_home(home: Path) -> None:
    settings = settings_of(home, user(home, "cache_dir: ~/x\n"))
    assert settings.cache_dir == Path("~/x").expanduser()


def test_settings_exist_outside_a_project(home: Path) -> None:
    settings = load_settings(environ={"DSE_CONFIG": str(home / "none.yaml")})
    assert settings.root is None
    assert settings.cache_dir.is_absolute()
