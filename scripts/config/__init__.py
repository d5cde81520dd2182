"""Takes suite.toml, flow directories and what a person typed. Gives what can be asked for, read and checked whole.

Standard library and `packaging` only, because the noxfile imports it.
"""
