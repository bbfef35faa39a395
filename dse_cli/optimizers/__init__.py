"""One file per algorithm, each readable beside its source; an id names the algorithm that it is."""
