"""Takes suite.toml, flow directories and what a person typed. Gives what can be requested, read and checked.

Standard library and `packaging` only, because the noxfile imports it.
"""
