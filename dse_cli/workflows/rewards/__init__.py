"""The judges and the Python metrics of a reward: loaded and checked before anything is spent."""
