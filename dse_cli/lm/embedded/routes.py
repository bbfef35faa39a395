"""The way to an embedded model: weights and server are brought up by the first call."""

from __future__ import annotations

from dse_cli.contracts.errors import ModelUnavailableError
from dse_cli.contracts.lm import ModelIdentity
from dse_cli.lm.embedded.models import EmbeddedModel, model_of
from dse_cli.lm.embedded.progress import ProgressSink
from dse_cli.lm.embedded.server import EmbeddedServer, shared_server
from dse_cli.lm.routes import Route

_TIMEOUT_S = (
    300.0  #: a full context takes a minute on two quiet cores, and cores are not always quiet
)
_RETRIES = 2  #: a server that died is started again by the next attempt
_CONCURRENCY = 2  #: one call is computed, the next one waits at the server and not in Python


def is_embedded(identity: ModelIdentity) -> bool:
    """Whether an identity names weights, and so an embedded model."""
    return identity.weights is not None


def embedded_limits(identity: ModelIdentity) -> Route:
    """Return the limits of an embedded model, as a route without an address; starts nothing.

    Raises:
        ModelUnavailableError: this version has no embedded model with these weights.
    """
    return _route(_known(identity))


async def embedded_route(
    identity: ModelIdentity,
    *,
    server: EmbeddedServer | None = None,
    progress: ProgressSink | None = None,
) -> Route:
    """Return the route of an embedded model, after fetching and loading it if need be.

    Args:
        identity: an identity with weights.
        server: whose server; the one of this process by default.
        progress: told how far a download is.

    Raises:
        AlteredError: the weights are not the model's.
        ModelUnavailableError: unknown weights, no source for them, no extra, or no memory.
    """
    model = _known(identity)
    endpoint = await (server or shared_server()).start(model, progress=progress)
    return _route(model, endpoint.base_url, endpoint.api_key)


def _known(identity: ModelIdentity) -> EmbeddedModel:
    model = model_of(identity)
    if model is None:
        raise ModelUnavailableError(
            f"this version of dse has no embedded model {identity.model} with weights"
            f" {identity.weights}",
            hint="recompile, or use the version of dse that the artifact was compiled with",
        )
    return model


def _route(model: EmbeddedModel, api_base: str | None = None, api_key: str | None = None) -> Route:
    return Route(
        litellm_model=f"openai/{model.name}",
        api_base=api_base,
        api_key=api_key,
        timeout_s=_TIMEOUT_S,
        max_retries=_RETRIES,
        concurrency=_CONCURRENCY,
        free=True,
        seeded=True,
    )
