"""Takes a plan of runs. Gives a record of each run, measured under load from start to stop."""
