"""Splits, metrics, rewards, the evaluation engine and statistics."""
