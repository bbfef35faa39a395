"""``dse predict`` and ``dse_cli.load``: which policy answers, and a receipt for each answer."""
