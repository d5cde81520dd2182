"""The picture of a comparison."""

from __future__ import annotations

import dataclasses
import math
import warnings

import pytest

from scripts.analysis.metrics import COMPARED, Metric
from scripts.inference.comparison import Effect, Verdict
from scripts.inference.intervals import Interval
from scripts.report.charts import forest_plot, svg
from scripts.report.charts.svg import Picture
from tests.report.charts.reading import Drawn


def effect(metric: Metric, percent: float | None, half: float = 0.01, verdict: Verdict = "within threshold") -> Effect:
    """A change of so many percent, with half an interval as log ratio."""
    middle = None if percent is None else math.log1p(percent / 100)
    interval = (
        None
        if middle is None
        else Interval(estimate=middle, low=middle - half, high=middle + half, level=0.95, number=8)
    )
    return Effect(
        metric=metric, baseline=1.0, candidate=1.0, interval=interval, threshold=0.02, floor=None, slope=0.0,
        verdict=verdict, rounds_needed=None,
    )  # fmt: skip


ALL = [
    effect(COMPARED[0], 12, verdict="regression"),
    effect(COMPARED[1], -20, verdict="improvement"),
    effect(COMPARED[2], 0.1),
    effect(COMPARED[3], 30, half=0.6, verdict="inconclusive"),
    effect(COMPARED[4], 1550, verdict="regression"),
    effect(COMPARED[5], -80, verdict="improvement"),
    effect(COMPARED[6], None, verdict="no data"),
]


def label(one: Effect) -> str:
    """The metric without its unit, with the arrow of its good direction."""
    arrow = "\u2191" if one.metric.better == "higher" else "\u2193"
    return f"{one.metric.words} {arrow}"


def texts(picture: Picture) -> list[str]:
    """All words in a picture."""
    return Drawn(picture.light).words


def height(picture: Picture) -> float:
    """Of the picture, in pixels."""
    return Drawn(picture.light).height


@pytest.fixture(scope="module")
def picture() -> Picture:
    """A comparison with all kinds of rows."""
    return svg.draw(forest_plot.chart("1.18.5 against 1.12.0", ALL))


def test_rows_are_named_with_their_changes(picture: Picture) -> None:
    """Every metric that has an interval, with the figure of the table, also where it lies beyond the edge."""
    found = texts(picture)
    assert [text for text in found if text in {label(one) for one in ALL}] == [label(one) for one in ALL[:-1]]
    assert {"+12.0 %", "-20.0 %", "+0.1 %", "+30.0 %", "+1550 %", "-80.0 %"} <= set(found)


def test_title_and_legend_can_be_read(picture: Picture) -> None:
    """Title and verdicts are text."""
    assert {"1.18.5 against 1.12.0", "regression", "improvement", "within threshold", "inconclusive"} <= set(
        texts(picture)
    )


def test_same_effects_give_the_same_bytes(picture: Picture) -> None:
    """In both themes."""
    assert svg.draw(forest_plot.chart("1.18.5 against 1.12.0", ALL)) == picture


def test_themes_differ_in_colours_only(picture: Picture) -> None:
    """The dark picture has none of the light theme's colours."""
    dark = picture.dark.decode()
    assert [role for role, colour in svg.LIGHT.items() if colour in dark] == []
    assert len(picture.light) == len(picture.dark)


def test_long_titles_are_broken_and_make_room() -> None:
    """No word is lost beyond the edge, and no row is squeezed."""
    title = "fastapi flex_async: 1.18.5+1a2b3c4d.asof.20250124 against 1.12.0+asof.20250124 and what else it is called"
    short, long = svg.draw(forest_plot.chart("short", ALL)), svg.draw(forest_plot.chart(title, ALL))
    lines = [text for text in texts(long) if len(text) > 3 and text in title]  # not the ticks
    assert " ".join(lines) == title
    assert height(long) > height(short)


def test_rows_have_the_same_height_each() -> None:
    """Ten rows are no more crowded than two."""
    heights = [height(svg.draw(forest_plot.chart("t", ALL[:1] * number))) for number in (1, 2, 10)]
    assert (heights[2] - heights[1]) == pytest.approx(8 * (heights[1] - heights[0]))


@pytest.mark.parametrize("shown", [[], [ALL[-1]], [effect(COMPARED[0], 0.0, half=0.0)]])
def test_nothing_to_show_is_still_a_picture(shown: list[Effect]) -> None:
    """No metric at all, none with an interval, and one that did not move by anything: drawn without a complaint."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert svg.draw(forest_plot.chart("t", shown)).light


def test_threshold_is_drawn_to_scale() -> None:
    """The grey bar reaches as far as a change of the threshold does, to either side: log ratios are not symmetric."""
    wide = dataclasses.replace(effect(COMPARED[0], 55), threshold=math.log(1.5))
    picture = Drawn(svg.draw(forest_plot.chart("t", [wide])).light)
    _, bar = sorted(picture.areas("area"), key=lambda box: box.top)  # below the legend's
    (zero,) = [text.x for text in picture.texts if text.words == "0"]
    assert (bar.right - zero) / (zero - bar.left) == pytest.approx(50 / (100 / 3), rel=0.01)
