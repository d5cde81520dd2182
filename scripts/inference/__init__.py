"""Takes the figures of many runs. Gives changes with confidence intervals, verdicts, change points and searches."""
