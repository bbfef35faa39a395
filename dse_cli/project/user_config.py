"""The user's own configuration file, outside every project, and the trust it may grant.

``allow_code`` is deliberately not a field of the contract: no schema, and so no file of a project,
can set it. It is read by hand, from the user's file only.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, field_validator

from dse_cli.contracts.base import Contract
from dse_cli.contracts.errors import SpecError
from dse_cli.project.validate import validate
from dse_cli.project.yaml_document import YamlDocument, load_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG_VARIABLE: Final = "DSE_CONFIG"
_TRUST: Final = "allow_code"


class UserConfig(Contract):
    """The fields of ``config.yaml`` in the user's configuration folder.

    Attributes:
        cache_dir: folder of recorded model responses; absolute, ``~`` allowed.
        default_model: alias that is used where none is named.
        concurrency: cells in flight at once, over all models.
        max_error_rate: share of provider errors above which a run ends, 0 to 1.
        no_color, quiet: terminal manners.
    """

    dse: Literal["user_config/v1"]
    cache_dir: str | None = None
    default_model: str | None = None
    concurrency: Annotated[int, Field(ge=1, le=1024)] | None = None
    max_error_rate: Annotated[float, Field(ge=0, le=1)] | None = None
    no_color: bool | None = None
    quiet: bool | None = None

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
        allow_code: what it says about trust, None when it says nothing.
    """

    path: Path
    config: UserConfig | None = None
    document: YamlDocument | None = None
    allow_code: bool | None = None


def user_config_path(environ: Mapping[str, str] | None = None) -> Path:
    """Return the path of the user's configuration: DSE_CONFIG, or the platform's own place."""
    environ = os.environ if environ is None else environ
    if named := environ.get(CONFIG_VARIABLE):
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_config_dir("dse", appauthor=False)) / "config.yaml"


def load_user_config(path: Path, *, project_root: Path | None = None) -> UserFile:
    """Read the user's configuration; a file that does not exist says nothing.

    Args:
        project_root: a file inside it grants no trust, as the project could have brought it along.

    Raises:
        SpecError: the file is wrong, or grants trust from inside the project.
    """
    if not path.exists():
        return UserFile(path)
    document = load_yaml(path, name=path.name)
    allow_code = _trust(document)
    inside = project_root is not None and path.resolve().is_relative_to(project_root.resolve())
    if allow_code is not None and inside:
        message = "'allow_code' has no force in a file inside the project"
        hint = "use '--allow-code', or move the file out of the project"
        found = document.diagnostic((_TRUST,), "untrusted-place", message, hint, key=True)
        raise SpecError([found])
    document = document.without(_TRUST)
    return UserFile(path, validate(document, UserConfig), document, allow_code)


def _trust(document: YamlDocument) -> bool | None:
    if not isinstance(document.value, dict) or _TRUST not in document.value:
        return None
    allow_code = document.value[_TRUST]
    if not isinstance(allow_code, bool):
        message = "'allow_code' must be true or false"
        raise SpecError([document.diagnostic((_TRUST,), "wrong-type", message)])
    return allow_code
