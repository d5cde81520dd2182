"""How long a campaign takes on more machines than there are here: list scheduling of rounds with measured durations.

A machine that is free takes the next round, as a coordinator gives them out (Graham, "Bounds on Multiprocessing Timing
Anomalies", SIAM J. Appl. Math. 17, 1969).
"""

from __future__ import annotations

import heapq
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.config.errors import NothingMeasuredError
from scripts.config.matrix import Suite
from scripts.records.storage import read_record, run_directories

ROUNDS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Campaign:
    """All releases in all scenarios, in rounds of one kind."""

    name: str
    rounds_s: tuple[float, ...]  # how long a machine needs for each
    runs: int
    run_bytes: float  # of a record, mean

    @property
    def bytes(self) -> float:
        """What workers send for all of it."""
        return self.runs * self.run_bytes


def makespan_s(rounds_s: Sequence[float], machines: int, prepare_s: float, handling_s: float) -> float:
    """Wall time of all rounds on so many machines, each of which gets ready first.

    `handling_s`: the coordinator's time to take an answer and give out the next round; it serves one machine at a time.
    """
    free_at, coordinator_at = [prepare_s] * machines, 0.0
    heapq.heapify(free_at)
    for round_s in rounds_s:
        coordinator_at = max(heapq.heappop(free_at), coordinator_at) + handling_s
        heapq.heappush(free_at, coordinator_at + round_s)
    return max(free_at)


def campaigns(suite: Suite, results: Path) -> tuple[Campaign, Campaign]:
    """Every release in each round, and neighbours in pairs, from how long recorded runs took.

    NothingMeasuredError without any.
    """
    cells: defaultdict[str, int] = defaultdict(int)  # releases that can serve it, by flow
    for release, engine in suite.targets():
        for flow in suite.scenario_flows(release, engine):
            cells[f"{engine.name} {flow}"] += 1
    alone, at_once = _recorded(results, 1), _recorded(results, 2)
    whole = [alone.run_s * number for number in cells.values() for _ in range(ROUNDS)]
    pairs = [at_once.run_s for number in cells.values() for _ in range((number - 1) * ROUNDS)]
    return (
        Campaign(
            name="every release in each round", rounds_s=tuple(whole), runs=sum(cells.values()) * ROUNDS,
            run_bytes=alone.run_bytes,
        ),
        Campaign(name="neighbours in pairs", rounds_s=tuple(pairs), runs=2 * len(pairs), run_bytes=at_once.run_bytes),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class _Recorded:
    run_s: float  # median wall time of a run, or of two at once
    run_bytes: float


def _recorded(results: Path, at_once: int) -> _Recorded:
    """Of the runs of rounds in which so many are made at once."""
    took, sizes = list[float](), list[int]()
    for directory in run_directories(results):
        record = read_record(directory)
        requested = record.requested
        of_rounds = requested.campaign and requested.profile.reported and record.counts is None
        if record.outcome == "ok" and of_rounds and requested.profile.at_once == at_once:
            took.append(sum(record.phases_s.values()))
            sizes.append(sum(path.stat().st_size for path in directory.iterdir()))
    if not took:
        sequential = ["--sequential"] if at_once == 1 else []
        raise NothingMeasuredError(
            f"no round of {at_once} run(s) at once is recorded",
            then=" ".join(["nox -s compare -- 1.12.0 1.18.5", *sequential]),
        )
    return _Recorded(run_s=statistics.median(took), run_bytes=statistics.mean(sizes))
