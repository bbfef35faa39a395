"""Views over cells and comparisons: what reports show of them."""
