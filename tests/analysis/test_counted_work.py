"""What follows from a count, on windows made by hand."""

from __future__ import annotations

import dataclasses
import random
import statistics
from collections.abc import Sequence

import pytest
from scipy import stats

from scripts.analysis import counted_work, metrics, validity
from scripts.config.load_profiles import COUNT
from scripts.records.schema import CountedWindow, Counts, RunRecord
from tests.fakes import synthetic_runs

FULL = 70_000


def counts(instructions: Sequence[float], *, full_at: Sequence[int] = (), symbols: bool = True) -> Counts:
    """Windows of 5 requests with so many instructions each; a full collection comes on top in some of them."""
    return Counts(
        valgrind="3.19.0",
        pinned=("hash seed 0",),
        start_up_instructions=9_000_000,
        first_request_instructions=25_000,
        warm_up_requests=15,
        windows=tuple(
            CountedWindow(
                requests=5,
                instructions=round(5 * each) + (2000 if symbols else 0) + FULL * (place in full_at),
                system_calls=50,
                full_collections=int(place in full_at) if symbols else None,
                collection_instructions=2000 + FULL * (place in full_at) if symbols else None,
            )
            for place, each in enumerate(instructions)
        ),
        backend_received=15 + 5 * len(instructions),
    )


def record(found: Counts, *, workers: int = 1) -> RunRecord:
    """A run that counted this."""
    made = synthetic_runs.record()
    assert made.observed is not None
    profile = dataclasses.replace(made.requested.profile, name=COUNT)
    return dataclasses.replace(
        made,
        requested=dataclasses.replace(made.requested, profile=profile),
        observed=dataclasses.replace(made.observed, workers=workers),
        measurements=None,
        counts=found,
    )


FLAT = [1000.0, 1001, 999, 1000, 1002, 998, 1000, 1001, 999, 1000]
RISING = [1000.0 + 50 * place for place in range(10)]


@pytest.mark.parametrize("symbols", [True, False])
def test_a_full_collection_is_no_steady_work(*, symbols: bool) -> None:
    """With and without symbols of the Python, the median request is the same."""
    assert counted_work.instructions_per_request(counts(FLAT, full_at=[3], symbols=symbols)) == pytest.approx(1000)


def test_a_window_with_a_full_collection_counts() -> None:
    """What is left of it without the collection is steady work: here of more than half of the windows."""
    found = counts([1000.0] * 5 + [1010.0] * 6, full_at=range(5, 11))
    assert counted_work.instructions_per_request(found) == pytest.approx(1010)


def test_a_full_collection_is_told_apart() -> None:
    """Its work is what its window has beyond the smaller collections of the others."""
    assert counted_work.full_collection_instructions(counts(FLAT, full_at=[3])) == FULL


@pytest.mark.parametrize("found", [counts(FLAT), counts(FLAT, full_at=[3], symbols=False)])
def test_no_full_collection_is_known(found: Counts) -> None:
    """Without one, or without symbols, there is no figure."""
    assert counted_work.full_collection_instructions(found) is None


def test_extra_work_is_spread_over_all_requests() -> None:
    """A full collection in one of ten windows of 5 requests is a fiftieth of its work a request, and small ones add."""
    found = counts(FLAT, full_at=[3], symbols=False)
    assert counted_work.extra_instructions_per_request(found) == pytest.approx(FULL / 50)
    found = counts(FLAT, full_at=[3])
    assert counted_work.extra_instructions_per_request(found) == pytest.approx(FULL / 50 + 2000 / 5)


def test_growth() -> None:
    """Windows that rise by 50 instructions every 5 requests grow by 10 with every request served."""
    assert counted_work.growth(counts(RISING, full_at=[4])) == pytest.approx(10)


def test_no_growth() -> None:
    """Windows without a trend have none, however their line slopes."""
    assert counted_work.growth(counts(FLAT)) == 0


def test_too_few_windows() -> None:
    """A line through fewer than five windows is none."""
    assert counted_work.trend(counts(FLAT[:4])) is None


@pytest.mark.parametrize("found", [counts(FLAT, full_at=[3]), counts(RISING)])
def test_good_counts_are_valid(found: Counts) -> None:
    """Neither a full collection nor steady growth makes a count invalid."""
    assert validity.reasons_of_count(record(found), found) == ()


@pytest.mark.parametrize(
    ("found", "workers", "code"),
    [
        (counts([1000.0, 1100] * 5), 1, "windows-scatter"),
        (counts(FLAT[:4]), 1, "no-windows"),
        (counts(FLAT), 2, "other-workers"),
        (dataclasses.replace(counts(FLAT), backend_received=64), 1, "books"),
        (dataclasses.replace(counts(FLAT), backend_received=66), 1, "books"),
    ],
)
def test_invalid_counts(found: Counts, workers: int, code: str) -> None:
    """Each rule of a count, broken alone, gives its own reason."""
    assert [reason.code for reason in validity.reasons_of_count(record(found, workers=workers), found)] == [code]


def test_a_count_has_only_counted_metrics() -> None:
    """A run that counts work has no figure of time, and every counted metric that needs no collection."""
    made = record(counts(FLAT))
    values = metrics.derive(made, synthetic_runs.histograms())
    known = {name for name, value in values.items() if value is not None}
    possible = {metric.name for metric in metrics.of(made.requested)}
    assert known == possible - {"full_collection_instructions"}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("slope", [0, 20])
def test_the_trend_is_that_of_scipy(seed: int, slope: int) -> None:
    """The line is the same; a trend is seen where scipy's exact test sees one, but for the border of the p-value."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    work = [1_000_000 + slope * place + draw.randrange(400) for place in range(12)]
    found = counted_work.trend(counts(work))
    served = [10 + 5 * place for place in range(len(work))]
    exact = float(stats.kendalltau(served, work).pvalue)
    line = stats.theilslopes(work, served)
    assert found is not None
    if not 0.008 < exact < 0.012:
        assert found.growth == (pytest.approx(line.slope) if exact < 0.01 else 0)
    distances = [abs(y - line.intercept - line.slope * x) for x, y in zip(served, work, strict=True)]
    assert found.scatter == pytest.approx(statistics.median(distances) / statistics.median(work))


def test_windows_that_are_all_alike_have_no_trend() -> None:
    """And no error: nothing varies."""
    assert counted_work.trend(counts([1_000_000] * 8)) == counted_work.Trend(growth=0.0, scatter=0.0)
