"""What the recorded campaigns say of any two releases: of each scenario and profile, the rounds that say the most."""

from __future__ import annotations

from collections.abc import Iterable

from scripts.inference.paired_rounds import BASELINE, PairedRounds


def most_rounds(campaigns: Iterable[PairedRounds], pairs: Iterable[tuple[str, str]]) -> list[PairedRounds]:
    """Of each pair (baseline, candidate), engine, flow, profile and Python: the campaign with the most rounds of both.

    Of several with as many rounds the newest. Sorted by pair, engine, flow, profile and Python.
    """
    wanted = list(pairs)
    chosen: dict[tuple[str, ...], tuple[PairedRounds, int, int]] = {}
    whole = (one for one in campaigns if one.rounds)
    for one in sorted(whole, key=lambda one: (len(one.rounds), one.rounds[-1].round_id)):
        arms = {release: arm for arm, release in one.releases.items()}
        requested = one.rounds[0].runs[BASELINE].record.requested
        where = one.engine, one.flow, requested.profile.name, requested.python
        for old, new in wanted:
            if old != new and {old, new} <= arms.keys():
                chosen[old, new, *where] = one, arms[old], arms[new]
    return [one.between(old, new) for _, (one, old, new) in sorted(chosen.items(), key=lambda found: found[0])]
