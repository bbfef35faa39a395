"""``active.yaml`` and ``canary.yaml`` as text: the pointer, and under it the policy for review.

A pure writer: generators of lines. One field per line, and texts of several lines as literal
blocks, so that a change of one word is a diff of one line. The same pointer gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from dse_cli.contracts.channel import CanaryStop
from dse_cli.contracts.params import Params
from dse_cli.registry.json_text import number_text, sorted_keys
from dse_cli.registry.yaml_scalars import (
    block_header,
    block_lines,
    double_quoted,
    quoted_lines,
    scalar_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse_cli.contracts.channel import CanaryPointer
    from dse_cli.contracts.history import ActivePointer

#: Always a block, even when it is one line: the text that optimizers rewrite.
_BLOCK_KEYS: Final = frozenset({"text"})
#: YAML readers give up on a plain ``key:`` beyond 1024 characters.
_LONGEST_KEY: Final = 200
#: What a canary gets that was not told otherwise.
_PLAIN_STOP: Final = CanaryStop()


def render_active(pointer: ActivePointer, *, name: str) -> str:
    """Return the whole of ``active.yaml``.

    Args:
        pointer: its ``policy`` must be valid params.
        name: the signature's folder, as commands take it.
    """
    about = f"# The active policy of {name}: which artifact it is, and what it tells the model."
    made_by = f"# made by: dse promote {name} {_artifact(pointer)}"
    return "".join(f"{line}\n" for line in (about, made_by, *_body(pointer)))


def render_canary(pointer: CanaryPointer, *, name: str, override: str | None = None) -> str:
    """Return the whole of ``canary.yaml``; see :func:`render_active`.

    Args:
        override: why it began although no gate said so, of the record that started it.
    """
    options = f" --percent {number_text(pointer.percent)}"
    if pointer.stop.min_samples != _PLAIN_STOP.min_samples:
        options += f" --min-samples {pointer.stop.min_samples}"
    if pointer.stop.max_error_rate != _PLAIN_STOP.max_error_rate:
        options += f" --max-error-rate {number_text(pointer.stop.max_error_rate)}"
    if override is not None:
        options += f" --override {double_quoted(override)}"
    about = f"# The canary of {name}: a policy on trial, and the share of requests that it answers."
    made_by = f"# made by: dse promote {name} {_artifact(pointer)} --channel canary{options}"
    return "".join(f"{line}\n" for line in (about, made_by, *_body(pointer)))


def _artifact(pointer: ActivePointer | CanaryPointer) -> str:
    return pointer.artifact.removeprefix("compiled/").removesuffix(".json")


def _body(pointer: ActivePointer | CanaryPointer) -> Iterator[str]:
    yield "# do not edit: dse check refuses it"
    fields = pointer.to_json()
    policy = fields.pop("policy")
    yield from _mapping(fields)
    yield from _entry("policy", readable_policy(policy))


def readable_policy(policy: dict[str, Any]) -> dict[str, Any]:
    """Return params as JSON in reading order: fields as the contract has them, data sorted."""
    ordered = Params.model_validate(policy).to_json()
    for demo in (ordered.get("few_shot") or {}).get("examples", ()):
        demo["input"] = _sorted(demo["input"])
        demo["output"] = _sorted(demo["output"])
    return ordered


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted_keys(value)}
    if isinstance(value, list | tuple):
        return [_sorted(item) for item in value]
    return value


def _mapping(mapping: dict[str, Any]) -> Iterator[str]:
    for key, value in mapping.items():
        yield from _entry(key, value)


def _entry(key: str, value: Any) -> Iterator[str]:
    written = scalar_text(key)
    if len(written) > _LONGEST_KEY:
        yield f"? {written}"
        written = ""
    yield from _after(f"{written}:", value, block=key in _BLOCK_KEYS)


def _after(start: str, value: Any, *, block: bool) -> Iterator[str]:
    """Yield ``start`` (a key with its colon) and the value, on its line or below it."""
    if isinstance(value, dict | list | tuple):
        if not value:
            yield f"{start} {'{}' if isinstance(value, dict) else '[]'}"
            return
        yield start
        lines = _mapping(value) if isinstance(value, dict) else _items(value)
        yield from _indented(lines)
    elif isinstance(value, str) and (block or "\n" in value):
        yield from _text(start, value)
    else:
        yield f"{start} {scalar_text(value)}"


def _text(start: str, text: str) -> Iterator[str]:
    if header := block_header(text):
        yield f"{start} {header}"
        yield from _indented(block_lines(text))
    elif "\n" in text:
        first, *rest = quoted_lines(text)
        yield f"{start} {first}"
        yield from _indented(rest)
    else:
        yield f"{start} {double_quoted(text)}"


def _items(items: list[Any] | tuple[Any, ...]) -> Iterator[str]:
    for item in items:
        if isinstance(item, dict) and item:
            yield from _bulleted(_mapping(item))
        elif isinstance(item, list | tuple) and item:
            yield from _bulleted(_items(item))
        else:
            yield from _after("-", item, block=False)


def _bulleted(lines: Iterator[str]) -> Iterator[str]:
    start = "- "
    for line in lines:
        yield start + line if line else line
        start = "  "


def _indented(lines: Iterator[str] | list[str]) -> Iterator[str]:
    return (f"  {line}" if line else line for line in lines)
