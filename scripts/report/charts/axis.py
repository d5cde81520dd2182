"""What all panels share: their place in pixels, where a scale begins, and ticks with their labels on three sides.

matplotlib's own ticks take more time than all the rest of a picture; `collate` draws hundreds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import TICKDOWN, TICKLEFT, TICKRIGHT
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation, Transform

from scripts.report.charts.svg import LIGHT, Look

LEFT_PX = 52  # for the labels of a scale
RELEASES_PX = 84  # for the names of releases below a panel
TICKS_PX, LABEL_PX = 22, 18  # for the labels of a scale below a panel, and for what they are
_RIGHT_PX, _RIGHT_SCALE_PX = 14, 62
_TICK_PX, _PAD_PX = 3, 6  # of a tick, and from the panel to its label
_SMALLEST_SPAN = 0.1  # of the middle value: a shorter axis makes noise look like change
_CUT_BELOW = 2.0  # times the lowest value: a scale that reaches no higher does not begin at zero
_MOST_TICKS = 4
_STEPS, _PERCENT_STEPS = (1, 2, 2.5, 5, 10), (1, 2, 5, 10)  # between ticks
_NAME_PX, _UPRIGHT_NAME_PX = 18, 13  # between two names of releases, slanted and upright
_SLANTED: Look = {"rotation": 60, "rotation_mode": "anchor", "ha": "right"}
_UPRIGHT: Look = {"rotation": 90, "rotation_mode": "anchor", "ha": "right", "va": "center"}
_Side = Literal["left", "right", "below"]
_TICKS: dict[_Side, tuple[int, tuple[int, int], Look]] = {  # marker, way to the label, and how that is aligned
    "left": (TICKLEFT, (-1, 0), {"ha": "right", "va": "center"}),
    "right": (TICKRIGHT, (1, 0), {"ha": "left", "va": "center"}),
    "below": (TICKDOWN, (0, -1), {"ha": "center", "va": "top"}),
}
_GRID: Look = {"color": LIGHT["grid"], "linewidth": 0.8, "zorder": 0.5}
CUT: Look = {
    "color": LIGHT["text"], "marker": [(-1, -0.5), (1, 0.5)], "markersize": 9, "markeredgewidth": 1.2, "linestyle": "",
}  # fmt: skip
"""A stroke through a scale that does not begin at zero."""


class _NoTicks:
    """An axis makes two ticks, each with two labels, in both of these, before it can be told to show none."""

    def set_clip_path(self, *_: object, **__: object) -> None:
        """Nothing of it is drawn."""

    def set_tick_params(self, *_: object, **__: object) -> None:
        """There are no ticks to tell."""


class _X(_NoTicks, XAxis):
    pass


class _Y(_NoTicks, YAxis):
    pass


class _Panel(Axes):
    """Axes whose ticks and grid are drawn by this module."""

    def _init_axis(self) -> None:
        """As in matplotlib's own example of a projection."""
        self.xaxis, self.yaxis = _X(self, clear=False), _Y(self, clear=False)
        self.xaxis.set_visible(False)
        self.yaxis.set_visible(False)


def panel(
    figure: Figure, top_px: float, height_px: float, *, left_px: float = LEFT_PX, right_px: float = _RIGHT_PX
) -> Axes:
    """An empty panel, its place given from the top and both edges."""
    width, height = figure.bbox.width, figure.bbox.height
    place = (left_px / width, 1 - (top_px + height_px) / height)
    size = ((width - left_px - right_px) / width, height_px / height)
    axes = figure.add_axes((*place, *size), axes_class=_Panel)
    for edge in axes.spines.values():
        edge.set_position(("outward", 0))  # where it belongs; ticks, which these axes have not, would have seen to it
    return axes


def right_px(*, with_scale: bool) -> int:
    """What a panel leaves free at the right."""
    return _RIGHT_SCALE_PX if with_scale else _RIGHT_PX


def is_cut(values: Sequence[float]) -> bool:
    """Whether a scale that shows these values does not begin at zero."""
    return bool(values) and 0 < max(values) < _CUT_BELOW * min(values)


