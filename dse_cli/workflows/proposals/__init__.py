"""The meta-signatures of a run: shipped, or overridden by signatures of the project."""
