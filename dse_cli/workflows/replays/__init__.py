"""``dse replay``: one run, or every run of a project."""
