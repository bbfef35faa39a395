"""Datasets: files to checked rows, splits, and which rows of a split to work on."""
