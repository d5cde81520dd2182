"""One figure a scenario: its metrics from release to release, with intervals, steps, holes and what else changed.

Pure; imports `canvas` only. Releases stand in version order, each at its place, also where there is no figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.report import canvas
from scripts.report.canvas import LIGHT, Picture

_PANEL_PX, _HEAD_PX, _FOOT_PX = 132, 64, 84


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One release in a panel."""

    release: str
    value: float  # in the panel's unit
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One metric."""

    title: str
    unit: str
    points: tuple[Point, ...]
    steps: frozenset[str]  # releases at which it stepped


def draw(
    title: str, releases: Sequence[str], panels: Sequence[Panel], holes: Mapping[str, str], notes: Mapping[str, str]
) -> Picture:
    """Draw the panels under each other. `holes`: typed words, `notes`: what changed besides, both by release."""
    return canvas.draw(lambda: _figure(title, releases, panels, holes, notes))


def _figure(
    title: str, releases: Sequence[str], panels: Sequence[Panel], holes: Mapping[str, str], notes: Mapping[str, str]
) -> Figure:
    height_px = _HEAD_PX + _PANEL_PX * len(panels) + _FOOT_PX
    figure = canvas.figure(height_px)
    figure.suptitle(title, x=0.075, y=1 - 10 / height_px, ha="left", va="top", fontsize=13, fontweight="bold")
    all_axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(
        left=0.075, right=0.985, top=1 - _HEAD_PX / height_px, bottom=_FOOT_PX / height_px, hspace=0.36
    )
    places = {release: place for place, release in enumerate(releases)}
    for axes, panel in zip(all_axes, panels, strict=True):
        _panel(axes, panel, places, holes, notes)
    last = all_axes[-1]
    last.set_xticks(range(len(releases)), list(releases), rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    last.set_xlim(-0.7, len(releases) - 0.3)
    for number, (release, text) in enumerate((one for one in notes.items() if one[0] in places), 1):
        all_axes[0].annotate(
            f"{number}", (places[release], 1.02), xycoords=("data", "axes fraction"), ha="center", fontsize=8.5
        )
        figure.text(0.075 + 0.305 * ((number - 1) % 3), 1 - (34 + 12 * ((number - 1) // 3)) / height_px,
                    f"{number}  {release}: {text}", fontsize=8, va="top")  # fmt: skip
    return figure


def _panel(
    axes: Axes, panel: Panel, places: Mapping[str, int], holes: Mapping[str, str], notes: Mapping[str, str]
) -> None:
    for release in notes:
        if release in places:
            axes.axvline(places[release] - 0.5, color=LIGHT["edge"], linewidth=0.8, linestyle=(0, (1, 2)))
    for release in holes:
        axes.axvspan(places[release] - 0.5, places[release] + 0.5, color=LIGHT["grid"], linewidth=0)
    at = [places[point.release] for point in panel.points]
    values = [point.value for point in panel.points]
    axes.plot(at, values, color=LIGHT["first"], linewidth=1)
    axes.errorbar(
        at, values, fmt="o", markersize=4, color=LIGHT["first"], elinewidth=1.2,
        yerr=[
            [point.value - point.low for point in panel.points], [point.high - point.value for point in panel.points]
        ],
    )  # fmt: skip
    stepped = [point for point in panel.points if point.release in panel.steps]
    axes.plot(
        [places[point.release] for point in stepped], [point.value for point in stepped],
        linestyle="", marker="D", markersize=8, color=LIGHT["second"],
    )  # fmt: skip
    axes.set_title(panel.title, loc="left", fontsize=10, y=1.0)
    axes.set_ylabel(panel.unit)
    axes.yaxis.set_label_coords(-0.055, 0.5)
    axes.locator_params(axis="y", nbins=4)
    axes.tick_params(length=3)
