"""``dse compile``: plan, search, and what it writes."""
