"""Reading a file of the store: bytes, digest, contract, and the place of every value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from dse_cli.canonical import sha256_of_bytes
from dse_cli.contracts.base import Contract
from dse_cli.contracts.errors import SpecError
from dse_cli.project.json_document import parse_json
from dse_cli.project.source_text import decode_source
from dse_cli.project.validate import validate
from dse_cli.project.yaml_document import parse_yaml
from dse_cli.registry.findings import altered, refused

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.project.document import Document, Loc

C = TypeVar("C", bound=Contract)

MAX_JSON_BYTES: Final = 100_000_000
MAX_YAML_BYTES: Final = 5_000_000


@dataclass(frozen=True, slots=True)
class Loaded(Generic[C]):
    """A file that fits its contract.

    Attributes:
        value: what it says.
        digest: ``sha256:...`` of its bytes.
        document: where every part of it stands.
    """

    value: C
    digest: str
    document: Document


def read_bytes(path: Path, *, name: str) -> bytes:
    """Return the bytes of a regular file of the store.

    Raises:
        AlteredFileError: missing, unreadable, a link (which could lead out of the project), or
            not a regular file.
    """
    try:
        if path.is_symlink():
            raise altered(name, "not-a-file", "a link stands where a file should")
        if path.exists() and not path.is_file():
            raise altered(name, "not-a-file", "expected a regular file")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise altered(name, "missing-file", "the file does not exist") from error
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "fix its permissions"
        message = f"the file cannot be read: {reason}"
        raise altered(name, "unreadable-file", message, hint) from error


def stands(path: Path, *, name: str) -> bool:
    """Return whether something stands at a path, be it a dangling link.

    Raises:
        AlteredFileError: it cannot be told. That is not the same as absent: what cannot be looked
            at must not pass for a project without a pointer.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"the file cannot be read: {reason}"
        raise altered(name, "unreadable-file", message, "fix its permissions") from error
    return True


def load_contract(path: Path, contract: type[C], *, name: str) -> Loaded[C]:
    """Read a JSON or YAML file (by its suffix) that DSE wrote.

    Args:
        name: path relative to the project root, for messages.

    Raises:
        AlteredFileError: see :func:`read_bytes` and :func:`parse_contract`.
    """
    return parse_contract(read_bytes(path, name=name), contract, name=name)


def parse_contract(data: bytes, contract: type[C], *, name: str) -> Loaded[C]:
    """Return what bytes of a file called ``name`` hold.

    Raises:
        AlteredFileError: not UTF-8, not JSON or YAML, conflict markers, or not the contract; with
            every problem and its line.
    """
    is_yaml = name.endswith(".yaml")
    try:
        limit = MAX_YAML_BYTES if is_yaml else MAX_JSON_BYTES
        text = decode_source(data, name=name, max_bytes=limit).text
        document = parse_yaml(text, name=name) if is_yaml else parse_json(text, name=name)
        # What a model said may look like a key: here it is data.
        value = validate(document, contract, scan_secrets=False)
    except SpecError as error:
        raise refused(error) from error
    return Loaded(value, sha256_of_bytes(data), document)


def first_difference(left: Any, right: Any, loc: Loc = ()) -> Loc | None:
    """Return where two JSON values first differ, in the order of ``left``; None when equal.

    ``1`` and ``1.0`` are one number, ``1`` and ``true`` are not one value.
    """
    if isinstance(left, dict) and isinstance(right, dict):
        for key in [*left, *(key for key in right if key not in left)]:
            if key not in left or key not in right:
                return (*loc, key)
            if (found := first_difference(left[key], right[key], (*loc, key))) is not None:
                return found
        return None
    if isinstance(left, list) and isinstance(right, list):
        for index, (one, other) in enumerate(zip(left, right, strict=False)):
            if (found := first_difference(one, other, (*loc, index))) is not None:
                return found
        return None if len(left) == len(right) else (*loc, min(len(left), len(right)))
    same = left == right and isinstance(left, bool) == isinstance(right, bool)
    return None if same else loc
