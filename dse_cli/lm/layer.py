"""The one interface of the gateway: a layer turns a request into a response.

Layers wrap layers as httpx stacks transports; nothing above a layer knows what is below it::

    budget -> record | replay -> single-flight -> disk cache -> ready -> limits -> circuit
    -> retry -> transport
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dse_cli.contracts.lm import LmRequest, LmResponse


class Layer(Protocol):
    """Something that answers model calls."""

    async def complete(self, request: LmRequest) -> LmResponse:
        """Answer one call.

        Raises:
            InfrastructureError: the call failed for a reason that is not the prompt's.
            IntegrityError: a replay was asked something that is not on record.
        """
        ...

    async def aclose(self) -> None:
        """Release connections, files and the layers below."""
        ...
