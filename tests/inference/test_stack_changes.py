"""What grew and shrank between two releases: named when it did, and not when only noise moved it."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.inference import stack_changes
from scripts.inference.stack_changes import FEWEST_REPEATS, StackChange, StackChanges
from scripts.records.explanations import Frame
from tests.fakes import sampled

REPEATS = 8
FUNCTIONS = 60
WIDE = tuple(
    (*sampled.TRUNK, sampled.INVOKE, Frame(module=f"package{n % 12}/module.py", function=f"function{n}"))
    for n in range(FUNCTIONS)
)
WEIGHTS = [1 / (n + 3) for n in range(FUNCTIONS)]
MEANS = {n: 1000 * weight / sum(WEIGHTS) for n, weight in enumerate(WEIGHTS)}  # samples of each in a run
SLOWED = 40  # a function with less than 1 % of the samples


def names(found: StackChanges) -> list[str]:
    """What is named, the largest change first."""
    return [one.name for one in found.changes if one.is_named]


def function(found: StackChanges, name: str) -> StackChange:
    """The change of a function."""
    return next(one for one in found.of("function") if one.name.endswith(f": {name}"))


def test_cpu_time_is_divided_as_the_samples_are() -> None:
    """Shares are of all samples, and times are these shares of the CPU time of a request."""
    found = stack_changes.changes(sampled.explanation([({0: 200, 2: 200}, {0: 200})] * REPEATS))
    span = function(found, "Tracer.start_span")
    each_ms = 400 / sampled.RATE_HZ * 1000 / sampled.REQUESTS
    assert (span.before_share, span.after_share) == (0.5, 0.0)
    assert span.before_ms == pytest.approx(each_ms / 2)
    assert found.whole.before_ms == pytest.approx(each_ms)
    assert found.whole.after_ms == pytest.approx(each_ms / 2)
    assert found.whole.is_named
    assert found.samples == (400 * REPEATS, 200 * REPEATS)


def test_kinds() -> None:
    """A stack counts for the function and the package that run, and for the part of promptflow behind them."""
    runs = ({0: 100, 1: 100, 2: 200, 3: 50}, {0: 100, 1: 99, 3: 50})
    found = stack_changes.changes(sampled.explanation([runs] * REPEATS))
    shown = {(one.kind, one.name) for one in found.changes}
    assert ("package", "opentelemetry") in shown
    assert ("part", "promptflow.tracing") in shown
    assert ("part", "no part of promptflow") in shown
    assert ("function", "python.json.__init__: dumps") in shown
    (tracing,) = found.named("part")
    assert (tracing.name, round(tracing.difference_ms / tracing.before_ms, 2)) == ("promptflow.tracing", -0.67)


@pytest.mark.parametrize("repeats", [FEWEST_REPEATS, REPEATS])
@pytest.mark.parametrize("percent", [5, 10])
def test_a_slowed_function_is_named_first(percent: int, repeats: int) -> None:
    """A function that takes so much more is among the first three that are named, in 9 of 10 explanations."""
    slower = MEANS | {SLOWED: MEANS[SLOWED] + 10 * percent}
    hits = 0
    for seed in range(20):
        found = stack_changes.changes(sampled.drawn(MEANS, slower, repeats, seed, WIDE))
        hits += any(one.name.endswith(f"function{SLOWED}") for one in found.named("function")[:3])
    assert hits >= 18


@pytest.mark.parametrize("repeats", [FEWEST_REPEATS, REPEATS])
def test_noise_is_not_named(repeats: int) -> None:
    """Of a release against itself nothing is named, in 19 of 20 explanations."""
    found = [stack_changes.changes(sampled.drawn(MEANS, MEANS, repeats, seed, WIDE)) for seed in range(60)]
    assert sum(not names(one) for one in found) >= 57


def test_a_share_that_moves_because_another_does_is_not_named() -> None:
    """Where one function is gone, the others take larger shares and the same time; only the one is named."""
    found = stack_changes.changes(
        sampled.explanation([({0: 300, 2: 200 + n, 3: 300}, {0: 300, 3: 300}) for n in range(8)])
    )
    assert function(found, "dumps").after_share > function(found, "dumps").before_share + 0.1
    assert [one.name for one in found.named("function")] == ["opentelemetry.sdk.trace.__init__: Tracer.start_span"]


def test_a_machine_whose_speed_varies_hides_no_change() -> None:
    """Times of slow and fast repeats differ by half, and a function that is gone is named all the same."""
    runs = sampled.explanation([({0: 300, 2: 50 + n % 3}, {0: 300 + n % 2}) for n in range(8)])
    repeats = tuple(
        tuple(dataclasses.replace(run, cpu_ms=run.cpu_ms * (1 + 0.5 * (n % 2))) for run in repeat)
        for n, repeat in enumerate(runs.repeats)
    )
    found = stack_changes.changes(dataclasses.replace(runs, repeats=repeats))  # type: ignore[arg-type]
    assert [one.name for one in found.named("package")] == ["opentelemetry"]


def test_small_changes_are_not_named() -> None:
    """A change of less than 1 % of the whole is not named, however certain it is."""
    found = stack_changes.changes(sampled.explanation([({0: 1000, 2: 30}, {0: 1000, 2: 24})] * REPEATS))
    assert names(found) == []
    assert function(found, "Tracer.start_span").high_ms is not None


@pytest.mark.parametrize(
    ("repeats", "samples", "why"),
    [
        (FEWEST_REPEATS - 1, 1000, f"an interval needs {FEWEST_REPEATS} repeats, and this has {FEWEST_REPEATS - 1}"),
        (FEWEST_REPEATS, 200, "a claim needs 1000 samples, and 1.17.0 has 800"),
    ],
)
def test_too_little_for_a_claim(repeats: int, samples: int, why: str) -> None:
    """With too few repeats or samples nothing is named, and the reason is given."""
    found = stack_changes.changes(sampled.explanation([({0: samples}, {0: samples, 2: samples})] * repeats))
    assert found.no_claim == why
    assert names(found) == []
    assert not found.whole.is_named


def test_without_a_sample() -> None:
    """Servers that were never seen at work are no error."""
    found = stack_changes.changes(sampled.explanation([({}, {})] * FEWEST_REPEATS))
    assert found.changes == ()
    assert found.no_claim
