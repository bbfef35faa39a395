"""What each optimizer reaches on the embedded model: tasks, runs, results and their table."""
