"""The program of the model's process: loads weights, serves them on loopback, ends with its parent.

It is a process of its own because the native server cannot be stopped while it answers: an
interpreter that exits then crashes or hangs (measured, xllamacpp 2026.10). Here a Ctrl-C, an error
in native code or a lack of memory costs this process and never the run.

Started as a script by :mod:`dse_cli.lm.embedded.process`; imports nothing of ``dse_cli``. Reads
one line of JSON (``name``, ``path``, ``context_tokens``, ``threads``, ``api_key``) from stdin,
writes one line (``address`` or ``error``) to stdout, and exits when stdin ends: also when the
parent was killed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from typing import Any

_LOG_NOTHING = -1
#: Prompts kept in memory beside the current one, in MiB, so that candidates that take turns do not
#: evict each other's prefix; the library's default of 8 GiB is too much for a laptop.
_PROMPT_CACHE_MIB = 512


def main() -> None:
    """Serve until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's to handle
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # native code that prints prints to stderr, which the parent keeps from people
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    try:
        server = _serve(order)
    except (ImportError, RuntimeError, ValueError, OSError) as error:
        _answer(answers, {"error": str(error), "kind": type(error).__name__})
        os._exit(1)
    _answer(answers, {"address": server.listening_address})
    threading.Event().wait()


def _exit_with_parent() -> None:
    while sys.stdin.readline():
        pass
    os._exit(0)  # without the destructors of the server, which may hang


def _answer(stream: Any, message: dict[str, str]) -> None:
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def _serve(order: dict[str, Any]) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = order["path"]
    params.model_alias = {order["name"]}  # or it would answer with a local path as its name
    params.n_ctx = order["context_tokens"]
    # One slot: parallel slots share the same cores, gain nothing here, and batch unrelated requests
    # together, which changes low-order bits of the logits.
    params.n_parallel = 1
    params.cpuparams.n_threads = order["threads"]
    params.cpuparams_batch.n_threads = order["threads"]
    params.n_gpu_layers = 0
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [order["api_key"]]
    params.verbosity = _LOG_NOTHING
    params.warmup = False
    params.ui = False
    params.endpoint_slots = False
    params.cache_prompt = True
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    # What a request leaves open is answered greedily and from a fixed seed, not by chance.
    params.sampling.temp = 0.0
    params.sampling.seed = 0
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
