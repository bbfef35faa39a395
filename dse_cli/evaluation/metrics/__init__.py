"""The metrics: what one signal says of one output.

A metric is a function of (config, sample) that returns a score in [0, 1] and feedback in words that
a model can act on: what stands there, and what was expected. It sees outputs only; that there was
none is the reward's business. ``0``, ``""``, ``false`` and ``null`` are outputs. A row that cannot
be judged is a :class:`MetricError`, never a silent 0. Nothing depends on a clock, a locale or the
order of a set.
"""

from __future__ import annotations

from dse_cli.evaluation.metrics.registry import EXTERNAL, METRICS, Metric

__all__ = ["EXTERNAL", "METRICS", "Metric"]
