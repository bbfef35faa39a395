"""``dse check``: findings about specs, stores and evidence, and the repairs that are safe."""
