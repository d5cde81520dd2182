"""What all pictures share: colours of both themes, and how a figure becomes the bytes of an SVG.

Drawn once with the colours of the light theme, from which the dark one is made by replacing colours, because drawing
is what costs. Pure: same figure, same bytes.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from scripts.report.charts.form import NARROW, WIDE, Form

TEXT_PX, TITLE_PX = 12, 13  # of letters; nothing in a picture is smaller than its text
LINE_PX = 16  # from one line of text to the next
EDGE_PX = 8  # between text and the edge of a picture
_LETTER = 0.57  # mean width of a letter of DejaVu Sans, of its size; a wide font, so others have room
_BOLD_LETTER = 0.68
_NARROW_NAME = "-narrow"
_POINTS_PER_INCH = 72

# Roles and their colours. Series: Okabe and Ito's palette, which colour-blind readers can distinguish; the
# dark theme takes its lighter members. No value may occur twice in a theme.
LIGHT = {
    "text": "#1f2328", "background": "#ffffff", "grid": "#d8dee4", "area": "#c9d1d9", "edge": "#8c959f",
    "first": "#0072b2", "second": "#d55e00", "users": "#009e73",
    "level 0": "#f6f3f0", "level 1": "#fee3c8", "level 2": "#fdc690", "level 3": "#fb9b50", "level 4": "#c9510c",
    "level 5": "#8a2f02", "on light levels": "#1f2329", "on dark levels": "#fffffe",
    "less 1": "#d3e6f4", "less 2": "#86bbe2", "less 3": "#15629d",
}  # fmt: skip
DARK = {
    "text": "#e6edf3", "background": "#0d1117", "grid": "#30363d", "area": "#3d444d", "edge": "#6e7681",
    "first": "#56b4e9", "second": "#e69f00", "users": "#2fc49a",
    "level 0": "#161b22", "level 1": "#3a2413", "level 2": "#5f3813", "level 3": "#8a5012", "level 4": "#e08a2c",
    "level 5": "#ffc56e", "on light levels": "#e6edf4", "on dark levels": "#0d1116",
    "less 1": "#12283a", "less 2": "#1a4669", "less 3": "#6db6ec",
}  # fmt: skip
_TAG = re.compile(r"<[^>]*>")
_LINK_OR_LONG = re.compile(r'(href="[^"]*")|(\d\.\d)\d+')  # a tenth of a pixel is enough; a version is no number
_INDENT = re.compile(r"(?<=>)\s*\n\s*(?=<)")
_WRAPPED = re.compile(r"<g>\n(<(?!g\b|/)[^\n]*>)\n</g>")
_BREAK = re.compile(r"\s*\n\s*")
_UNTURNED = re.compile(r' transform="rotate\(-0 [^"]*\)"')
_NAME = re.compile(r' id="([\w.-]+)"')
_NAMED = re.compile(r"#([\w.-]+)")
_LOOK = re.compile(r' style="([^"]*)"')
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
_STYLE: Any = {  # matplotlib's types want every key spelt out
    "svg.hashsalt": "promptflow-serve-bench",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": TEXT_PX,
    "axes.titlesize": TEXT_PX,
    "axes.titlelocation": "left",
    "axes.titley": 1.0,  # a given place spares matplotlib a layout pass
    "text.color": LIGHT["text"],
    "text.parse_math": False,  # a text from a record may hold dollars, and is no formula
    "axes.edgecolor": LIGHT["edge"],
    "axes.facecolor": LIGHT["background"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": LIGHT["background"],
    "patch.facecolor": LIGHT["first"],  # by default the first of a cycle, which is looked up anew for every patch
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}

Look = dict[str, Any]
"""How something is plotted: matplotlib's arguments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A chart in both themes."""

    light: bytes
    dark: bytes


Files = dict[str, "bytes | Chart"]
"""What is derived, by path relative to results/; a chart stands for its picture in both themes, without suffix."""


def figure(form: Form, height_px: int) -> Figure:
    """An empty figure; 72 points an inch, so that a point is a pixel."""
    size = (form.width_px / _POINTS_PER_INCH, height_px / _POINTS_PER_INCH)
    return Figure(figsize=size, dpi=_POINTS_PER_INCH)


