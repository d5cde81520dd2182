"""The picture of capacities over releases."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.lines import Line2D

from scripts.report.charts import capacity_chart, svg
from scripts.report.charts.capacity_chart import Panel, Point
from scripts.report.charts.form import WIDE

RELEASES = ("1.9.0", "1.10.1", "1.11.0", "1.12.0", "1.13.0")


def point(release: str, value: float, *, is_ceiling: bool = True, setup: str = "2 x 40") -> Point:
    """A release whose confirming runs differ by a tenth."""
    return Point(
        release=release, value=value, low=value * 0.95, high=value * 1.05, is_ceiling=is_ceiling, conditions=setup
    )  # fmt: skip


PANEL = Panel(
    title="A <script> & $x$",
    points=(
        point("1.9.0", 30.0, setup="8 x 1"),
        point("1.10.1", 150.0),
        point("1.11.0", 160.0, is_ceiling=False),
        point("1.13.0", 140.0),
    ),
    absent={"1.12.0": "interrupted", "0.1.0": "elsewhere"},
)
HATCHED = Panel(title="B", points=(point("1.13.0", 90.0),), absent={}, unsupported=("1.9.0", "1.10.1"))


def chart(*panels: Panel) -> svg.Chart:
    """The picture of some panels."""
    return capacity_chart.chart("Capacity", RELEASES, panels)


def test_words_stay_words() -> None:
    """A title is text in both themes, whatever it holds, and what has no place is left out."""
    picture = svg.draw(chart(PANEL))
    for theme in (picture.light, picture.dark):
        elements = list(ET.fromstring(theme).iter())  # noqa: S314
        assert not [one for one in elements if one.tag.endswith("script")]
        assert "A <script> & $x$" in [one.text for one in elements]
    assert b"elsewhere" not in picture.light
    assert not [role for role, colour in svg.LIGHT.items() if colour in picture.dark.decode()]


def _is_data(line: Line2D) -> bool:
    return bool(line.get_color() == svg.LIGHT["first"] and line.get_linestyle() == "-")


def lines(*panels: Panel) -> list[int]:
    """How many releases each line of the first panel joins; those of one alone are no lines."""
    made = chart(*panels)
    axes = made.make(WIDE, *made.data).axes[0]
    lengths = [len(np.atleast_1d(line.get_xdata())) for line in axes.lines if _is_data(line)]
    return sorted(length for length in lengths if length > 1)


def test_only_neighbours_of_one_setup_are_joined() -> None:
    """A line ends at a release without a capacity, and where workers and threads differ."""
    assert lines(PANEL) == [2]


def test_setups_are_named_where_they_differ() -> None:
    """Workers and threads stand above the first release that has them, where a scenario has several."""
    words = svg.draw(chart(PANEL)).light.decode()
    assert [words.count(f"workers x threads: {setup}<") for setup in ("8 x 1", "2 x 40")] == [1, 1]
    assert "workers" not in svg.draw(chart(HATCHED)).light.decode()


@pytest.mark.parametrize("value", [0.3, 30.0, 3000.0])
def test_axis_begins_at_zero(value: float) -> None:
    """Bars of heights can be compared: the axis is not cut, and nothing sticks out."""
    made = chart(Panel(title="", points=(point("1.9.0", value),), absent={}))
    low, high = made.make(WIDE, *made.data).axes[0].get_ylim()
    assert low == 0
    assert high > value * 1.05


def test_releases_are_in_their_order() -> None:
    """The axis has every release once, the oldest first."""
    words = re.findall(r">(1\.[\d.]+)<", svg.draw(chart(PANEL)).light.decode())
    assert words == list(RELEASES)
