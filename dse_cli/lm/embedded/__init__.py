"""The embedded default: small open models, known by their hash, served on loopback.

Importing this imports nothing heavy and touches neither network nor disk.
"""

from __future__ import annotations

from dse_cli.lm.embedded.models import EMBEDDED, EmbeddedModel, find_model, identity, model_of
from dse_cli.lm.embedded.process import Endpoint
from dse_cli.lm.embedded.progress import NoProgress, ProgressSink
from dse_cli.lm.embedded.routes import embedded_limits, embedded_route, is_embedded
from dse_cli.lm.embedded.server import EmbeddedServer, shared_server
from dse_cli.lm.embedded.weights import (
    WeightsStatus,
    ensure_weights,
    models_dir,
    pull,
    status,
    verify,
    weights_path,
)

__all__ = [
    "EMBEDDED",
    "EmbeddedModel",
    "EmbeddedServer",
    "Endpoint",
    "NoProgress",
    "ProgressSink",
    "WeightsStatus",
    "embedded_limits",
    "embedded_route",
    "ensure_weights",
    "find_model",
    "identity",
    "is_embedded",
    "model_of",
    "models_dir",
    "pull",
    "shared_server",
    "status",
    "verify",
    "weights_path",
]
