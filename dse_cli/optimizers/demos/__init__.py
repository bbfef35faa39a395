"""Demo sets: labelled rows, bootstrapped answers, and the published recipe of both."""
