"""A differential flame graph: the stacks of two releases in one picture, callers below what they call.

A box is a function on one way to be called. It is as wide as its mean CPU time in both releases, so nothing that is
gone or new is left out. Its colour is its difference, in percent of all CPU time: orange grew, blue shrank. After
Brendan Gregg, "Differential Flame Graphs" (2014), who gives the width of one release alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from scripts.report.charts import axis, heading, svg
from scripts.report.charts.form import WIDE, Form
from scripts.report.charts.heading import Heading
from scripts.report.charts.svg import LIGHT, Chart

CLASSES = (0.25, 1.0, 3.0)  # percent of all CPU time, up and down
_GREW, _SHRANK, _ALIKE = ("level 1", "level 3", "level 4"), ("less 1", "less 2", "less 3"), "level 0"
_STRONG = ("level 4", "less 3")  # under light text
_ROW_PX = 18
_NARROWEST = 0.002  # share of the picture's width; narrower boxes are left out
_HIGHEST = 0.02  # share of the picture's width; above the last box as wide as this, thin towers are cut
_FEWEST_LETTERS = 4
_TRUNK = 0.98  # share of all samples: boxes below the first branch that are at least as wide are left out
_NOTES = (
    "A box is a function, as wide as its CPU time in both releases together; below it is its caller.",
    "Left out: the server's start below the first branch, what is narrower than 2 px, and thin towers above the rest.",
    "Colours: how much more or less CPU time it takes, from so many percent of all CPU time on.",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """A function on one way to be called."""

    row: int  # from 0, the lowest
    left: float  # of the width, 0 to 1
    width: float
    text: str
    difference: float  # percent of all CPU time; above 0 where the second release takes more


@dataclass(kw_only=True, slots=True)
class _Node:
    before: float = 0.0
    after: float = 0.0
    callees: dict[str, _Node] = field(default_factory=dict)

    @property
    def both(self) -> float:
        return self.before + self.after


def chart(title: str, stacks: Iterable[tuple[Sequence[str], float, float]]) -> Chart:
    """`stacks`: each from the outermost caller on, with its CPU time in the first and in the second release."""
    return Chart(make=_figure, data=(title, tuple(boxes(stacks))))


def boxes(stacks: Iterable[tuple[Sequence[str], float, float]]) -> Iterator[Box]:
    """The layout, row by row from below; callees by their names, so that equal stacks lie alike."""
    root = _Node()
    for names, before, after in stacks:
        node = root
        node.before, node.after = node.before + before, node.after + after
        for name in names:
            node = node.callees.setdefault(name, _Node())
            node.before, node.after = node.before + before, node.after + after
    if root.both:
        placed = list(_placed(_branching(root).callees, 0, 0.0, root))
        highest = max((box.row for box in placed if box.width >= _HIGHEST), default=0)
        yield from (box for box in placed if box.row <= highest)


def _branching(node: _Node) -> _Node:
    """The first node with callees that share its time."""
    while node.callees:
        widest = max(node.callees.values(), key=lambda one: one.both)
        if widest.both < _TRUNK * node.both or not widest.callees:
            break
        node = widest
    return node


def _placed(callees: Mapping[str, _Node], row: int, left: float, root: _Node) -> Iterator[Box]:
    for name, node in sorted(callees.items()):
        width = node.both / root.both
        if width >= _NARROWEST:
            difference = (node.after - node.before) * 200 / root.both
            yield Box(row=row, left=round(left, 5), width=round(width, 5), text=name, difference=round(difference, 3))
            yield from _placed(node.callees, row + 1, left, root)
        left += width


def role_of(difference: float) -> str:
    """The colour's role of a difference in percent."""
    level = sum(abs(difference) >= limit for limit in CLASSES)
    return (_GREW if difference > 0 else _SHRANK)[level - 1] if level else _ALIKE


def _figure(form: Form, title: str, shown: Sequence[Box]) -> Figure:
    head = Heading(form=form, title=title, legend=_legend(), notes=_NOTES)
    rows = 1 + max((box.row for box in shown), default=0)
    figure = svg.figure(form, head.height_px + _ROW_PX * rows + svg.EDGE_PX)
    head.draw(figure)
    axes = axis.panel(figure, head.height_px, _ROW_PX * rows, left_px=svg.EDGE_PX, right_px=svg.EDGE_PX)
    axes.set_axis_off()
    width_px = form.width_px - 2 * svg.EDGE_PX
    axes.set_xlim(0, width_px)
    axes.set_ylim(0, rows)
    for box in shown:
        if box.width * width_px >= _NARROWEST * WIDE.width_px:
            _draw(axes, box, width_px)
    return figure


def _draw(axes: Axes, box: Box, width_px: float) -> None:
    role, left, width = role_of(box.difference), box.left * width_px, box.width * width_px
    axes.add_artist(
        Rectangle(
            (left, box.row), width, 1, facecolor=LIGHT[role], edgecolor=LIGHT["background"],
            linewidth=min(1.0, width / 4),
        )
    )  # fmt: skip
    letters = int((width - svg.EDGE_PX / 2) / svg.text_px("x"))
    if letters >= _FEWEST_LETTERS:
        text = box.text if len(box.text) <= letters else f"{box.text[: letters - 1]}\u2026"
        colour = LIGHT["on dark levels" if role in _STRONG else "on light levels"]
        axes.text(left + svg.EDGE_PX / 4, box.row + 0.5, text, va="center_baseline", color=colour)


def _legend() -> list[Rectangle]:
    """From what shrank to what grew, each from so many percent of all CPU time on."""
    shrank = [_area(role, f"-{limit:g} %") for role, limit in zip(_SHRANK, CLASSES, strict=True)]
    grew = [_area(role, f"+{limit:g} %") for role, limit in zip(_GREW, CLASSES, strict=True)]
    return [*reversed(shrank), _area(_ALIKE, "alike"), *grew]


def _area(role: str, label: str) -> Rectangle:
    return heading.area(label, {"facecolor": LIGHT[role], "linewidth": 0})
