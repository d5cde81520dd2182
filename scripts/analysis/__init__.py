"""Takes run records. Gives the figures of each run, whether it is valid, and which runs belong together."""
