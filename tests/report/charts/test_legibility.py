"""Pictures can be read at the width at which people see them, with as many releases as there may be."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import pytest

from scripts.analysis.metrics import COMPARED, COUNTED_COMPARED, METRICS
from scripts.report.charts import (
    axis,
    capacity_chart,
    counts_chart,
    forest_plot,
    heat_map,
    history_chart,
    release_points,
    soak_chart,
    svg,
    timeline,
)
from scripts.report.charts.form import COMPACT, NARROW, WIDE
from scripts.report.charts.svg import Chart
from tests.fakes import synthetic_runs
from tests.report.charts.reading import Drawn, Text
from tests.report.charts.test_forest_plot import effect

RELEASES = [f"1.{minor}.{patch}" for minor in range(15) for patch in range(3)] + ["1.15.0.post1"]


def points(base: float, growth: float) -> tuple[history_chart.Point, ...]:
    """One for each release but the first, each so many times the one before."""
    values = [(release, base * growth**place) for place, release in enumerate(RELEASES[1:])]
    return tuple(
        history_chart.Point(release=release, value=value, low=value * 0.95, high=value * 1.1)
        for release, value in values
    )


HISTORY = history_chart.chart(
    "FastApi + Flex Async Function Nodes",
    RELEASES,
    [
        history_chart.Panel(
            title="response time p99, ms, lower is better", relative=True, changes=("1.1.0",),
            points=points(base, growth),
        )
        for base, growth in ((30_000.0, 1.01), (25.0, 1.075), (258.0, 1.001), (1.4, 1.0))
    ],
    {"1.0.0": "failed"},
    {"1.1.0": "FastAPI engine; workers and threads can be set", "1.9.0": "inputs and outputs are logged by default"},
    bars="estimate with its 95 % interval",
    jumps=RELEASES[::3],
)  # fmt: skip
REPORTED = history_chart.chart(
    "Flask + Sync Function Nodes, profile report-8-threads",
    RELEASES[:21],
    [
        history_chart.Panel(
            title="ceiling use, ratio", published=("1.1.0", 1.1), limit=1.0,
            points=tuple(
                history_chart.Point(release=release, value=0.98, low=0.98, high=0.98, counts=release < "1.3")
                for release in RELEASES[:21]
            ),
        )
    ],
    {},
    {},
    bars="median, bar from lowest to highest run",
)  # fmt: skip


def counts(level: float) -> Chart:
    """Counts at so many percent of the first release, and CPU time as it was."""
    series = [
        counts_chart.Series(
            name=name,
            points=tuple(release_points.Point(release=one, value=at, low=at - 5, high=at + 5) for one in RELEASES),
        )
        for name, at in (("instructions per request", level), ("CPU per request", 100.0))
    ]
    title = "FastApi + Flex Async Function Nodes: work and time of a request, in percent of 1.10.0"
    return counts_chart.chart(title, RELEASES, series)


HEAT_MAP = heat_map.chart(
    "How much worse each release is than the best one (%)",
    RELEASES[-20:],
    [
        heat_map.Panel(
            title=title,
            columns=tuple(
                heat_map.Column(
                    metric=metric,
                    cells=tuple(
                        heat_map.Cell(release=one, worse=798.0, changed=1, is_worst=True) for one in RELEASES[-20:]
                    ),
                )
                for metric in ("overhead p50", "overhead p99", "CPU per request", "memory end", "ready", "first answer")
            ),
            unsupported=tuple(unsupported),
        )
        for title, unsupported in (
            ("FastApi + Async Function Nodes", RELEASES[-20:-15]),
            ("FastApi + Flex Async Function Nodes", RELEASES[-20:-15]),
            ("Flask + Sync Function Nodes", []),
        )
    ],
)
TIMELINE = timeline.chart(
    "FastApi + Flex Async Function Nodes · promptflow 1.15.0.post1 · report-8-threads",
    synthetic_runs.timeline(), 1250.0, 9.4,
)  # fmt: skip
FOREST_PLOT, COUNTED_PLOT = (
    forest_plot.chart(
        "fastapi flex_async: 1.18.5+1a2b3c4d.asof.20250124 against 1.12.0+asof.20250124",
        [effect(metric, 934.8, verdict="regression") for metric in metrics],
    )
    for metrics in (COMPARED, COUNTED_COMPARED)
)
CAPACITY = capacity_chart.chart(
    "The highest throughput that meets the objective, requests/s, higher is better",
    RELEASES[-19:],
    [
        capacity_chart.Panel(
            title=title,
            points=tuple(
                capacity_chart.Point(
                    release=one, value=157.6, low=150.0, high=160.0, is_ceiling=bool(place % 2), conditions="2 x 1"
                )
                for place, one in enumerate(RELEASES[-14:])
            ),
            absent={},
            unsupported=tuple(RELEASES[-19:-14]),
        )
        for title in ("FastApi + Async Function Nodes", "FastApi + Flex Async Function Nodes")
    ],
)
SOAKS = soak_chart.chart(
    "Memory over the requests served (MiB, lower is better)",
    [
        soak_chart.Panel(
            title=release, about="fastapi static_async", points=tuple((n * 2.0, 300 + n / 10) for n in range(100)),
            steady_from=30.0, whole=((30.0, 301.5), (198.0, 309.9)), later=((100.0, 305.0), (198.0, 309.9)),
        )
        for release in (*RELEASES[-4:], "1.18.5", "1.12.0")
    ],
)  # fmt: skip
CHARTS: dict[str, Chart] = {
    "history": HISTORY, "releases": REPORTED, "counts": counts(40.0), "capacity": CAPACITY, "heat map": HEAT_MAP,
    "timeline": TIMELINE, "forest plot": FOREST_PLOT, "counted plot": COUNTED_PLOT, "soaks": SOAKS,
}  # fmt: skip
VERDICTS = ["regression", "improvement", "within threshold", "inconclusive", "threshold"]
LEGENDS = {
    "history": [
        "estimate with its 95 % interval", "changed beyond noise and threshold", "another major version of a package",
        "promptflow changed, see below", "cannot serve the flow", "scale does not begin at 0",
    ],
    "releases": [
        "median, bar from lowest to highest run", "not to be ranked", "published figure", "highest possible",
        "scale does not begin at 0",
    ],
    "counts": ["instructions per request, lower is better", "CPU per request, lower is better"],
    "capacity": ["capacity, lowest to highest run", "at least", "does not serve it"],
    "heat map": ["below 2", "2 to 5", "5 to 10", "10 to 25", "25 to 50", "from 50", "not served"],
    "timeline": ["all requests", "failures", "p50", "p95", "ideal time", "steady state from here"],
    "soaks": [
        "memory of all server processes", "trend", "trend of the second half", "steady state from here",
        "scale does not begin at 0",
    ],
    "forest plot": VERDICTS,
    "counted plot": VERDICTS,
}  # fmt: skip
PANELS = {
    "history": 4, "releases": 1, "counts": 1, "capacity": 2, "timeline": 3, "forest plot": 1, "counted plot": 1,
    "soaks": 6,
}  # fmt: skip
DRAWN = ["history", "history-narrow", "releases", "releases-narrow", "counts", "counts-narrow", "capacity",
         "capacity-narrow", "heat map", "heat map-narrow", "timeline", "forest plot", "counted plot",
         "soaks", "soaks-narrow"]  # fmt: skip


@functools.cache
def drawn(name: str) -> Drawn:
    """The picture, as it is read."""
    wide = {name: chart for name, chart in CHARTS.items() if chart.form == WIDE}
    chart = (CHARTS | svg.with_narrow(wide))[name]
    assert isinstance(chart, Chart)
    return Drawn(svg.draw(chart).light)


def kind(name: str) -> str:
    """The chart without its form."""
    return name.removesuffix("-narrow")


def crossing(texts: Sequence[Text]) -> list[tuple[str, str]]:
    """Pairs of texts that cover each other."""
    boxes = [(text.words, text.box) for text in texts]
    return [(a, b) for (a, one), (b, other) in itertools.combinations(boxes, 2) if one.intersects_path(other)]


@pytest.mark.parametrize("name", DRAWN)
def test_text_is_large_enough(name: str) -> None:
    """No text is below 12 px where 900 px are shown, nor below 11 px where a narrow page shows 400."""
    picture = drawn(name)
    shown_px, smallest_px = (900, 12) if picture.width == WIDE.width_px else (400, 11)
    assert min(text.size for text in picture.texts) * shown_px / picture.width >= smallest_px


def test_one_form_is_enough_where_it_suits_narrow_pages() -> None:
    """A picture has a narrow form, or is itself as narrow."""
    assert {chart.form for chart in CHARTS.values()} == {WIDE, COMPACT}
    assert COMPACT.width_px == NARROW.width_px < WIDE.width_px


@pytest.mark.parametrize("name", DRAWN)
def test_no_text_is_cut_or_covers_another(name: str) -> None:
    """All letters lie inside the picture, and no two texts touch, turned or not."""
    picture = drawn(name)
    ends = [(text.words, text.box.get_extents()) for text in picture.texts]
    cut = [
        words for words, box in ends if box.x0 < 0 or box.y0 < 0 or box.x1 > picture.width or box.y1 > picture.height
    ]
    assert cut == []
    assert crossing(picture.texts) == []


@pytest.mark.parametrize("name", DRAWN)
def test_legend_is_in_the_picture(name: str) -> None:
    """What a mark means stands beside one; in a heat map it stands on its colour."""
    picture = drawn(name)
    marks = list(picture.marks())
    for label in LEGENDS[kind(name)]:
        (text,) = [one for one in picture.texts if one.words == label]
        before, after = (48, 48) if text.anchor == "middle" else (40, 0)
        near = [
            box for box in marks
            if box.top - 2 <= text.y <= box.bottom + 12 and text.x - before <= box.left <= box.right <= text.x + after
        ]  # fmt: skip
        assert near, label


@pytest.mark.parametrize("name", [name for name in DRAWN if kind(name) in PANELS])
def test_every_panel_has_ticks_with_labels(name: str) -> None:
    """Each panel has two labels at least at its left and two below it."""
    picture = drawn(name)
    assert len(picture.panels) == PANELS[kind(name)]
    for panel in picture.panels:
        left = [
            text for text in picture.texts
            if text.anchor == "end" and panel.left - 12 < text.x < panel.left and panel.top < text.y < panel.bottom + 8
        ]  # fmt: skip
        below = [
            text for text in picture.texts
            if panel.left - 2 <= text.x <= panel.right + 8 and panel.bottom < text.y < panel.bottom + 84
        ]  # fmt: skip
        assert min(len(left), len(below)) >= 2


@pytest.mark.parametrize("name", [name for name in DRAWN if kind(name) in PANELS])
def test_every_panel_has_its_edges_where_it_ends(name: str) -> None:
    """A line at its left and one below it, whatever its scales show."""
    picture = drawn(name)
    edges = [(one.left, one.top, one.right, one.bottom) for one in picture.lines("edge")]
    for panel in picture.panels:
        assert pytest.approx((panel.left, panel.top, panel.left, panel.bottom), abs=0.2) in edges
        assert pytest.approx((panel.left, panel.bottom, panel.right, panel.bottom), abs=0.2) in edges


@pytest.mark.parametrize("name", ["history", "history-narrow", "counts", "counts-narrow"])
def test_changes_have_a_scale_of_their_own(name: str) -> None:
    """Each panel of figures that are relative to one release has percents at its right, 0 % among them."""
    picture = drawn(name)
    for panel in picture.panels:
        right = [
            text.words for text in picture.texts
            if panel.right < text.x < panel.right + 12 and panel.top - 8 < text.y < panel.bottom + 8
        ]  # fmt: skip
        assert len(right) >= 2
        assert "0 %" in right


@pytest.mark.parametrize("name", ["history", "history-narrow"])
def test_the_newest_release_is_named_below_every_panel(name: str) -> None:
    """Where not all names have room, the last one has."""
    assert drawn(name).words.count(RELEASES[-1]) == PANELS["history"]


def test_narrow_heat_map_has_a_band_for_each_scenario() -> None:
    """Every metric and every release that serves a scenario is named in each; wide, the releases are named once."""
    wide, narrow = (drawn(name).words for name in ("heat map", "heat map-narrow"))
    assert (wide.count(RELEASES[-1]), narrow.count(RELEASES[-1])) == (1, 3)
    assert (wide.count(RELEASES[-20]), narrow.count(RELEASES[-20])) == (1, 1)
    assert wide.count("overhead p50") == narrow.count("overhead p50") == 3


@pytest.mark.parametrize(
    ("values", "cut"),
    [
        ([10.0, 15.0], True),
        ([1.0, 15.0], False),
        ([], False),
        ([0.0, 0.0], False),
        ([-3.0, -2.0], False),
        ([7.0], True),
    ],
)
def test_scale_begins_at_zero_or_is_marked(values: list[float], *, cut: bool) -> None:
    """It is cut only where all values lie far from zero, and then has a mark; else zero is on it."""
    axes = axis.panel(svg.figure(NARROW, 200), 20, 100)
    axis.scale(axes, values)
    low, high = axes.get_ylim()
    assert axis.is_cut(values) == cut
    assert (low > 0) == cut
    assert cut or low <= 0 <= high
    assert any(line.get_marker() == axis.CUT["marker"] for line in axes.lines) == cut


@pytest.mark.parametrize(("level", "cut"), [(40.0, False), (80.0, True)])
def test_a_cut_scale_is_explained(level: float, *, cut: bool) -> None:
    """The legend has the mark of a cut scale where the picture has one, and only there."""
    words = Drawn(svg.draw(counts(level)).light).words
    assert ("scale does not begin at 0" in words) == cut


def test_units_and_good_directions_stand_beside_the_names() -> None:
    """A panel's title names both, where a metric has them."""
    titles = {metric.name: history_chart.panel_title(metric) for metric in METRICS}
    assert titles["overhead_p50_ms"] == "overhead p50, ms, lower is better"
    assert titles["throughput_rps"] == "throughput, rps, higher is better"
    assert titles["ceiling_use"] == "ceiling use, ratio"
