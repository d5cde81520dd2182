"""Between which releases a metric stepped, on drawn figures whose truth is known."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
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
    drawn: dict[tuple[str, ...], tuple[Figures, Figures]] = {}  # a second look has the rounds of the first, and more

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
def test_a_step_is_found_wherever_it_is(place: int) -> None:
    """A step of 8 % is found at its release, also at both ends of the range, and its interval holds it."""
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


def test_the_larger_of_two_steps_is_found_and_the_other_named() -> None:
    """Of two steps the search goes after the larger one, and says in which range the other lies."""
    found = searched(measuring({3: 0.1, 15: -0.3}))
    assert found.change_point is not None
    assert found.change_point[1] == "1.15.0"
    ((first, last, change),) = found.others
    assert RELEASES.index(first) < 3 <= RELEASES.index(last)
    assert change.low < 0.1 < change.high


def test_steps_that_cancel_are_found() -> None:
    """What rises and falls back does not show at the ends, but in the middle."""
    found = searched(measuring({5: 0.1, 15: -0.1}))
    assert found.change_point is not None
    assert found.change_point[1] in {"1.5.0", "1.15.0"}


def test_without_a_step_there_is_none() -> None:
    """Where nothing moves, the search ends after one stage and is sure of it."""
    found = searched(measuring({}, noise=0.004))
    assert (found.change_point, len(found.stages), found.last.still) == (None, 1, True)


def test_noise_asks_for_more_rounds_and_makes_no_step() -> None:
    """Rounds that do not tell are doubled once; what is still not told is no step, and not sure to be none."""
    requested: list[tuple[tuple[str, ...], int]] = []
    found = searched(measuring({}, noise=0.05, requested=requested))
    assert [rounds for _, rounds in requested] == [8, 16]
    assert (found.change_point, found.last.still) == (None, False)


def test_wolf_is_cried_seldom() -> None:
    """Without any step, at most one search in twenty finds one, whatever counts."""
    every = dataclasses.replace(CPU, minimum_effect=0.0)
    found = [bisection.search(every, RELEASES, measuring({}, seed=seed), 8) for seed in range(100)]
    assert sum(one is not None and one.change_point is not None for one in found) <= 5 + 3 * math.sqrt(5)


def test_neighbours_are_compared_directly() -> None:
    """Two releases have no middle."""
    found = bisection.search(CPU, RELEASES[:2], measuring({1: 0.1}), 8)
    assert found is not None
    assert [stage.releases for stage in found.stages] == [("1.0.0", "1.1.0")]
    assert found.change_point is not None


def test_a_figure_that_is_not_there() -> None:
    """A run that does not tell the metric ends the search without a result."""
    assert bisection.search(CPU, RELEASES, lambda _names, _rounds: None, 8) is None


@pytest.mark.parametrize(("number", "stages"), [(2, 1), (3, 1), (4, 2), (5, 2), (21, 5), (33, 5)])
def test_stages(number: int, stages: int) -> None:
    """As many stages as halving takes until two are left."""
    assert bisection.stages_of(number) == stages


def page(measure: Measure) -> str:
    """The page of a search over three releases, whose runs hold no step of their own."""
    found = bisection.search(CPU, RELEASES[:3], measure, 8)
    assert found is not None
    (paired,) = paired_rounds.pair(campaign(RELEASES[:3], 4))
    return bisection_page.render(found, paired, dict.fromkeys(RELEASES, date(2024, 1, 2)))


def test_page_of_a_step() -> None:
    """The page says what moved, by how much, between which releases, and how to go on."""
    text = page(measuring({2: 0.1}))
    assert "# CPU per request of fastapi static_async: where it changed" in text
    assert "**CPU per request rose with 1.2.0**: +" in text
    assert "| 1.0.0, 1.1.0, 1.2.0 |" in text
    assert "| 1.1.0 to 1.2.0 |" in text
    assert "nox -s attribute" in text


def test_page_of_another_step() -> None:
    """A step outside of the search's path is named with the command that looks into it."""
    text = page(measuring({1: 0.1, 2: -0.2}))
    assert "**CPU per request fell with 1.2.0**" in text
    assert "`nox -s find -- --metric cpu_per_request_ms 1.0.0..1.1.0 --engine fastapi --flow static_async" in text


def test_page_without_a_step() -> None:
    """The page tells what is sure to be none from what could not be told."""
    assert "**No change.** Between 1.0.0 and 1.2.0 it stays within the threshold" in page(measuring({}, noise=0.003))
    assert "**Inconclusive.** Noise hides whether it changed between 1.0.0 and 1.2.0" in page(measuring({}, noise=0.08))


def test_page_of_a_drift() -> None:
    """What moves in parts that are too small to count is said to move, and not to be hidden by noise."""
    text = page(measuring({1: 0.015, 2: 0.015}, noise=0.0005))
    assert "**No single change.** From 1.0.0 to 1.2.0 it moved by +3.0 %" in text


def test_a_noise_floor_raises_what_counts() -> None:
    """A step that a release differs from itself by is none."""
    assert searched(measuring({7: 0.08}, noise=0.004, floor=0.2)).change_point is None
