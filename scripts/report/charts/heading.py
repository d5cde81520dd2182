"""What stands above the panels of a picture: its title, its legend, and notes that need a sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.transforms import IdentityTransform

from scripts.report.charts import axis, svg
from scripts.report.charts.form import Form
from scripts.report.charts.svg import LIGHT, Look

_TITLE_LINE_PX, _LEGEND_ROW_PX, _GAP_PX = 18, 18, 8
_MARK_PX, _AREA_PX = 20, 9  # in a legend: how long a mark is, and how high an area
_WORDS_PX, _ENTRY_PX = 27, 46  # from a mark's left edge to its words, and all that an entry has beside its words

Mark = Line2D | Rectangle
"""A legend's entry, with its label: a line, a marker or both, or an area."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """It knows its height before there is a figure."""

    form: Form
    title: str
    legend: Sequence[Mark] = ()
    notes: Sequence[str] = ()

    @property
    def height_px(self) -> int:
        """Of all its parts, with what is free above and below."""
        rows = _TITLE_LINE_PX * len(self._title_lines) + self._legend_px
        return 2 * _GAP_PX + rows + svg.LINE_PX * len(self._note_lines)

    def draw(self, figure: Figure) -> None:
        """At the top, from the left edge."""
        y = self._text(figure, _GAP_PX, self._title_lines, _TITLE_LINE_PX, bold=True)
        legend(figure, self.legend, self._columns, svg.EDGE_PX, y - 1)
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
        return max(1, min(len(self.legend), int(self._room_px / _pitch_px(self.legend))))

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


def legend(figure: Figure, marks: Sequence[Mark], columns: int, left_px: float, top_px: float) -> None:
    """The marks with their words, row by row from a place given from the top left corner.

    matplotlib's own legend measures every text to find its place; in hundreds of pictures that takes seconds.
    """
    pitch_px = _pitch_px(marks)
    for number, one in enumerate(marks):
        row, column = divmod(number, columns)
        x, y = left_px + column * pitch_px, figure.bbox.height - top_px - (row + 0.5) * _LEGEND_ROW_PX
        if isinstance(one, Line2D):
            one.set_data([x, x + _MARK_PX / 2, x + _MARK_PX], [y, y, y])
            one.set_markevery([1])
        else:
            one.set_xy((x, y - _AREA_PX / 2))
        one.set_transform(IdentityTransform())
        figure.add_artist(one)
        figure.text(x + _WORDS_PX, y, str(one.get_label()), va="center_baseline", transform=IdentityTransform())


def _pitch_px(marks: Sequence[Mark]) -> float:
    """From one column of a legend to the next."""
    return _ENTRY_PX + max((svg.text_px(str(one.get_label())) for one in marks), default=0)


def mark(label: str, look: Look) -> Line2D:
    """A legend's entry that looks as what is plotted."""
    return Line2D([], [], label=label, **look)


def cut(shown: Iterable[Sequence[float]]) -> Iterator[Line2D]:
    """The legend's entry of scales that do not begin at zero, if there is one; given the values of each panel."""
    if any(axis.is_cut(values) for values in shown):
        yield mark("scale does not begin at 0", axis.CUT)


def area(label: str, look: Look | None = None) -> Rectangle:
    """A legend's entry for an area, by default a grey one."""
    return Rectangle((0, 0), _MARK_PX, _AREA_PX, label=label, **look or {"facecolor": LIGHT["area"], "linewidth": 0})
