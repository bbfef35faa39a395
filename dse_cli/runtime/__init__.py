"""Predict: render, decode, repair, limits. Runs pinned policies; nothing learns here."""
