"""SIMBA: steps over minibatches of train rows, with demos and rules added to programs."""
