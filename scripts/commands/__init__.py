"""Takes a command line. Gives an exit code and what a person reads in the terminal; one thin file for each verb."""
