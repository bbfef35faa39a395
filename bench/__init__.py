"""Benchmarks: what ``dse`` costs beside ``dspy.Evaluate``, as ratios from one interleaved run."""
