"""``dse promote`` and ``dse rollback``: the gate, the channels, and two branches that promoted."""
