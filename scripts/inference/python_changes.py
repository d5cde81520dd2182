"""What another Python changes: releases that were compared with themselves on several Pythons, among the records."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from scripts.analysis.grouping import release_key
from scripts.config.matrix import Suite
from scripts.inference import comparison
from scripts.inference.comparison import LEVEL, ArmComparison, Floors
from scripts.inference.intervals import bonferroni_level
from scripts.inference.paired_rounds import BASELINE, PairedRounds


@dataclass(frozen=True, kw_only=True, slots=True)
class PythonChange:
    """A release on one Python, compared with itself on another."""

    release: str
    baseline: str  # Python with patch version
    python: str  # likewise
    judged: ArmComparison


def find(campaigns: Iterable[PairedRounds], floors: Floors, suite: Suite) -> list[list[PythonChange]]:
    """Those of each scenario in the order of suite.toml, the newest release first, and of that the oldest Python.

    They share all conditions but the Python that is compared: those of the newest rounds. Of several campaigns of the
    same release and Pythons the newest counts. All intervals of a metric in a scenario hold together at 95 %.
    """
    known = {release.version for release in suite.releases}
    scenarios: dict[tuple[str, str], list[PairedRounds]] = {(one.engine, one.flow): [] for one in suite.scenarios}
    of_one_release = (one for one in campaigns if _is_of_one(one, known))
    for one in sorted(of_one_release, key=lambda one: one.rounds[-1].round_id):
        scenarios.setdefault((one.engine, one.flow), []).append(one)
    return [_changes(found, floors) for found in scenarios.values() if found]


def _is_of_one(one: PairedRounds, known: Collection[str]) -> bool:
    """Whether each arm is the same known release, on a Python of its own."""
    releases, pythons = set(one.on_pythons.values()), set(one.pythons.values())
    times = all(not run.record.counts for run in one.runs(BASELINE)[:1])
    return times and len(releases) == 1 and releases.issubset(known) and len(pythons) == len(one.arms) > 1


def _changes(found: list[PairedRounds], floors: Floors) -> list[PythonChange]:
    """Of one scenario; oldest rounds first."""
    alike = [one for one in found if one.fingerprint == found[-1].fingerprint]
    newest = {(one.on_pythons[arm], one.pythons[arm]): (one, arm) for one in alike for arm in one.arms[1:]}
    level = bonferroni_level(LEVEL, len(newest))
    changes = [
        PythonChange(
            release=release,
            baseline=one.pythons[BASELINE],
            python=python,
            judged=ArmComparison(
                paired=one, arm=arm, effects=tuple(comparison.effects(one, arm, floors, level=level))
            ),
        )
        for (release, python), (one, arm) in newest.items()
    ]  # fmt: skip
    changes.sort(key=lambda change: release_key(change.python))
    return sorted(changes, key=lambda change: release_key(change.release), reverse=True)
