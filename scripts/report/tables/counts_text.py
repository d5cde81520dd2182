"""What a command that also counts says of it: how long it takes, and what is missing without valgrind."""

from __future__ import annotations


def plan(expected_s: float, most: int = 1) -> str:
    """How long counting takes. `most`: processes of each release where fewer do not decide."""
    more = f", and up to {most} of each where fewer leave it undecided" if most > 1 else ""
    return (
        f"counts: about {expected_s / 60:.1f} minutes for one process of each release{more}; recorded counts are used "
        "again"
    )


def without_counts(why: str, then: str) -> str:
    """What a report lacks without counts."""
    return (
        f"No instructions were counted: {why}. CPU time alone judges the work of a request. It sees changes of some "
        f"percent, where counts see half a percent. To count: {then}."
    )
