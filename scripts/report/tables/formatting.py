"""How numbers and foreign text are written in Markdown.

A text is escaped where it enters a page: `templates` does so for each value of a template, `markdown` for each cell,
`filled` and `joined` for each part of a sentence. Only a text of the type `Markdown` enters as it is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from scripts.config.bounded_files import MIB

DASH = "\u2013"
_MILLION = 1e6
_MARKUP = str.maketrans({
    "<": "&lt;", ">": "&gt;", "`": "'", "|": "¦", "\\": "\\\\", "[": "\\[", "]": "\\]", "#": "\\#", "*": "\\*",
})  # fmt: skip
_BLANK = re.compile(r"\s+")
_MANY_PERCENT = 1000  # from here on a decimal says nothing


class Markdown(str):
    """Text that is Markdown already, and is not escaped again.

    `filled`, `joined`, `code` and `plain` make it, and `markdown` makes it of a table. What other methods of str give
    is foreign text again.
    """

    __slots__ = ()

    def __html__(self) -> str:
        """Tells jinja2 that it needs no escaping."""
        return self


def significant(value: float) -> str:
    """Four significant digits, never an exponent and never less than the whole number: 0.001235, 12.35, 12350."""
    if value == 0:
        return "0"
    decimals = 3 - math.floor(math.log10(abs(value)))
    return f"{value:.{max(0, decimals)}f}"


def quantity(value: float | None, unit: str) -> str:
    """A value for a table cell: bytes as MiB, instructions as millions, counts whole, and a dash without one."""
    if value is None:
        return DASH
    if unit == "bytes":
        return f"{value / MIB:.1f} MiB"
    if unit == "instructions" and abs(value) >= _MILLION:
        return f"{value / _MILLION:.2f} M"
    if unit == "instructions":
        return f"{value:.0f}"
    return f"{value:.0f}" if unit == "requests" and value == int(value) else significant(value)


def marked(text: str, *, counts: bool) -> str:
    """A figure; in parentheses when it must not be ranked or compared."""
    return text if counts or text == DASH else f"({text})"


def deviation(measured: float, published: float) -> str:
    """By how much `measured` differs from `published`, in percent."""
    if measured == published:
        return "0.0 %"
    if published == 0:
        return DASH
    percent = (measured - published) / published * 100
    return f"{percent:+z.{0 if abs(percent) >= _MANY_PERCENT else 1}f} %"


def percent(log_ratio: float) -> str:
    """A log ratio as a change in percent, with its sign."""
    change = math.expm1(log_ratio) * 100
    return f"{change:+z.{0 if abs(change) >= _MANY_PERCENT else 1}f} %"


def code(text: str) -> Markdown:
    """Foreign text as a code span that cannot break out of its line, its cell or its span."""
    line = " ".join(text.split()).replace("`", "'").replace("|", "¦")
    return Markdown(f"`{line}`" if line else "(no text)")


def plain(value: object) -> Markdown:
    """Foreign text within a sentence or a cell, which stays text: one line without markup. Markdown stays as it is."""
    return value if isinstance(value, Markdown) else Markdown(_BLANK.sub(" ", str(value)).translate(_MARKUP))


def prose(text: str) -> Markdown:
    """A sentence of the suite's own: what stands between two back-ticks is a code span, and all else stays text."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one of them has no other
        return plain(text)
    return joined("", [code(part) if number % 2 else part for number, part in enumerate(parts)])


def filled(template: str, *values: object) -> Markdown:
    """The template, which is Markdown, with each value in the place of a {}; foreign text among them stays text."""
    return Markdown(template.format(*map(plain, values)))


def joined(between: str, texts: Iterable[str]) -> Markdown:
    """The texts with Markdown between them; foreign text among them stays text."""
    return Markdown(between.join(map(plain, texts)))


def span(versions: Sequence[str]) -> str:
    """A range of releases, given the newest first: 1.9.0, or 1.0.0 to 1.9.0."""
    newest, oldest = versions[0], versions[-1]
    return newest if newest == oldest else f"{oldest} to {newest}"


def listed(words: Sequence[str]) -> Markdown:
    """a, b and c."""
    return joined(" and ", filter(None, [joined(", ", words[:-1]), *words[-1:]]))
