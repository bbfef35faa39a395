"""Signatures of the project that a job stands on: its judges, and who stands in for a proposer."""
