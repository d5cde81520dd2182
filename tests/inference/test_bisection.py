"""Between which releases a metric changed, on drawn figures whose truth is known."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from datetime import date

import numpy as np
import pytest

from scripts.analysis.metrics import METRICS
from scripts.inference import bisection, change_points, paired_rounds
from scripts.inference.bisection import Bisection, Measure
from scripts.inference.change_points import Fit
from scripts.inference.intervals import Figures
from scripts.report.pages import bisection_page
from tests.fakes.synthetic_runs import campaign

CPU = next(metric for metric in METRICS if metric.name == "cpu_per_request_ms")
RELEASES = tuple(f"1.{number}.0" for number in range(21))


def measuring(
    changes: Mapping[int, float],
    noise: float = 0.01,
    requested: list[tuple[tuple[str, ...], int]] | None = None,
    seed: int = 1,
    floor: float = 0.0,
) -> Measure:
    """What a campaign of releases would find; `changes`: log ratios by the place from which they hold."""
    rng = np.random.default_rng(seed)
    drawn: dict[tuple[str, ...], tuple[Figures, Figures]] = {}  # twice as many rounds begin with the first ones

    def measure(names: tuple[str, ...], rounds: int) -> tuple[Fit, float]:
        if requested is not None:
            requested.append((names, rounds))
        places = [RELEASES.index(name) for name in names]
        levels = np.array([sum(size for start, size in changes.items() if place >= start) for place in places])
        if names not in drawn:
            covariates = rng.normal(0, 0.05, (2 * rounds, len(names)))
            drawn[names] = levels + 0.6 * covariates + rng.normal(0, noise, covariates.shape), covariates
        values, covariates = drawn[names]
        return change_points.fitted(names, values[:rounds], covariates[:rounds]), floor

    return measure


def searched(measure: Measure, rounds: int = 8) -> Bisection:
    """A search over all releases that came to an end."""
    found = bisection.search(CPU, RELEASES, measure, rounds)
    assert found is not None
    return found


@pytest.mark.parametrize("place", [1, 7, 10, 13, 20])
def test_a_change_is_found_wherever_it_is(place: int) -> None:
    """A change of 8 % is found at its release, also at both ends of the range, and its interval holds it."""
    found = searched(measuring({place: 0.08}))
    assert found.change_point is not None
    before, release, change = found.change_point
    assert (before, release) == (RELEASES[place - 1], RELEASES[place])
    assert change.low < 0.08 < change.high
    assert found.others == []


def test_it_takes_few_stages() -> None:
    """21 releases take at most five stages, and each asks for both ends and the middle of what is left."""
    requested: list[tuple[tuple[str, ...], int]] = []
    found = searched(measuring({13: -0.2}, requested=requested))
    assert len(found.stages) <= bisection.stages_of(len(RELEASES)) == 5
    assert requested[0] == (("1.0.0", "1.10.0", "1.20.0"), 8)
    assert requested[1] == (("1.10.0", "1.15.0", "1.20.0"), 8)


def test_the_larger_of_two_changes_is_found_and_the_other_named() -> None:
    """Of two changes the search finds the larger one, and names the range of the other."""
    found = searched(measuring({3: 0.1, 15: -0.3}))
    assert found.change_point is not None
    assert found.change_point[1] == "1.15.0"
    ((first, last, change),) = found.others
    assert RELEASES.index(first) < 3 <= RELEASES.index(last)
    assert change.low < 0.1 < change.high


def test_changes_that_cancel_are_found() -> None:
    """A metric that rises and falls back differs in the middle, not at the ends."""
    found = searched(measuring({5: 0.1, 15: -0.1}))
    assert found.change_point is not None
    assert found.change_point[1] in {"1.5.0", "1.15.0"}


def test_no_change_is_within_threshold() -> None:
    """Where nothing changes, the search ends after one stage, within the threshold."""
    found = searched(measuring({}, noise=0.004))
    assert (found.change_point, len(found.stages), found.last.within_threshold) == (None, 1, True)


def test_noise_doubles_the_rounds_and_makes_no_change() -> None:
    """Inconclusive rounds are doubled once; then there is neither a change nor a verdict within threshold."""
    requested: list[tuple[tuple[str, ...], int]] = []
    found = searched(measuring({}, noise=0.05, requested=requested))
    assert [rounds for _, rounds in requested] == [8, 16]
    assert (found.change_point, found.last.within_threshold) == (None, False)


def test_false_positives_are_few() -> None:
    """Without any change, at most one search in twenty finds one, even at threshold 0."""
    every = dataclasses.replace(CPU, minimum_effect=0.0)
    found = [bisection.search(every, RELEASES, measuring({}, seed=seed), 8) for seed in range(100)]
    assert sum(one is not None and one.change_point is not None for one in found) <= 5 + 3 * math.sqrt(5)


def test_neighbours_are_compared_directly() -> None:
    """Two releases have no middle."""
    found = bisection.search(CPU, RELEASES[:2], measuring({1: 0.1}), 8)
    assert found is not None
    assert [stage.releases for stage in found.stages] == [("1.0.0", "1.1.0")]
    assert found.change_point is not None


def test_a_missing_figure() -> None:
    """A run that lacks the metric ends the search without a result."""
    assert bisection.search(CPU, RELEASES, lambda _names, _rounds: None, 8) is None


@pytest.mark.parametrize(("number", "stages"), [(2, 1), (3, 1), (4, 2), (5, 2), (21, 5), (33, 5)])
def test_stages(number: int, stages: int) -> None:
    """As many stages as halving takes until two releases are left."""
    assert bisection.stages_of(number) == stages


def page(measure: Measure) -> str:
    """The page of a search over three releases."""
    found = bisection.search(CPU, RELEASES[:3], measure, 8)
    assert found is not None
    (paired,) = paired_rounds.pair(campaign(RELEASES[:3], 4))
    return bisection_page.render(found, paired, dict.fromkeys(RELEASES, date(2024, 1, 2)))


def test_page_of_a_change() -> None:
    """The page says what changed, by how much, between which releases, and how to go on."""
    text = page(measuring({2: 0.1}))
    assert "# CPU per request of fastapi static_async: where it changed" in text
    assert "**CPU per request rose with 1.2.0**: +" in text
    assert "| 1.0.0, 1.1.0, 1.2.0 |" in text
    assert "| 1.1.0 to 1.2.0 |" in text
    assert "nox -s attribute" in text


def test_page_of_another_change() -> None:
    """A change outside of the search's path is named with the command that looks into it."""
    text = page(measuring({1: 0.1, 2: -0.2}))
    assert "**CPU per request fell with 1.2.0**" in text
    assert "`nox -s find -- --metric cpu_per_request_ms 1.0.0..1.1.0 --engine fastapi --flow static_async" in text


