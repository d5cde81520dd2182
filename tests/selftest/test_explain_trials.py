"""Trials of explanations: what counts as named, and what as a false positive."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from scripts.records.explanations import Explanation, Frame
from scripts.selftest import explain_trials
from scripts.selftest.explain_trials import CANDIDATES, Candidate
from scripts.selftest.slowdowns import INJECTED_FUNCTION, PLACES
from tests.fakes import sampled

REPEATS = 8
SLOWED, UNCHANGED = CANDIDATES[0], CANDIDATES[-1]
INJECTED = (*sampled.TRUNK, sampled.INVOKE, Frame(module=PLACES[0].module, function=INJECTED_FUNCTION))
STACKS = (*sampled.STACKS, INJECTED)
USUAL = {0: 400, 1: 300, 2: 200, 3: 200}


def explanation(after: Mapping[int, int], repeats: int = REPEATS) -> Explanation:
    """The usual samples before, and others after."""
    return sampled.explanation([(USUAL, after)] * repeats, STACKS)


@pytest.mark.parametrize(
    ("candidate", "after", "result"),
    [
        (SLOWED, USUAL | {4: 60}, "named"),
        (SLOWED, USUAL, "missed"),
        (SLOWED, {0: 600, 1: 100, 2: 300, 3: 400, 4: 60}, "missed"),  # others changed more
        (UNCHANGED, USUAL, "nothing named"),
        (UNCHANGED, USUAL | {3: 260}, "false positive"),
    ],
)
def test_results(candidate: Candidate, after: Mapping[int, int], result: str) -> None:
    """The injected function has to be among the first three; of an unchanged candidate nothing may be named."""
    assert explain_trials.judged(candidate, explanation(after)).result == result


def test_too_few_repeats_are_no_result() -> None:
    """An explanation that claims nothing neither finds nor misses anything."""
    assert explain_trials.judged(SLOWED, explanation(USUAL, 3)).result == "no claim"


def test_what_was_seen() -> None:
    """A trial has what the injected function took."""
    seen = explain_trials.judged(SLOWED, explanation(USUAL | {4: 60})).seen
    assert seen is not None
    assert seen.difference_ms == pytest.approx(60 / sampled.RATE_HZ * 1000 / sampled.REQUESTS)


def test_three_places_and_two_sizes() -> None:
    """The slowed candidates are of three parts of promptflow, 5 and 10 %, and no two share a name."""
    slowed = [one for one in CANDIDATES if one.slowdown is not None]
    assert len({one.function for one in slowed}) == len(PLACES) == 3
    assert len({one.name for one in CANDIDATES}) == len(CANDIDATES) == 7
    assert sum(one.trials for one in slowed) >= 10
    assert UNCHANGED.trials >= 20
