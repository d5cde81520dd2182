"""The self-test's campaigns among the records, found by the releases that they compare.

A campaign's identity is a digest over the machine and more, so that it is not known on another machine. What a campaign
compares is: the release with as many candidates of it as there are slowdowns, or the release with itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.analysis import run_reader
from scripts.config.errors import NothingMeasuredError
from scripts.inference import comparison, paired_rounds
from scripts.inference.comparison import ArmComparison
from scripts.inference.paired_rounds import BASELINE, PairedRounds
from scripts.records.storage import RecordError, run_directories
from scripts.selftest.slowdowns import SLOWDOWNS, Slowdown

_CANDIDATE = re.compile(r"\+[0-9a-f]{8}")  # ends the label of a candidate, see environments.candidates


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedSelfTest:
    """What was measured for a self-test, judged."""

    slowed: tuple[tuple[Slowdown, ArmComparison], ...]  # the newest campaign
    aa_comparisons: tuple[ArmComparison, ...]  # oldest first
    left_out: tuple[str, ...] = ()  # runs that cannot be read and campaigns that cannot be paired, with the reason


def read(results: Path, *, profile: str, release: str, engine: str, flow: str) -> RecordedSelfTest:
    """The recorded self-test of a release; NothingMeasuredError when the records lack a part of it."""
    runs = list(run_reader.each(run_directories(results, profile=profile)))
    found, mixed = paired_rounds.pair_each(run for _, run in runs if not isinstance(run, RecordError))
    left_out: tuple[str, ...] = (
        *(f"{directory}: {run}" for directory, run in runs if isinstance(run, RecordError)),
        *(f"campaign {name}: {error.message}" for name, error in mixed.items()),
    )
    whole = sorted(
        (one for one in found if (one.engine, one.flow) == (engine, flow) and one.rounds),
        key=lambda one: one.rounds[0].round_id,
    )
    slowed = [one for one in whole if _is_slowed(one, release)]
    aa = [one for one in whole if one.is_aa and list(one.releases.values()) == [release] * 2]
    aa, others = _alike(aa, slowed)
    left_out += tuple(f"campaign {one.campaign}: other conditions than the slowdowns" for one in others)
    missing = [name for name, these in (("slowdowns", slowed), ("A/A comparisons", aa)) if not these]
    if missing:
        raise NothingMeasuredError(
            f"{results / 'runs' / profile} has no whole round of the self-test's {' and no '.join(missing)} "
            f"({release} on {engine}, {flow})" + "".join(f"\n  - left out: {one}" for one in left_out),
            then="nox -s self-test, which takes hours and goes on where it stopped; or name other --results",
        )
    floors = comparison.noise_floors(found)
    of_arm = dict(enumerate(SLOWDOWNS, BASELINE + 1))
    return RecordedSelfTest(
        slowed=tuple((of_arm[one.arm], one) for one in comparison.judge(slowed[-1:], floors)),
        aa_comparisons=tuple(comparison.judge(aa, floors)),
        left_out=left_out,
    )


def _alike(aa: Sequence[PairedRounds], slowed: Sequence[PairedRounds]) -> tuple[list[PairedRounds], list[PairedRounds]]:
    """The comparisons under the conditions of the newest slowdowns, machine and Python among them; and the others."""
    if not slowed:
        return list(aa), []
    wanted = slowed[-1].fingerprint
    return [one for one in aa if one.fingerprint == wanted], [one for one in aa if one.fingerprint != wanted]


def _is_slowed(one: PairedRounds, release: str) -> bool:
    """Whether it compares the release with a candidate for each slowdown; they are in the order of SLOWDOWNS."""
    baseline, *candidates = one.releases.values()
    return (
        baseline == release
        and len(candidates) == len(SLOWDOWNS)
        and all(label.startswith(release) and _CANDIDATE.fullmatch(label.removeprefix(release)) for label in candidates)
    )