def test_page_without_a_change() -> None:
    """The page distinguishes no change within the range from an inconclusive search."""
    assert "**No change.** Between 1.0.0 and 1.2.0 it stays within the threshold" in page(measuring({}, noise=0.003))
    assert "**Inconclusive.** Noise hides whether it changed between 1.0.0 and 1.2.0" in page(measuring({}, noise=0.08))


def test_page_of_a_gradual_change() -> None:
    """A change in parts that are within the threshold is said to be one, and not to be hidden by noise."""
    text = page(measuring({1: 0.015, 2: 0.015}, noise=0.0005))
    assert "**No single change.** From 1.0.0 to 1.2.0 it moved by +3.0 %" in text


def test_a_noise_floor_raises_the_threshold() -> None:
    """A change smaller than the noise floor is none."""
    assert searched(measuring({7: 0.08}, noise=0.004, floor=0.2)).change_point is None


def skipping(*broken: int) -> Callable[[str], str | None]:
    """Releases that cannot be measured, by their place."""
    return lambda name: None if RELEASES.index(name) in broken else name


@pytest.mark.parametrize("place", [1, 7, 10, 13, 20])
def test_what_cannot_be_measured_is_stepped_over(place: int) -> None:
    """Where points cannot be measured, neighbours are tried, and the answer is the range that holds the change."""
    broken = (4, 5, 9, 10, 11, 12, 15)
    found = bisection.search(CPU, RELEASES, measuring({place: 0.08}), 8, skipping(*broken))
    assert found is not None
    assert found.change_point is not None
    low, high = (RELEASES.index(name) for name in found.ends)
    assert low < place <= high
    assert found.untested == tuple(RELEASES[n] for n in range(low + 1, high))
    assert {RELEASES.index(name) for name in found.untested} <= set(broken)
    assert len(found.stages) <= bisection.stages_of(len(RELEASES))


def test_nothing_between_can_be_measured() -> None:
    """After so many points that cannot be measured, the ends are compared, and the answer is all of the range."""
    found = bisection.search(CPU, RELEASES, measuring({7: 0.08}), 8, skipping(*range(1, 20)))
    assert found is not None
    assert found.ends == ("1.0.0", "1.20.0")
    assert found.untested == RELEASES[1:-1]
    assert len(found.skipped) == bisection.MOST_SKIPPED
    assert set(found.skipped) < set(found.untested)
    assert [stage.releases for stage in found.stages] == [("1.0.0", "1.20.0")]


@pytest.mark.parametrize("seed", range(20))
def test_stages_hold_whatever_is_skipped(seed: int) -> None:
    """No pattern of points that cannot be measured takes more stages than a search without them."""
    rng = np.random.default_rng(seed)
    broken = tuple(int(n) for n in rng.choice(np.arange(1, 20), size=10, replace=False))
    place = int(rng.integers(1, 21))
    found = bisection.search(CPU, RELEASES, measuring({place: 0.2}), 8, skipping(*broken))
    assert found is not None
    assert len(found.stages) <= bisection.stages_of(len(RELEASES))


def test_points_of_one_identity_are_measured_once() -> None:
    """A point that is the same as an end takes its place, and the answer names the nearest neighbours."""
    requested: list[tuple[tuple[str, ...], int]] = []
    same = {name: ("before" if place < 13 else "after") for place, name in enumerate(RELEASES)}
    found = bisection.search(CPU, RELEASES, measuring({13: 0.1}, requested=requested), 8, same.__getitem__)
    assert found is not None
    assert found.change_point is not None
    assert found.change_point[:2] == ("1.12.0", "1.13.0")
    assert len(found.stages) == 1
