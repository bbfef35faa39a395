"""``dse eval``: rows, policies, measurement, verdict, and where the report goes."""
