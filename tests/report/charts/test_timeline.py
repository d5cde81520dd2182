"""Charts as SVG."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.report.charts import svg, timeline
from tests.fakes import synthetic_runs
from tests.report.charts.reading import Drawn


def texts(picture: bytes) -> list[str]:
    """All words in a picture."""
    return Drawn(picture).words


@pytest.fixture(scope="module")
def picture() -> svg.Picture:
    """The chart of an ordinary run."""
    return svg.draw(timeline.chart("A title", synthetic_runs.timeline(), 1250.0, 9.4))


def test_same_timeline_gives_the_same_bytes(picture: svg.Picture) -> None:
    """Drawing again gives the same bytes, in both themes."""
    assert svg.draw(timeline.chart("A title", synthetic_runs.timeline(), 1250.0, 9.4)) == picture


def test_panels_are_named_with_their_units(picture: svg.Picture) -> None:
    """Title, panels, axes, units and series can all be read as text."""
    expected = {
        "A title", "Throughput, requests/s, higher is better", "all requests", "failures",
        "Response time of successes, ms, lower is better", "p50", "p95", "ideal time", "Users",
        "seconds since the start", "steady state from here",
    }  # fmt: skip
    assert expected <= set(texts(picture.light))


def test_themes_differ_in_colours_only(picture: svg.Picture) -> None:
    """The dark picture has the same words, none of the light theme's colours, and each as the dark theme has it."""
    assert texts(picture.dark) == texts(picture.light)
    dark = picture.dark.decode()
    assert [role for role, colour in svg.LIGHT.items() if colour in dark] == []
    light = picture.light.decode()
    used = [role for role, colour in svg.LIGHT.items() if colour in light]
    assert used
    assert [role for role in used if svg.DARK[role] not in dark] == []


def test_unknown_ideal_time_and_ramp_are_not_drawn() -> None:
    """Without a declared ideal time and without a steady state there is no line for either."""
    words = texts(svg.draw(timeline.chart("A title", synthetic_runs.timeline(), None, None)).light)
    assert not {"ideal time", "steady state from here"} & set(words)


def test_gaps_and_nothing_at_all_can_be_drawn() -> None:
    """A lone success between gaps gets a marker; an empty timeline is still a picture."""
    rows = [dataclasses.replace(row, p50_ms=None, p95_ms=None) for row in synthetic_runs.timeline()]
    alone = [*rows[:30], dataclasses.replace(rows[30], p50_ms=1260.0, p95_ms=1300.0), *rows[31:]]
    none, one = (
        svg.draw(timeline.chart("A title", found, 1250.0, 9.4)).light.count(b"<use") for found in (rows, alone)
    )
    assert one > none
    assert "Users" in texts(svg.draw(timeline.chart("A title", [], None, None)).light)


def test_picture_is_small_and_names_no_date(picture: svg.Picture) -> None:
    """A picture fits a repository: under 40 kB, and nothing in it changes with time."""
    assert len(picture.light) < 40_000
    assert b"<dc:date>" not in picture.light
