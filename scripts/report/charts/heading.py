"""What stands above the panels of a picture: its title, its legend, and notes that need a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from scripts.report.charts import axis, svg
from scripts.report.charts.form import Form
from scripts.report.charts.svg import LIGHT, Look

_TITLE_LINE_PX, _LEGEND_ROW_PX, _GAP_PX = 18, 18, 8
_HANDLE_PX = 46  # of a legend's entry beside its words: the mark, and what is free on both sides


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """It knows its height before there is a figure."""

    form: Form
    title: str
    legend: Sequence[Line2D | Patch] = ()  # the marks, each with its label
    notes: Sequence[str] = ()

    @property
    def height_px(self) -> int:
        """Of all its parts, with what is free above and below."""
        rows = _TITLE_LINE_PX * len(self._title_lines) + self._legend_px
        return 2 * _GAP_PX + rows + svg.LINE_PX * len(self._note_lines)

    def draw(self, figure: Figure) -> None:
        """At the top, from the left edge."""
        y = self._text(figure, _GAP_PX, self._title_lines, _TITLE_LINE_PX, bold=True)
        if self.legend:
            figure.legend(
                handles=list(self.legend), ncols=self._columns, loc="upper left", borderaxespad=0, borderpad=0,
                bbox_to_anchor=(svg.EDGE_PX / figure.bbox.width, 1 - (y + 2) / figure.bbox.height), handlelength=1.6,
                columnspacing=1.5,
            )  # fmt: skip
        self._text(figure, y + self._legend_px, self._note_lines, svg.LINE_PX)

    @property
    def _room_px(self) -> int:
        return self.form.width_px - 2 * svg.EDGE_PX

    @property
    def _title_lines(self) -> list[str]:
        return svg.lines(self.title, self._room_px, bold=True)

    @property
    def _note_lines(self) -> list[str]:
        return [line for note in self.notes for line in svg.lines(note, self._room_px)]

    @property
    def _columns(self) -> int:
        widest = max((svg.text_px(str(one.get_label())) for one in self.legend), default=0)
        return max(1, min(len(self.legend), int(self._room_px / (_HANDLE_PX + widest))))

    @property
    def _legend_px(self) -> int:
        return _LEGEND_ROW_PX * math.ceil(len(self.legend) / self._columns) + 4 if self.legend else 0

    def _text(self, figure: Figure, y: float, lines: Sequence[str], line_px: int, *, bold: bool = False) -> float:
        """Give the place below."""
        for line in lines:
            figure.text(
                svg.EDGE_PX / figure.bbox.width, 1 - y / figure.bbox.height, line, va="top",
                fontsize=svg.TITLE_PX if bold else svg.TEXT_PX, fontweight="bold" if bold else "normal",
            )  # fmt: skip
            y += line_px
        return y


def mark(label: str, look: Look) -> Line2D:
    """A legend's entry that looks as what is plotted."""
    return Line2D([], [], label=label, **look)


def cut(shown: Iterable[Sequence[float]]) -> Iterator[Line2D]:
    """The legend's entry of scales that do not begin at zero, if there is one; given the values of each panel."""
    if any(axis.is_cut(values) for values in shown):
        yield mark("scale does not begin at 0", axis.CUT)


def area(label: str) -> Patch:
    """A legend's entry for a grey area."""
    return Patch(facecolor=LIGHT["area"], linewidth=0, label=label)
