"""One job of DSPy's in one process: ``dspy.Evaluate`` over ``dspy.Predict``, timed from inside.

Run by path with a Python that has dspy (``bench --dspy-python``), so it imports nothing of ours.
Takes a JSON job and prints one JSON line, as :mod:`bench.ours` does.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import resource
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

_ANSWER = "[[ ## queue ## ]]\nbilling\n\n[[ ## completed ## ]]\n"


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Evaluate once and return what was measured.

    Args:
        job: ``rows`` (JSONL), ``instruction``, ``queues``, ``port`` (null: answer in the process),
            ``concurrency``, ``cache`` (folder or null), ``litellm`` (go through LiteLLM).
    """
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    dspy: Any = importlib.import_module("dspy")
    logging.getLogger("dspy").setLevel(logging.WARNING)
    kept = job["cache"] is not None
    dspy.configure_cache(
        enable_disk_cache=kept, enable_memory_cache=kept, disk_cache_dir=job["cache"]
    )
    began = time.perf_counter()
    with Path(job["rows"]).open(encoding="utf-8") as file:
        devset = [_example(dspy, json.loads(line)) for line in file]
    loaded = time.perf_counter()
    dspy.configure(lm=_lm(dspy, job, cache=kept))
    queue = dspy.OutputField(type_=Literal[tuple(job["queues"])])
    signature = dspy.Signature(
        {"ticket": (str, dspy.InputField()), "queue": (Literal[tuple(job["queues"])], queue)},
        job["instruction"],
    )
    predict = dspy.Predict(signature)
    # The first call imports LiteLLM; with a cache, it reads (or fills) the first row's entry.
    predict(ticket=devset[0].ticket)
    gc.collect()
    before_mb = _rss_mb()
    start, cpu = time.perf_counter(), time.process_time()
    result = dspy.Evaluate(
        devset=devset, metric=_metric, num_threads=job["concurrency"], display_progress=False
    )(predict)
    seconds = time.perf_counter() - start
    if len(result.results) != len(devset):
        raise RuntimeError("the benchmark failed: rows are missing")
    return {
        "cells": len(result.results),
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "load_seconds": loaded - began,
        "mean": float(result.score) / 100,
        "rss_mb": _rss_mb(),
        "grown_mb": _rss_mb() - before_mb,
        "is_native": _is_newer(dspy) and not job["litellm"],
    }


def _example(dspy: Any, row: dict[str, Any]) -> Any:
    example = dspy.Example(ticket=row["input"]["ticket"], queue=row["expected"]["queue"])
    return example.with_inputs("ticket")


def _metric(example: Any, prediction: Any, trace: Any = None) -> float:  # noqa: ARG001
    return float(example.queue == prediction.queue)


def _lm(dspy: Any, job: dict[str, Any], *, cache: bool) -> Any:
    if job["port"] is not None:
        # From 3.4 on dspy reaches this endpoint without LiteLLM unless it is told.
        engine = {"engine": "litellm"} if _is_newer(dspy) and job["litellm"] else {}
        return dspy.LM(
            "openai/bench-chat",
            api_base=f"http://127.0.0.1:{job['port']}/v1",
            api_key="none",
            cache=cache,
            max_tokens=100,
            temperature=0.0,
            **engine,
        )

    class InstantLm(dspy.BaseLM):  # type: ignore[misc]
        """Answers in the process: what is left is DSPy's own cost."""

        def forward(self, prompt: Any = None, messages: Any = None, **kwargs: Any) -> Any:
            message = SimpleNamespace(content=_ANSWER, tool_calls=None)
            choice = SimpleNamespace(message=message, finish_reason="stop")
            usage = {"prompt_tokens": 200, "completion_tokens": 8, "total_tokens": 208}
            return SimpleNamespace(choices=[choice], usage=usage, model="bench")

    return InstantLm("bench", "chat", 0.0, 100, cache=False)


def _is_newer(dspy: Any) -> bool:
    return tuple(map(int, dspy.__version__.split(".")[:2])) >= (3, 4)


def _rss_mb() -> float:
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
