"""The models of a project: alias to resolved name, name to identity, identity to route."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dse_cli.contracts.errors import ModelUnavailableError, UsageError
from dse_cli.contracts.lm import ModelIdentity
from dse_cli.lm.embedded import EMBEDDED, embedded_limits, embedded_route, is_embedded
from dse_cli.lm.lexical import LEXICAL, LEXICAL_ALIAS, LEXICAL_ROUTE, is_lexical
from dse_cli.lm.routes import CallLimits, Route

if TYPE_CHECKING:
    from dse_cli.contracts.project import ModelAlias, ProjectSpec
    from dse_cli.lm.embedded import ProgressSink


class ModelCatalog:
    """Knows every model of a project; is the gateway's :class:`~dse_cli.lm.routes.Routes`.

    Args:
        spec: ``dse.yaml``.
        environ: where keys are; the process's environment when omitted.
        progress: told how far a download of embedded weights is.
    """

    def __init__(
        self,
        spec: ProjectSpec,
        *,
        environ: Mapping[str, str] | None = None,
        progress: ProgressSink | None = None,
    ) -> None:
        self._aliases = dict(spec.models)
        self._environ = os.environ if environ is None else environ
        self._progress = progress

    def resolve(self, alias: str) -> str:
        """Return the resolved model name of an alias; artifacts pin this and never the alias.

        Raises:
            UsageError: no such alias.
        """
        if alias == LEXICAL_ALIAS:
            return LEXICAL.model
        if alias in EMBEDDED:
            return EMBEDDED[alias].identity.model
        if alias in self._aliases:
            return self._aliases[alias].model
        known = ", ".join(sorted([*self._aliases, *EMBEDDED, LEXICAL_ALIAS]))
        raise UsageError(f"there is no model alias {alias!r}", hint=f"known aliases: {known}")

    def identify(self, model: str) -> ModelIdentity:
        """Return the identity of a resolved name: what decides its responses.

        Raises:
            ModelUnavailableError: the project does not say how to reach this model.
        """
        if model == LEXICAL.model:
            return LEXICAL
        for embedded in EMBEDDED.values():
            if embedded.identity.model == model:
                return embedded.identity
        return ModelIdentity(model=model, endpoint=self._alias_of(model).api_base)

    async def route(self, identity: ModelIdentity) -> Route:
        """Return the way to a model; an embedded one is fetched and started now."""
        if is_lexical(identity):
            return LEXICAL_ROUTE
        if is_embedded(identity):
            return await embedded_route(identity, progress=self._progress)
        alias = self._alias_of(identity.model)
        return Route(
            litellm_model=alias.model,
            api_base=alias.api_base,
            api_key=self._key(alias),
            timeout_s=alias.timeout_s,
            max_retries=alias.max_retries,
            concurrency=alias.concurrency,
            requests_per_minute=alias.requests_per_minute,
            tokens_per_minute=alias.tokens_per_minute,
        )

    def limits(self, identity: ModelIdentity) -> CallLimits:
        """Return the limits of a model without starting anything."""
        if is_lexical(identity):
            return LEXICAL_ROUTE
        if is_embedded(identity):
            return embedded_limits(identity)
        return self._alias_of(identity.model)

    def price_bound(self, model: str) -> int | None:
        """Return the dearest nano-dollars per token of a model, None when no price is known."""
        identity = self.identify(model)
        if is_embedded(identity) or is_lexical(identity):
            return 0
        from dse_cli.lm.prices import price_of

        price = price_of(model)
        return None if price is None else price.most_nano_usd_per_token()

    def _alias_of(self, model: str) -> ModelAlias:
        named = [name for name in sorted(self._aliases) if self._aliases[name].model == model]
        if not named:
            raise ModelUnavailableError(
                f"no alias of dse.yaml names the model {model!r}",
                hint=f"add it under `models`, for example `mine: {{model: {model}}}`",
            )
        endpoints = {self._aliases[name].api_base for name in named}
        if len(endpoints) > 1:
            raise UsageError(
                f"the aliases {', '.join(named)} name the model {model!r} at different endpoints",
                hint="a policy pins the model only, so one name must mean one endpoint",
            )
        return self._aliases[named[0]]

    def _key(self, alias: ModelAlias) -> str | None:
        if alias.api_key_env is None:
            return None
        key = self._environ.get(alias.api_key_env)
        if not key:
            raise ModelUnavailableError(
                f"the variable {alias.api_key_env} is not set",
                hint=f"the key of {alias.model} is read from it; keys never stand in files",
            )
        return key
