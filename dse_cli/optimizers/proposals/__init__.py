"""Proposals: meta-signatures asked of a model, their answers checked, counted and recorded."""