def scale(axes: Axes, values: Sequence[float], unit: str = "") -> None:
    """Begin at zero where that hides nothing; else cut the scale, with a mark, and show no span that only magnifies."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if is_cut(values):
        middle, span = (low + high) / 2, max((high - low) * 1.2, _SMALLEST_SPAN * (low + high) / 2)
        axes.set_ylim(middle - span / 2, middle + span / 2)
        _stroke(axes, [0, 0], [0.04, 0.09], axes.transAxes, {"clip_on": False, **CUT})
    else:
        room = (max(high, 0.0) - min(low, 0.0)) * 0.1 or 1.0
        axes.set_ylim(low - room if low < 0 else 0, max(high, 0.0) + room)
    ticks = _between(*axes.get_ylim(), _STEPS, integer=all(value == round(value) for value in values))
    _stroke(axes, *_grid(ticks), axes.get_yaxis_transform(), _GRID)
    _ticks(axes, "left", ticks, [f"{number}{unit}" for number in _numbers(ticks)])


def percent_scale(axes: Axes, reference: float) -> None:
    """At the right: the change against a reference above 0, for the scale at the left."""
    low, high = ((end / reference - 1) * 100 for end in axes.get_ylim())
    changes = _between(low, high, _PERCENT_STEPS)
    texts = [f"{change:+.0f} %" if change else "0 %" for change in changes]
    axes.spines["right"].set_visible(True)
    _ticks(axes, "right", [reference * (1 + change / 100) for change in changes], texts)


def along(axes: Axes, low: float, high: float, label: str, *, grid: bool = False) -> None:
    """A scale below."""
    axes.set_xlim(low, high)
    ticks = _between(low, high, _STEPS)
    if grid:
        up, at = _grid(ticks)
        _stroke(axes, at, up, axes.get_xaxis_transform(), _GRID)
    _ticks(axes, "below", ticks, _numbers(ticks))
    if label:
        shift = ScaledTranslation(0, -TICKS_PX / axes.figure.dpi, axes.figure.dpi_scale_trans)
        axes.figure.text(0.5, 0, label, transform=axes.transAxes + shift, ha="center", va="top")


def rows(axes: Axes, names: Sequence[str]) -> None:
    """A place for each name, from the top."""
    axes.set_ylim(max(1, len(names)) - 0.4, -0.6)
    _ticks(axes, "left", range(len(names)), names)


def places(axes: Axes, releases: Sequence[str]) -> None:
    """A place for each release from the left, and as many names as have room, the last one among them."""
    last = len(releases) - 1
    axes.set_xlim(-0.7, last + 0.7)
    pitch_px = axes.bbox.width / (len(releases) + 0.4)
    slanted = pitch_px >= _NAME_PX
    every = 1 if slanted else math.ceil(_UPRIGHT_NAME_PX / pitch_px)
    names = [name if (last - place) % every == 0 else "" for place, name in enumerate(releases)]
    _ticks(axes, "below", range(len(names)), names, _SLANTED if slanted else _UPRIGHT)


def _between(low: float, high: float, steps: Sequence[float], *, integer: bool = False) -> list[float]:
    ticks = MaxNLocator(_MOST_TICKS, steps=steps, integer=integer).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high]


def _grid(ticks: Sequence[float]) -> tuple[list[float], list[float]]:
    """A line across the panel at each tick, all as one with gaps."""
    return [0.0, 1.0, math.nan] * len(ticks), [end for tick in ticks for end in (tick, tick, math.nan)]


def _numbers(ticks: Sequence[float]) -> list[str]:
    """With as many decimals as the longest needs."""
    decimals = max((len(f"{tick:.6f}".rstrip("0").partition(".")[2]) for tick in ticks), default=0)
    return [f"{tick:.{decimals}f}" for tick in ticks]


def _ticks(axes: Axes, side: _Side, at: Iterable[float], texts: Sequence[str], turned: Look | None = None) -> None:
    """Strokes at the edge of the panel, and their labels outside; no label for an empty text."""
    marker, (right, up), aligned = _TICKS[side]
    edge, stretched = float(side == "right"), axes.get_xaxis_transform if side == "below" else axes.get_yaxis_transform
    points = [(one, edge) if side == "below" else (edge, one) for one in at]
    look: Look = {"color": LIGHT["edge"], "linestyle": "", "marker": marker, "markersize": _TICK_PX, "clip_on": False}
    _stroke(axes, [x for x, _ in points], [y for _, y in points], stretched(), {"markeredgewidth": 0.8, **look})
    dpi = axes.figure.dpi
    shift = ScaledTranslation(right * _PAD_PX / dpi, up * _PAD_PX / dpi, axes.figure.dpi_scale_trans)
    for (x, y), text in zip(points, texts, strict=True):
        if text:
            axes.figure.text(x, y, text, transform=stretched() + shift, **aligned | (turned or {}))


def _stroke(axes: Axes, x: Sequence[float], y: Sequence[float], transform: Transform, look: Look) -> None:
    """What is no data, and so need not be looked at for the limits of the panel."""
    axes.add_artist(Line2D(x, y, transform=transform, **look))
