"""Clocks of two machines: whatever they say and however long messages take, the stated error holds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from locustfiles import clocks
from locustfiles.clocks import Offset

DELAYS_S = st.floats(min_value=0.0, max_value=2.0)
SLACK_S = 1e-6  # of floats


@given(truth_s=st.floats(min_value=-1e6, max_value=1e6), there_s=DELAYS_S, back_s=DELAYS_S)
def test_the_error_of_an_answer_holds(truth_s: float, there_s: float, back_s: float) -> None:
    """The true difference lies within the stated error, also where the message takes longer in one direction."""
    sent_s = 100.0
    found = clocks.answered(sent_s, sent_s + there_s + truth_s, sent_s + there_s + back_s)
    assert abs(found.offset_s - truth_s) <= found.error_s + SLACK_S
    assert found.error_s == pytest.approx((there_s + back_s) / 2, abs=SLACK_S)


@given(
    first_s=st.floats(min_value=-1e3, max_value=1e3),
    drift_s=st.floats(min_value=-0.1, max_value=0.1),
    delays_s=st.tuples(DELAYS_S, DELAYS_S, DELAYS_S, DELAYS_S),
    share=st.floats(min_value=0.0, max_value=1.0),
)
def test_the_error_between_two_looks_holds(
    first_s: float, drift_s: float, delays_s: tuple[float, float, float, float], share: float
) -> None:
    """At every time between the looks the true difference is within the error, while the clocks drift evenly."""
    there_s, back_s, there_later_s, back_later_s = delays_s
    before = clocks.answered(0.0, there_s + first_s, there_s + back_s)
    after = clocks.answered(100.0, 100.0 + there_later_s + first_s + drift_s, 100.0 + there_later_s + back_later_s)
    found = clocks.between(before, after)
    assert abs(found.offset_s - (first_s + share * drift_s)) <= found.error_s + SLACK_S


def test_the_fastest_answer_counts() -> None:
    """The answer that may be off the least is believed."""
    found = [Offset(offset_s=number, error_s=error_s) for number, error_s in enumerate((0.3, 0.1, 0.2))]
    assert clocks.best(found) == found[1]


def test_one_machine_has_one_clock() -> None:
    """Processes of one machine need no answer."""
    assert clocks.between(clocks.SAME, clocks.SAME) == clocks.SAME
    assert math.isclose(clocks.answered(1.0, 1.0, 1.0).error_s, 0.0)
