"""Takes the suite itself. Gives evidence of how far its verdicts can be trusted: slowdowns, A/A runs, simulation."""
