"""The picture of memory over the requests served."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from scripts.report.charts import soak_chart, svg
from scripts.report.charts.form import NARROW, WIDE, Form
from scripts.report.charts.soak_chart import Panel
from scripts.report.charts.svg import LIGHT
from tests.report.charts.reading import Drawn

PANEL = Panel(
    title="1.12.0",
    about="fastapi static_async",
    points=tuple((1.5 * step, 210 + 0.1 * step) for step in range(100)),
    steady_from=25.0,
    whole=((25.0, 211.7), (148.5, 219.9)),
    later=((87.0, 215.8), (148.5, 219.9)),
)


def drawn(*panels: Panel, form: Form = WIDE) -> Drawn:
    """The picture, as it is read."""
    chart = dataclasses.replace(soak_chart.chart("Memory", panels), form=form)
    return Drawn(svg.draw(chart).light)


@pytest.mark.parametrize(("form", "columns"), [(WIDE, 3), (NARROW, 1)])
@pytest.mark.parametrize("number", [1, 3, 4, 6])
def test_panels_stand_in_rows(form: Form, columns: int, number: int) -> None:
    """Each soak has a panel: three beside each other in a wide picture, all below each other in a narrow one."""
    panels = drawn(*[PANEL] * number, form=form).panels
    assert len(panels) == number
    assert len({round(panel.left) for panel in panels}) == min(columns, number)
    assert len({round(panel.top) for panel in panels}) == -(-number // columns)


def test_lines_are_those_of_the_soak() -> None:
    """Memory, both trends and the begin of the steady state are drawn where they are."""
    made = soak_chart.chart("Memory", [PANEL])
    (axes,) = made.make(WIDE, *made.data).axes
    by_look = {(line.get_color(), line.get_linestyle()): np.asarray(line.get_xydata()) for line in axes.lines}
    assert by_look[LIGHT["first"], "-"].tolist() == [list(point) for point in PANEL.points]
    assert by_look[LIGHT["text"], "-"].tolist() == [list(point) for point in PANEL.later]
    assert by_look[LIGHT["second"], "--"].tolist() == [list(point) for point in PANEL.whole]


def test_soak_without_trends_has_its_memory() -> None:
    """A soak that is too short for trends, or never became steady, shows what it has."""
    short = dataclasses.replace(PANEL, points=PANEL.points[:2], steady_from=None, whole=(), later=())
    assert len(drawn(short).panels) == 1


def test_words_stay_words() -> None:
    """Names are text in both themes, whatever they hold, and a long one ends before the next panel."""
    evil = dataclasses.replace(PANEL, title="<script>$x$", about="a" * 64)
    picture = svg.draw(soak_chart.chart("Memory", [evil, PANEL]))
    for theme in (picture.light, picture.dark):
        elements = list(ET.fromstring(theme).iter())  # noqa: S314
        assert not [one for one in elements if one.tag.endswith("script")]
    words = drawn(evil, PANEL).words
    assert "<script>$x$" in words
    assert "a" * 64 not in words