def lines(text: str, width_px: float, *, bold: bool = False) -> list[str]:
    """The text broken into lines that are no wider."""
    letter_px = TITLE_PX * _BOLD_LETTER if bold else TEXT_PX * _LETTER
    return textwrap.wrap(text, int(width_px / letter_px))


def text_px(text: str) -> float:
    """About how wide the text is."""
    return len(text) * TEXT_PX * _LETTER


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A picture that is not drawn yet: it can be handed to another process, and is known by what it is drawn from."""

    make: Callable[..., Figure]  # a function of a module
    data: tuple[object, ...]  # its arguments after the form: plain values, whose `repr` is all that decides the picture
    form: Form = WIDE

    @property
    def digest(self) -> str:
        """Of the data, of the form, of the code that draws, and of matplotlib's version."""
        text = f"{_drawing_code()} {self.make.__module__}.{self.make.__qualname__} {self.form!r} {self.data!r}"
        return _digest(text.encode())


def with_narrow(charts: Mapping[str, Chart]) -> Files:
    """Each wide chart, and its narrow form beside it, by names without suffix."""
    narrow = {f"{name}{_NARROW_NAME}": dataclasses.replace(chart, form=NARROW) for name, chart in charts.items()}
    return {**charts, **narrow}


class _Renderer(RendererSVG):
    """Measures a text once for all pictures of a process: they have the same, and each costs a look at every glyph."""

    def get_text_width_height_descent(
        self, s: str, prop: FontProperties, ismath: bool | Literal["TeX"]
    ) -> tuple[float, float, float]:
        """In pixels."""
        return _text_size(s, prop, ismath)


@functools.lru_cache(4096)
def _text_size(text: str, font: FontProperties, ismath: bool | Literal["TeX"]) -> tuple[float, float, float]:
    return text_to_path.get_text_width_height_descent(text, font, ismath)


def _written(figure: Figure) -> str:
    out = io.StringIO()
    width, height = figure.bbox.size
    renderer = _Renderer(width, height, out, metadata=_NO_METADATA)  # type: ignore[no-untyped-call]
    figure.draw(renderer)
    renderer.finalize()  # type: ignore[no-untyped-call]
    return out.getvalue()


def draw(chart: Chart) -> Picture:
    """Draw in the common style, in both themes; each picture is sealed with what it was drawn from."""
    with mpl.rc_context(_STYLE):
        drawn = _written(chart.make(chart.form, *chart.data))
    light = _small(drawn.replace("'DejaVu Sans', sans-serif", "sans-serif")).rstrip() + "\n"
    digest = chart.digest
    return Picture(light=_sealed(light.encode(), digest), dark=_sealed(_darkened(light).encode(), digest))


def is_current(picture: bytes, chart: Chart) -> bool:
    """Whether the picture was drawn from just that, and is as it was drawn."""
    body, found, seal = picture.rpartition(b"<!-- ")
    return bool(found) and found + seal == _seal(body, chart.digest)


def _sealed(body: bytes, digest: str) -> bytes:
    return body + _seal(body, digest)


def _seal(body: bytes, digest: str) -> bytes:
    return f"<!-- drawn from {digest}, content {_digest(body)} -->\n".encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@functools.cache
def _drawing_code() -> str:
    """Digest of this package's sources, with matplotlib's version: what draws otherwise draws anew."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return _digest(b"\0".join([mpl.__version__.encode(), *(path.read_bytes() for path in sources)]))


def _small(svg: str) -> str:
    """The same picture in half the bytes, since results keep hundreds.

    Every look is said once, as a class, and there are no digits, spaces, turns and names for nothing. Only tags are
    touched: what stands between them is text for people.
    """
    named = frozenset(_NAMED.findall(svg))
    looks: dict[str, str] = {}  # names by what is in the style attributes

    def small(tag: re.Match[str]) -> str:
        short = _UNTURNED.sub("", _LINK_OR_LONG.sub(r"\1\2", _BREAK.sub(" ", tag[0])))
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
