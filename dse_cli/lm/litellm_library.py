"""The one place that imports LiteLLM (about three seconds), and makes it quiet and offline."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import warnings
from functools import cache
from typing import Any

from dse_cli.contracts.errors import ModelUnavailableError

#: Releases that were published by an attacker and stole credentials (MAL-2026-2144).
_POISONED = frozenset({"1.82.7", "1.82.8"})


#: Sent where an endpoint is explicit and no key is: otherwise LiteLLM would send that endpoint a
#: key it finds in the environment.
NO_KEY = "none"


@cache
def load_litellm() -> Any:
    """Import LiteLLM once, with its own look-ups, telemetry, retries and logging off.

    Raises:
        ModelUnavailableError: LiteLLM is missing or is one of the two poisoned releases.
    """
    _refuse_poisoned_release()
    # Read at import: without it LiteLLM fetches its price map from the network.
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ.setdefault("LITELLM_LOG", "ERROR")
    import litellm

    module: Any = litellm
    module.telemetry = False
    module.suppress_debug_info = True
    module.num_retries = 0
    module.DEFAULT_MAX_RETRIES = 0  # its embeddings take a zero that is given for "not given"
    module.drop_params = False  # a parameter that would have no effect is an error, not dropped
    # Said by Pydantic about LiteLLM's own types, to people who can do nothing about it.
    for about in (r".*`ReadOnly` qualifier", r"Pydantic serializer warnings"):
        warnings.filterwarnings("ignore", message=about, category=UserWarning)
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "httpx", "openai"):
        logging.getLogger(name).setLevel(logging.ERROR)
    return module


def _refuse_poisoned_release() -> None:
    try:
        version = importlib.metadata.version("litellm")
    except importlib.metadata.PackageNotFoundError:
        raise ModelUnavailableError("LiteLLM is not installed", hint="reinstall dse-cli") from None
    if version in _POISONED:
        raise ModelUnavailableError(
            f"LiteLLM {version} is a compromised release",
            hint="uninstall it, rotate your keys, and install litellm >= 1.84",
        )
