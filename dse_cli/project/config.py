"""Settings, each with where it came from.

Precedence: command line, environment (``DSE_*``), the user's ``config.yaml``, ``dse.yaml``, the
default. Only what this release reads is a setting.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ValidationError

from dse_cli.contracts.errors import SpecError, UsageError
from dse_cli.contracts.project import EMBEDDED_ALIASES, ProjectSpec
from dse_cli.project.schema_view import SchemaView
from dse_cli.project.suggest import did_you_mean
from dse_cli.project.user_config import UserConfig, UserFile, load_user_config, user_config_path

if TYPE_CHECKING:
    from dse_cli.project.document import Loc
    from dse_cli.project.yaml_document import YamlDocument

Source = Literal["command line", "environment", "user config", "dse.yaml", "default"]


class Origin(NamedTuple):
    """Where a setting came from: the kind of place, and its name (a variable, a file)."""

    source: Source
    detail: str = ""

    def __str__(self) -> str:
        if self.detail.startswith(f"{self.source}:"):
            return self.detail  # a file that is called like the kind of place, with a line
        return f"{self.source} ({self.detail})" if self.detail else self.source


class SettingRow(NamedTuple):
    """One line of ``dse config``."""

    name: str
    value: Any
    origin: Origin


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says; None is "not given"."""

    concurrency: int | None = None
    allow_code: bool | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force.

    Attributes:
        cache_dir: folder of recorded model responses.
        default_model: alias that is used where none is named.
        concurrency: cells in flight at once, over all models.
        max_error_rate: share of provider errors above which a run ends, 0 to 1.
        allow_code: whether Python metrics of the project may run; no file of a project sets it.
        origins: where each of them came from, by field name.
    """

    cache_dir: Path
    default_model: str
    concurrency: int
    max_error_rate: float
    allow_code: bool
    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False)

    def rows(self) -> list[SettingRow]:
        """Return every setting with its value and origin, in the order of the class."""
        names = [item.name for item in fields(self) if item.name != "origins"]
        return [SettingRow(name, getattr(self, name), self.origins[name]) for name in names]


_Layer = dict[str, tuple[Any, Origin]]
_FROM_TEXT: Final[dict[str, Callable[[str], Any]]] = {
    "cache_dir": str,
    "default_model": str,
    "concurrency": int,
    "max_error_rate": float,
}


def load_settings(
    *,
    root: Path | None = None,
    spec: ProjectSpec | None = None,
    document: YamlDocument | None = None,
    overrides: Overrides | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings in force.

    Args:
        root, spec, document: the project and its ``dse.yaml``; None outside a project.
        overrides: what the command line says.
        environ: the environment; the process's own when omitted.

    Raises:
        UsageError: a variable has a wrong value, or the default model is not known.
        SpecError: the user's configuration file is wrong.
    """
    environ = os.environ if environ is None else environ
    user = load_user_config(user_config_path(environ))
    _refuse_own_trust(user, root)
    layers = [
        _command_line(overrides or Overrides()),
        _environment(environ),
        _user_file(user),
        _project_file(spec, document),
        _defaults(root),
    ]
    chosen: _Layer = {}
    for layer in reversed(layers):
        chosen.update(layer)
    settings = Settings(
        **{name: value for name, (value, _) in chosen.items()},
        origins={name: origin for name, (_, origin) in chosen.items()},
    )
    _check_model(settings, spec)
    return settings


def gate_rows(spec: ProjectSpec, document: YamlDocument) -> list[SettingRow]:
    """Return the settings of the gate: only ``dse.yaml`` and the defaults decide them."""
    rows: list[SettingRow] = []
    _add_rows(rows, spec.gate, ("gate",), document, is_written="gate" in spec.model_fields_set)
    return rows


def _add_rows(
    rows: list[SettingRow],
    group: BaseModel,
    loc: tuple[str, ...],
    document: YamlDocument,
    *,
    is_written: bool,
) -> None:
    for name in type(group).model_fields:
        value, place = getattr(group, name), (*loc, name)
        written = is_written and name in group.model_fields_set
        if isinstance(value, BaseModel):
            _add_rows(rows, value, place, document, is_written=written)
        else:
            origin = _in_file("dse.yaml", document, place) if written else Origin("default")
            rows.append(SettingRow(".".join(place), value, origin))


