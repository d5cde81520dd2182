"""Reads a drawn picture as people see it: its texts with their sizes and places, its panels, its marks."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import text_to_path
from matplotlib.transforms import Affine2D

from scripts.report.charts.svg import LIGHT

_SVG = "{http://www.w3.org/2000/svg}"
_RULE = re.compile(r"^\.(c\d+){(.*)}$", re.MULTILINE)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_ASCENT, _DESCENT = 0.74, 0.2  # of the size of a letter, above and below its line


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """One line, in pixels of the picture as it is drawn."""

    words: str
    size: float
    x: float  # of the anchor
    y: float
    anchor: str
    turn: float  # degrees
    bold: bool

    @property
    def box(self) -> Path:
        """What the letters cover, in a font that is as wide as any."""
        font = FontProperties(family="DejaVu Sans", size=self.size, weight="bold" if self.bold else "normal")
        width, _, _ = text_to_path.get_text_width_height_descent(self.words, font, ismath=False)
        left = self.x - width * {"start": 0, "middle": 0.5, "end": 1}[self.anchor]
        top, bottom = (
            self.y - _ASCENT * self.size,
            self.y + _DESCENT * self.size * bool(set(self.words) & set("gjpqy,;")),
        )
        corners = [(left, top), (left + width, top), (left + width, bottom), (left, bottom), (left, top)]
        return Path(Affine2D().rotate_deg_around(self.x, self.y, self.turn).transform(corners))


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """An area of the picture."""

    left: float
    top: float
    right: float
    bottom: float


class Drawn:
    """A picture in the light theme."""

    def __init__(self, picture: bytes) -> None:
        self._root = ET.fromstring(picture)  # noqa: S314
        self._rules = dict(_RULE.findall(picture.decode()))
        _, _, self.width, self.height = (float(number) for number in self._root.attrib["viewBox"].split())

    @property
    def texts(self) -> list[Text]:
        """All of them; a text that is scaled or drawn as curves cannot be judged, and is an error."""
        assert not [one for one in self._root.iter() if "DejaVu" in one.get("id", "")], "letters drawn as curves"
        assert not [one for one in self._root.iter() if re.search("scale|matrix", one.get("transform", ""))]
        return [self._text(one) for one in self._root.iter(f"{_SVG}text")]

    @property
    def words(self) -> list[str]:
        """What stands in it."""
        return [text.words for text in self.texts]

    @property
    def panels(self) -> list[Box]:
        """Areas with the colour of the background, but for the whole."""
        whole = Box(left=0, top=0, right=self.width, bottom=self.height)
        return [box for box in self.areas("background") if box != whole]

    def areas(self, role: str) -> list[Box]:
        """Those with the colour of a role."""
        return [box for style, box in self._paths() if f"fill: {LIGHT[role]}" in style]

    def lines(self, role: str) -> list[Box]:
        """Those that are drawn in the colour of a role."""
        return [box for style, box in self._paths() if f"stroke: {LIGHT[role]}" in style]

    def marks(self) -> Iterator[Box]:
        """Lines, areas and markers."""
        yield from (box for _, box in self._paths())
        for one in self._root.iter(f"{_SVG}use"):
            x, y = float(one.get("x", 0)), float(one.get("y", 0))
            yield Box(left=x, top=y, right=x, bottom=y)

    def _paths(self) -> Iterator[tuple[str, Box]]:
        """Each with its style."""
        for one in self._root.iter(f"{_SVG}path"):
            numbers = [float(number) for number in _NUMBER.findall(one.get("d", ""))]
            xs, ys = numbers[::2], numbers[1::2]
            box = Box(left=min(xs), top=min(ys), right=max(xs), bottom=max(ys))
            yield self._rules.get(one.get("class", ""), ""), box

    def _text(self, one: ET.Element) -> Text:
        style = dict(part.split(": ") for part in self._rules[one.attrib["class"]].split("; "))
        turned = re.match(r"rotate\((-?[\d.]+) ", one.get("transform", ""))
        return Text(
            words="".join(one.itertext()), size=float(style["font-size"].removesuffix("px")),
            x=float(one.attrib["x"]), y=float(one.attrib["y"]), anchor=style["text-anchor"],
            turn=float(turned[1]) if turned else 0.0, bold=style.get("font-weight") == "700",
        )  # fmt: skip
