"""One job of ours in one process: the real path of ``dse eval``, timed from inside.

``python -m bench.ours JOB`` with a JSON job; prints one JSON line. The path is
``workflows.evaluate.evaluate_policy``: engine, gateway with budget, recording, single-flight and
cache, decoding, JSON Schema validation, metric and summary. Nothing is left out of it, and
nothing but the transport is put in.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dse_cli.contracts.lm import LmResponse, Usage
from dse_cli.lm.scripted import ScriptedTransport
from dse_cli.project.project import Project
from dse_cli.report.eval_report import EvalReport
from dse_cli.workflows.evals.eval_rows import Selection
from dse_cli.workflows.evals.evaluate import evaluate_policy
from dse_cli.workflows.inputs import load_inputs
from dse_cli.workflows.policies import find_policy
from dse_cli.workflows.session import RunOptions

if TYPE_CHECKING:
    from dse_cli.lm.layer import Layer

_STATUS = Path("/proc/self/status")
_ANSWER = LmResponse('{"queue":"billing"}', served_model="bench", usage=Usage(200, 8, 0))


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Evaluate once and return what was measured.

    Args:
        job: ``project`` (folder), ``concurrency``, ``cache`` (folder or null), ``scripted`` (answer
            in the process instead of over HTTP), ``rollouts``.
    """
    began = time.perf_counter()
    inputs = load_inputs(Project.open(root=Path(job["project"])), "bench")
    loaded = time.perf_counter()
    policy = find_policy(inputs.store, inputs.signature, inputs.base, "default")
    transport: Layer | None = ScriptedTransport(lambda _: _ANSWER) if job["scripted"] else None
    options = RunOptions(
        cache=None if job["cache"] is None else Path(job["cache"]),
        concurrency=job["concurrency"],
        transport=transport,
    )
    # One row before the clock starts, as on the other side: the first call imports LiteLLM.
    asyncio.run(evaluate_policy(inputs, policy, options, selection=Selection(limit=1)))
    gc.collect()
    before_mb = forget_peak()
    start = time.perf_counter()
    cpu = time.process_time()
    report = asyncio.run(
        evaluate_policy(inputs, policy, options, selection=Selection(), repeat=job["rollouts"])
    )
    seconds = time.perf_counter() - start
    grown_mb = peak_mb() - before_mb
    return {
        "cells": len(report.measured[0].cells),
        "seconds": seconds,
        "cpu_seconds": time.process_time() - cpu,
        "load_seconds": loaded - began,
        "mean": _mean(report),
        "rss_mb": _rss_mb(),
        "grown_mb": grown_mb,
    }


def _mean(report: EvalReport) -> float:
    if report.summary.mean is None or report.summary.failures:
        raise RuntimeError(f"the benchmark failed: {report.summary.failures}")
    return report.summary.mean


def forget_peak() -> float:
    """Start to look for the peak of the resident size anew; return the size now, in MB.

    Only Linux can; elsewhere the peak of the whole process stays, and growth is underestimated.
    """
    if not _STATUS.exists():
        return _rss_mb()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_mb()


def peak_mb() -> float:
    """Return the largest resident size since :func:`forget_peak`, in MB."""
    if not _STATUS.exists():
        return _rss_mb()
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1e3


def _rss_mb() -> float:
    """Return the largest resident size so far, in MB."""
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (1e6 if sys.platform == "darwin" else 1e3)


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
