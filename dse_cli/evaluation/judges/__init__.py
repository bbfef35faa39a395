"""Judges: pinned policies that are asked about an output, through the same gateway."""
