"""Schedulers: which candidates are worth how many rows of val."""
