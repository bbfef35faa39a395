"""One embedding, by itself: as the index of a pool needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dse_cli.contracts.errors import CallTimeoutError, ProviderError
from dse_cli.contracts.evaluation import CellError
from dse_cli.runtime.demo_selection import embed_request
from dse_cli.runtime.prediction import Prediction, UsageTally

if TYPE_CHECKING:
    from dse_cli.contracts.lm import ModelIdentity
    from dse_cli.lm.layer import Layer


async def embedded(
    layer: Layer, identity: ModelIdentity, value: Mapping[str, Any], path: str
) -> Prediction:
    """Return ``{"vector": TEXT}`` of an input, or the outage in the prediction's ``error``.

    Args:
        path: logical path of the call; ``/step=embed`` is appended.
    """
    request = embed_request(identity, value, f"{path}/step=embed")
    tally = UsageTally()
    tally.asked()
    output: dict[str, Any] | None = None
    error: CellError | None = None
    try:
        response = await layer.complete(request)
    except CallTimeoutError as failure:
        error = CellError("timeout", failure.message)
    except ProviderError as failure:
        error = CellError("provider", failure.message)
    else:
        tally.add(request.key, response, is_answer=False)
        output = {"vector": response.text}
    return Prediction(
        output=output,
        error=error,
        usage=tally.usage(),
        request_keys=tuple(tally.request_keys),
        scripted=tally.scripted,
    )
