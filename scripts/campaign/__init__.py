"""Takes a request to compare releases. Gives its interleaved rounds, measured and judged as they come in.

Here the measuring and the reporting half meet.
"""
