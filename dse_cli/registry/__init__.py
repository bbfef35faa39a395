"""Artifacts, receipts, pointers and history on disk: atomic, locked, content-addressed."""
