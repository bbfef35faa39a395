"""MIPROv2: settings, the published counts, the proposals, and the search over both."""
