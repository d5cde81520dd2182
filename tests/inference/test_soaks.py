"""What soaks of a known course of memory and overhead are found to show."""

from __future__ import annotations

import dataclasses
import math

import pytest

from scripts.analysis.run_reader import Run
from scripts.inference import soaks
from scripts.inference.soaks import Soak
from scripts.records.schema import RunRecord
from tests.fakes import synthetic_runs, synthetic_soaks
from tests.fakes.synthetic_soaks import Course, steady

MIB = 2**20
RUN_TIME_S = 1800


def leaks(share: float) -> float:
    """30 MiB in half an hour, all the time."""
    return 200 + 30 * share


def levels_off(share: float) -> float:
    """Most of the growth comes before the second half."""
    return 200 + 30 * (1 - math.exp(-4.5 * share))


def found(memory: Course = steady, overhead: Course = steady, run_time_s: int = RUN_TIME_S) -> Soak:
    """A soak of that course, evaluated."""
    return soaks.evaluated(synthetic_soaks.run(synthetic_soaks.record(memory, overhead, run_time_s=run_time_s)))


def test_leak_is_found_with_its_size() -> None:
    """Memory that grows with every request has an interval around its growth, in the second half too."""
    soak = found(leaks)
    growth = 30 * MIB / (synthetic_soaks.rps(soak.run.record.requested.profile) * RUN_TIME_S)
    for trend in (soak.memory, soak.memory_later):
        assert trend is not None
        assert 0 < trend.low < growth < trend.high
        assert trend.slope == pytest.approx(growth, rel=0.1)
    assert soak.growth == "grows"
    assert soak.seconds_until(300 * MIB) == pytest.approx(10 * RUN_TIME_S, rel=0.1)


def test_saturation_is_no_leak() -> None:
    """Memory that rises and then stays is said to level off, and there is no time until it is larger by anything."""
    soak = found(levels_off)
    assert soak.memory is not None
    assert soak.memory.rises
    assert soak.growth == "levels off"
    assert soak.seconds_until(MIB) is None


def test_growth_of_the_warm_up_is_none() -> None:
    """What memory grows before the steady state begins is in no trend."""
    soak = found(lambda share: 200 + 300 * min(share, 1 / 7))
    assert soak.growth == "no growth"


@pytest.mark.parametrize(
    ("memory", "growth"), [(steady, "no growth"), (lambda share: 200 - 30 * share, "shrinks"), (leaks, "grows")]
)
def test_memory_alone(memory: Course, growth: str) -> None:
    """Memory that stays, shrinks or grows is told as that, and overhead that stays has no drift."""
    soak = found(memory)
    assert (soak.growth, soak.drift) == (growth, "no drift")


@pytest.mark.parametrize(("change_ms", "drift"), [(5.0, "slower"), (-5.0, "faster"), (0.0, "no drift")])
def test_overhead_alone(change_ms: float, drift: str) -> None:
    """Overhead that rises or falls by 5 ms in half an hour drifts by 10 ms per hour."""
    soak = found(overhead=lambda share: 200 + change_ms * share)
    assert (soak.growth, soak.drift) == ("no growth", drift)
    assert soak.overhead is not None
    assert soak.overhead.low * 3600 < 2 * change_ms < soak.overhead.high * 3600


@pytest.mark.parametrize(("run_time_s", "known"), [(360, True), (120, False), (12, False)])
def test_short_soak_shows_nothing(run_time_s: int, *, known: bool) -> None:
    """Six minutes have enough samples for a verdict about memory; two do not, and say so."""
    assert (found(leaks, run_time_s=run_time_s).growth != "not known") == known


def test_flow_without_an_ideal_time_has_no_drift() -> None:
    """Where no answer tells its overhead, the drift is not known, and memory is."""
    made = synthetic_soaks.record(leaks)
    assert made.measurements is not None
    untold = tuple(dataclasses.replace(one, overhead_p50_ms=None) for one in made.measurements.soak)
    measured = dataclasses.replace(made.measurements, soak=untold)
    soak = soaks.evaluated(synthetic_soaks.run(dataclasses.replace(made, measurements=measured)))
    assert (soak.growth, soak.drift) == ("grows", "not known")


def test_truncated_latencies_have_no_drift() -> None:
    """The overhead of a run that lost its slowest requests is not told as a drift."""
    run = dataclasses.replace(synthetic_soaks.run(synthetic_soaks.record()), distrusted=("truncated",))
    assert soaks.evaluated(run).drift == "not known"


def test_run_that_measured_nothing() -> None:
    """A run whose server died has no trends, and is no error."""
    made = synthetic_soaks.record(outcome="failed", reasons=("the server died",))
    soak = soaks.evaluated(synthetic_soaks.run(made))
    assert (soak.memory, soak.overhead, soak.growth, soak.drift) == (None, None, "not known", "not known")


def of(*records: RunRecord) -> list[tuple[str, int]]:
    """Release and round of the soaks that count."""
    runs: list[Run] = [synthetic_soaks.run(record) for record in records]
    requested = [soak.run.record.requested for soak in soaks.standing(runs)]
    return [(one.release, one.round) for one in requested]


def test_longest_valid_soak_counts() -> None:
    """Of several soaks of a release a valid one counts before a failed one, then the longest, then the newest."""
    half_an_hour = [synthetic_soaks.record(number=number) for number in (1, 2)]
    short = synthetic_soaks.record(number=3, run_time_s=600)
    failed = synthetic_soaks.record(number=4, outcome="failed", reasons=("killed",))
    assert of(*half_an_hour, short, failed) == [("1.12.0", 2)]
    assert of(short, failed) == [("1.12.0", 3)]
    assert of(failed) == [("1.12.0", 4)]


def test_engines_and_machines_are_kept_apart() -> None:
    """Each release, engine and machine has a soak of its own; candidates are no releases."""
    first = synthetic_soaks.record(number=1)
    elsewhere = dataclasses.replace(
        synthetic_soaks.record(number=2), machine=dataclasses.replace(synthetic_runs.MACHINE, cores=2)
    )
    flask = synthetic_soaks.record(number=3, engine="flask", flow="static_sync")
    candidate = synthetic_soaks.record(number=4, release="1.18.5+1a2b3c4d")
    assert of(first, elsewhere, flask, candidate) == [("1.12.0", 1), ("1.12.0", 2), ("1.12.0", 3)]
