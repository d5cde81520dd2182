"""The explorer's charts: Vega-Lite, made by Altair and compiled to Vega, whose data the page fills in by name.

Text and axes have the colour of the page's text, so that one chart serves light and dark. Colours of series are those
of Okabe and Ito ("Color Universal Design", 2008), which colour-blind readers tell apart on both.
"""

from __future__ import annotations

import functools
from typing import Any

import altair as alt
import vl_convert

from scripts.inference.comparison import VERDICTS

DATA = "rows"  # the name of each chart's data
_SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_VERDICTS = {"regression": "#D55E00", "improvement": "#0072B2"}
_OTHER = "#888888"
_TEXT_PX = 12
_Chart = alt.Chart | alt.LayerChart | alt.FacetChart
_HEIGHTS = {"history": 320, "changes": 300, "timeline": 170, "distribution": 240}


@functools.cache
def specifications() -> dict[str, dict[str, Any]]:
    """By name, each chart as a Vega specification."""
    charts = {
        "history": _history(),
        "changes": _changes(),
        "throughput": _timeline("requests/s", ("requests", "failures")),
        "times": _timeline("response time (ms)", ("p50", "p95")),
        "distribution": _distribution(),
    }
    return {name: vl_convert.vegalite_to_vega(_dressed(chart).to_dict()) for name, chart in charts.items()}


@functools.cache
def library() -> str:
    """Vega with Vega-Embed, as the text of one script without imports that sets `window.vegaEmbed`."""
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def _history() -> _Chart:
    """Rows: release, position, value, low, high, changed, series."""
    base = alt.Chart(alt.NamedData(DATA)).encode(
        x=alt.X(
            "release:N", sort=alt.SortField("position"), title=None, axis=alt.Axis(labelAngle=-90, labelOverlap=True)
        ),
        color=alt.Color("series:N", title=None, scale=alt.Scale(range=list(_SERIES))),
        tooltip=["release:N", "series:N", "shown:N"],
    )
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=True))
    return alt.layer(
        base.mark_rule(strokeWidth=2, opacity=0.5).encode(y=alt.Y("low:Q", title=None), y2="high:Q"),
        base.mark_line(strokeWidth=1).encode(y=y),
        base.mark_point(filled=True, opacity=1, cursor="pointer").encode(
            y=y,
            shape=alt.Shape(
                "changed:N", title=None, scale=alt.Scale(domain=["no change", "change"], range=["circle", "diamond"])
            ),
            size=alt.Size(
                "changed:N", legend=None, scale=alt.Scale(domain=["no change", "change"], range=[40, 130])
            ),
        ),
    ).properties(height=_HEIGHTS["history"])  # fmt: skip


def _changes() -> _Chart:
    """Rows: metric, series, change, low, high (percent), verdict."""
    colours = [_VERDICTS.get(verdict, _OTHER) for verdict in VERDICTS]
    base = alt.Chart(alt.NamedData(DATA)).encode(
        y=alt.Y("metric:N", sort=None, title=None, axis=alt.Axis(labelLimit=140)),
        yOffset="series:N",
        color=alt.Color("verdict:N", title=None, legend=None, scale=alt.Scale(domain=list(VERDICTS), range=colours)),
        tooltip=["metric:N", "series:N", "shown:N", "verdict:N"],
    )
    zero = alt.Chart(alt.InlineData([{}])).mark_rule(color="currentColor").encode(x=alt.datum(0))
    return alt.layer(
        zero,
        base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="change (%), with its 95 % interval"), x2="high:Q"),
        base.mark_point(filled=True, opacity=1, size=60).encode(
            x="change:Q", shape=alt.Shape("series:N", title=None, legend=alt.Legend(symbolFillColor="currentColor"))
        ),
    ).properties(height=_HEIGHTS["changes"])  # fmt: skip


def _timeline(title: str, series: tuple[str, ...]) -> _Chart:
    """Rows: second, series, value."""
    chart: alt.Chart = (
        alt.Chart(alt.NamedData(DATA))
        .mark_line(point=True)
        .encode(
            x=alt.X("second:Q", title="seconds since the start"),
            y=alt.Y("value:Q", title=title),
            color=alt.Color("series:N", title=None, scale=alt.Scale(domain=list(series), range=list(_SERIES[:2]))),
        )
        .properties(height=_HEIGHTS["timeline"])
    )
    return chart


def _distribution() -> _Chart:
    """Rows: percentile (as text), position, series, value."""
    chart: alt.Chart = (
        alt.Chart(alt.NamedData(DATA))
        .mark_line(point=True)
        .encode(
            x=alt.X("percentile:N", sort=alt.SortField("position"), title="percentile", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("value:Q", title="ms"),
            color=alt.Color("series:N", title=None, scale=alt.Scale(range=list(_SERIES[:2]))),
        )
        .properties(height=_HEIGHTS["distribution"])
    )
    return chart


def _dressed(chart: _Chart) -> _Chart:
    """As wide as its place on the page, in the page's own colours and letters."""
    sized: _Chart = chart.properties(
        width="container", autosize=alt.AutoSizeParams(type="fit-x", contains="padding"), background="transparent"
    )
    text = {"labelColor": "currentColor", "titleColor": "currentColor"}
    dressed: _Chart = (
        sized.configure(font="system-ui, sans-serif")
        .configure_axis(
            **text, labelFontSize=_TEXT_PX, titleFontSize=_TEXT_PX, domainColor="currentColor",
            tickColor="currentColor", gridColor="currentColor", gridOpacity=0.15,
        )
        .configure_legend(
            **text, orient="top", labelFontSize=_TEXT_PX, labelLimit=340, columns=1
        )
        .configure_view(stroke=None)
    )  # fmt: skip
    return dressed
