"""What all pictures share: size, colours of both themes, and how a figure becomes the bytes of an SVG.

Drawn once with the colours of the light theme, from which the dark one is made by replacing colours, because drawing
is what costs. Pure: same figure, same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

WIDTH_PX = 900  # of a picture on a page
_POINTS_PER_INCH = 72

# Roles and their colours. Series: Okabe and Ito's palette, which colour-blind readers can tell apart; the
# dark theme takes its lighter members. No value may occur twice in a theme.
LIGHT = {
    "text": "#1f2328", "background": "#ffffff", "grid": "#d8dee4", "edge": "#8c959f",
    "first": "#0072b2", "second": "#d55e00", "users": "#009e73",
}  # fmt: skip
DARK = {
    "text": "#e6edf3", "background": "#0d1117", "grid": "#30363d", "edge": "#6e7681",
    "first": "#56b4e9", "second": "#e69f00", "users": "#2fc49a",
}  # fmt: skip
_TAG = re.compile(r"<[^>]*>")
_LONG = re.compile(r"(\d\.\d\d)\d+")  # a hundredth of a pixel is enough
_INDENT = re.compile(r"(?<=>)\s*\n\s*(?=<)")
_WRAPPED = re.compile(r"<g>\n(<(?!g\b|/)[^\n]*>)\n</g>")
_BREAK = re.compile(r"\s*\n\s*")
_UNTURNED = re.compile(r' transform="rotate\(-0 [^"]*\)"')
_NAME = re.compile(r' id="([\w.-]+)"')
_NAMED = re.compile(r"#([\w.-]+)")
_LOOK = re.compile(r' style="([^"]*)"')
_STYLE: Any = {  # matplotlib's types want every key spelt out
    "svg.hashsalt": "promptflow-serve-bench",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": LIGHT["text"],
    "axes.labelcolor": LIGHT["text"],
    "axes.edgecolor": LIGHT["edge"],
    "axes.facecolor": LIGHT["background"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": LIGHT["grid"],
    "xtick.color": LIGHT["edge"],
    "ytick.color": LIGHT["edge"],
    "xtick.labelcolor": LIGHT["text"],
    "ytick.labelcolor": LIGHT["text"],
    "figure.facecolor": LIGHT["background"],
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A chart in both themes."""

    light: bytes
    dark: bytes


def figure(height_px: int) -> Figure:
    """An empty figure at the width of a page; 72 points an inch, so that a point is a pixel."""
    size = (WIDTH_PX / _POINTS_PER_INCH, height_px / _POINTS_PER_INCH)
    return Figure(figsize=size, dpi=_POINTS_PER_INCH)


def draw(make: Callable[[], Figure]) -> Picture:
    """Make a figure in the common style, and save it in both themes."""
    with mpl.rc_context(_STYLE):
        out = io.StringIO()
        make().savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    light = _small(out.getvalue().replace("'DejaVu Sans', sans-serif", "sans-serif"))
    return Picture(light=light.encode(), dark=_darkened(light).encode())


def _small(svg: str) -> str:
    """The same picture in half the bytes, since results keep hundreds.

    Every look is said once, as a class, and there are no digits, spaces, turns and names for nothing. Only tags are
    touched: what stands between them is text for people.
    """
    named = frozenset(_NAMED.findall(svg))
    looks: dict[str, str] = {}  # names by what is in the style attributes

    def small(tag: re.Match[str]) -> str:
        short = _UNTURNED.sub("", _LONG.sub(r"\1", _BREAK.sub(" ", tag[0])))
        short = _NAME.sub(lambda name: name[0] if name[1] in named else "", short)
        return _LOOK.sub(lambda look: f' class="{looks.setdefault(look[1], f"c{len(looks)}")}"', short)

    svg = _TAG.sub(small, _INDENT.sub("\n", svg))
    while svg != (svg := _WRAPPED.sub(r"\1", svg)):
        pass
    rules = "\n".join(f".{name}{{{look}}}" for look, name in looks.items())
    return svg.replace("</style>", f"\n{rules}\n</style>", 1)


def _darkened(svg: str) -> str:
    for role, colour in LIGHT.items():
        svg = svg.replace(colour, DARK[role])
    return svg
