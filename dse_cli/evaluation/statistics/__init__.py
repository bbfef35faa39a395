"""Statistics of DESIGN 4.1: pure functions of rewards and a seed, to the last bit."""
