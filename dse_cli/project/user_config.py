"""The user's own configuration file: settings for every project of one person."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, field_validator

from dse_cli.contracts.base import Contract
from dse_cli.project.validate import validate
from dse_cli.project.yaml_document import YamlDocument, load_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG_VARIABLE: Final = "DSE_CONFIG"


class UserConfig(Contract):
    """The fields of ``config.yaml`` in the user's configuration folder.

    Attributes:
        cache_dir: folder of recorded model responses; absolute, ``~`` allowed.
        default_model: alias that is used where none is named.
        concurrency: cells in flight at once, over all models.
        max_error_rate: share of provider errors above which a run ends, 0 to 1.
        allow_code: run the Python metrics of any project (``signatures/<name>/metrics.py``). Only
            a person can say this, here or with ``--allow-code``; a project cannot trust itself.
    """

    dse: Literal["user_config/v1"]
    cache_dir: str | None = None
    default_model: str | None = None
    concurrency: Annotated[int, Field(ge=1, le=1024)] | None = None
    max_error_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    allow_code: bool | None = None

    @field_validator("cache_dir")
    @classmethod
    def _is_absolute(cls, value: str | None) -> str | None:
        if value is not None and not (value.startswith("~/") or Path(value).is_absolute()):
            raise ValueError("expected an absolute path, or one that starts with ~/")
        return value


@dataclass(frozen=True, slots=True)
class UserFile:
    """The user's configuration as read.

    Attributes:
        path: where it stands, whether or not it exists.
        config: its fields, None when there is no file.
        document: its positions, None when there is no file.
    """

    path: Path
    config: UserConfig | None = None
    document: YamlDocument | None = None


def user_config_path(environ: Mapping[str, str] | None = None) -> Path:
    """Return the path of the user's configuration: DSE_CONFIG, or the platform's own place."""
    environ = os.environ if environ is None else environ
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_config_dir("dse", appauthor=False)) / "config.yaml"


def load_user_config(path: Path) -> UserFile:
    """Read the user's configuration; a file that does not exist says nothing.

    Raises:
        SpecError: the file is wrong.
    """
    if not path.exists():
        return UserFile(path)
    document = load_yaml(path, name=path.name)
    return UserFile(path, validate(document, UserConfig), document)
