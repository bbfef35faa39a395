from __future__ import annotations

from pathlib import Path

import pytest

from dse_cli.contracts.errors import SpecError, UsageError
from dse_cli.project.config import Overrides, Settings, gate_rows, load_settings
from dse_cli.project.project import Project


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
    assert settings.origins["cache_dir"].source == "default"


def test_each_place_wins_over_the_ones_after_it(home: Path) -> None:
    assert settings_of(home).concurrency == 3
    environ = user(home, "concurrency: 5\n")
    assert settings_of(home, environ).concurrency == 5
    environ["DSE_CONCURRENCY"] = "7"
    assert settings_of(home, environ).concurrency == 7
    assert settings_of(home, environ, Overrides(concurrency=9)).concurrency == 9


def test_every_setting_says_where_it_came_from(home: Path) -> None:
    environ = {**user(home, "default_model: large\n"), "DSE_MAX_ERROR_RATE": "0.5"}
    settings = settings_of(home, environ, Overrides(concurrency=9))
    origins = {row.name: str(row.origin) for row in settings.rows()}
    assert origins == {
        "cache_dir": "default",
        "default_model": f"user config ({home / 'config.yaml'}:2)",
        "concurrency": "command line (--concurrency)",
        "max_error_rate": "environment (DSE_MAX_ERROR_RATE)",
        "allow_code": "default",
    }


def test_a_setting_of_the_project_names_its_line(home: Path) -> None:
    assert str(settings_of(home).origins["concurrency"]) == "dse.yaml:4"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("DSE_CONCURRENCY", "many", "a whole number from 1 to 1024"),
        ("DSE_CONCURRENCY", "0", "a whole number from 1 to 1024"),
        ("DSE_MAX_ERROR_RATE", "nan", "a number from 0 to 1"),
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


def test_only_a_person_allows_code_in_their_own_file_or_on_the_command_line(home: Path) -> None:
    assert settings_of(home).allow_code is False
    environ = user(home, "allow_code: true\n")
    settings = settings_of(home, environ)
    assert settings.allow_code is True
    assert str(settings.origins["allow_code"]) == f"user config ({home / 'config.yaml'}:2)"
    assert settings_of(home, environ, Overrides(allow_code=False)).allow_code is False
    by_hand = settings_of(home, None, Overrides(allow_code=True))
    assert str(by_hand.origins["allow_code"]) == "command line (--allow-code)"


def test_no_variable_allows_code(home: Path) -> None:
    environ = {"DSE_ALLOW_CODE": "true", "DSE_ALLOW-CODE": "1", "ALLOW_CODE": "1"}
    assert settings_of(home, environ).allow_code is False


@pytest.mark.parametrize("where", ["allow_code: true\n", "limits: {allow_code: true}\n"])
def test_a_project_cannot_trust_itself(home: Path, where: str) -> None:
    (home / "project" / "dse.yaml").write_text("dse: project/v1\n" + where, encoding="utf-8")
    with pytest.raises(SpecError, match="unknown key 'allow_code'"):
        Project.open(home / "project", environ={})


@pytest.mark.parametrize("text", ["yes", "1", '"true"'])
def test_allowing_code_takes_the_word_true(home: Path, text: str) -> None:
    with pytest.raises(SpecError):
        settings_of(home, user(home, f"allow_code: {text}\n"))


@pytest.mark.parametrize("setting", ["no_color: true", "quiet: true"])
def test_a_setting_that_would_have_no_effect_is_refused(home: Path, setting: str) -> None:
    with pytest.raises(SpecError, match="unknown key"):
        settings_of(home, user(home, setting + "\n"))


@pytest.mark.parametrize("text", ["cache_dir: relative\n", "concurency: 1\n"])
def test_a_wrong_user_file_is_a_spec_error_with_a_line(home: Path, text: str) -> None:
    with pytest.raises(SpecError) as caught:
        settings_of(home, user(home, text))
    assert caught.value.diagnostics[0].line == 2


def test_folders_of_the_user_may_start_at_home(home: Path) -> None:
    settings = settings_of(home, user(home, "cache_dir: ~/x\n"))
    assert settings.cache_dir == Path("~/x").expanduser()


def test_settings_exist_outside_a_project(home: Path) -> None:
    settings = load_settings(environ={"DSE_CONFIG": str(home / "none.yaml")})
    assert set(settings.origins) == {row.name for row in settings.rows()}
    assert settings.cache_dir.is_absolute()


def test_a_file_of_the_project_is_no_users_own_configuration(home: Path) -> None:
    inside = home / "project" / "config.yaml"
    inside.write_text("dse: user_config/v1\nallow_code: true\n", encoding="utf-8")
    (home / "link.yaml").symlink_to(inside)
    for path in (inside, home / "link.yaml"):
        with pytest.raises(SpecError, match="the project's code may run") as caught:
            settings_of(home, {"DSE_CONFIG": str(path)})
        assert caught.value.diagnostics[0].line == 2
    inside.write_text("dse: user_config/v1\nconcurrency: 3\n", encoding="utf-8")
    assert settings_of(home, {"DSE_CONFIG": str(inside)}).concurrency == 3


def test_the_settings_of_the_gate_say_where_they_came_from(home: Path) -> None:
    file = home / "project" / "dse.yaml"
    file.write_text(file.read_text() + "gate:\n  alpha: 0.1\n  guards: {tokens: 0.5}\n")
    project = Project.open(home / "project", environ={})
    rows = {
        row.name: (row.value, str(row.origin)) for row in gate_rows(project.spec, project.document)
    }
    assert rows["gate.alpha"] == (0.1, "dse.yaml:6")
    assert rows["gate.guards.tokens"] == (0.5, "dse.yaml:7")
    assert rows["gate.guards.slices"] == (True, "default")
    assert rows["gate.non_inferiority"] == (None, "default")