def _refuse_own_trust(user: UserFile, root: Path | None) -> None:
    """Refuse ``allow_code`` in a file of the project that the environment names as the user's."""
    if root is None or user.config is None or user.document is None or not user.config.allow_code:
        return
    if user.path.resolve().is_relative_to(root.resolve()):
        message = "a file of the project says that the project's code may run"
        hint = "a project cannot trust itself: pass --allow-code, or keep the file outside of it"
        loc: Loc = ("allow_code",)
        raise SpecError([user.document.diagnostic(loc, "code-not-allowed", message, hint)])


def _command_line(overrides: Overrides) -> _Layer:
    layer: _Layer = {}
    for item in fields(overrides):
        value = getattr(overrides, item.name)
        if value is not None:
            origin = Origin("command line", "--" + item.name.replace("_", "-"))
            layer[item.name] = (value, origin)
    return layer


def _environment(environ: Mapping[str, str]) -> _Layer:
    layer: _Layer = {}
    for name in _FROM_TEXT:
        variable = f"DSE_{name.upper()}"
        if text := environ.get(variable, ""):
            layer[name] = (_from_text(name, variable, text), Origin("environment", variable))
    return layer


def _from_text(name: str, variable: str, text: str) -> Any:
    if name.endswith("_dir"):
        return Path(text).expanduser().absolute()
    try:
        value = _FROM_TEXT[name](text)
        UserConfig.model_validate({"dse": "user_config/v1", name: value})
    except (ValueError, ValidationError) as error:
        expected = SchemaView(UserConfig).expected((name,), {}) or "something else"
        raise UsageError(f"{variable} must be {expected}, but is {text!r}") from error
    return value


def _user_file(user: UserFile) -> _Layer:
    if user.config is None or user.document is None:
        return {}
    layer: _Layer = {}
    for name in sorted(user.config.model_fields_set - {"dse"}):
        value = getattr(user.config, name)
        if value is not None:
            value = Path(value).expanduser() if name.endswith("_dir") else value
            layer[name] = (value, _in_file("user config", user.document, (name,), user.path))
    return layer


def _project_file(spec: ProjectSpec | None, document: YamlDocument | None) -> _Layer:
    if spec is None or document is None:
        return {}
    layer: _Layer = {}
    if "default_model" in spec.model_fields_set:
        origin = _in_file("dse.yaml", document, ("default_model",))
        layer["default_model"] = (spec.default_model, origin)
    for name in sorted(spec.limits.model_fields_set):
        origin = _in_file("dse.yaml", document, ("limits", name))
        layer[name] = (getattr(spec.limits, name), origin)
    return layer


def _defaults(root: Path | None) -> _Layer:
    import platformdirs

    user_cache = Path(platformdirs.user_cache_dir("dse-cli", appauthor=False))
    blank = ProjectSpec(dse="project/v1")
    values = {
        "cache_dir": user_cache / "responses" if root is None else root / ".dse" / "cache",
        "default_model": blank.default_model,
        "concurrency": blank.limits.concurrency,
        "max_error_rate": blank.limits.max_error_rate,
        "allow_code": False,
    }
    return {name: (value, Origin("default")) for name, value in values.items()}


def _in_file(source: Source, document: YamlDocument, loc: Loc, path: Path | None = None) -> Origin:
    line, _ = document.position(loc, key=True)
    return Origin(source, f"{path or document.name}:{line}")


def _check_model(settings: Settings, spec: ProjectSpec | None) -> None:
    """An alias that came from outside ``dse.yaml`` must be known too."""
    if spec is None:
        return
    known = sorted([*spec.models, *EMBEDDED_ALIASES])
    if settings.default_model not in known:
        raise UsageError(
            f"the default model {settings.default_model!r} is not known "
            f"(from {settings.origins['default_model']})",
            hint=did_you_mean(settings.default_model, known, otherwise="known models"),
        )
