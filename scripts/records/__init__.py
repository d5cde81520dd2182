"""Takes one finished run. Gives its record as files, written once, and reads it back with every type checked."""
