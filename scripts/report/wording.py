"""How numbers and foreign text are written in Markdown. Pure; imports nothing of ours."""

from __future__ import annotations

from collections.abc import Sequence

DASH = "–"
_MIB = 2**20


def significant(value: float) -> str:
    """Four significant digits, never an exponent: 0.001235, 12.35, 12350."""
    if value == 0:
        return "0"
    size = abs(value)
    decimals = 0 if size >= 1000 else 3
    while size < 100 and decimals < 9 and size * 10 ** (decimals - 3) < 1:
        decimals += 1
    if 1 <= size < 1000:
        decimals = 1 if size >= 100 else 2 if size >= 10 else 3
    return f"{value:.{decimals}f}"


def quantity(value: float | None, unit: str) -> str:
    """A value for a table cell: bytes as MiB, counts whole, and a dash for what a run cannot tell."""
    if value is None:
        return DASH
    if unit == "bytes":
        return f"{value / _MIB:.1f} MiB"
    return f"{value:.0f}" if unit == "requests" and value == int(value) else significant(value)


def deviation(measured: float, published: float) -> str:
    """By how much `measured` differs from `published`, in percent."""
    if published == 0:
        return "0.0 %" if measured == 0 else DASH
    return f"{(measured - published) / published * 100:+.1f} %"


def code(text: str) -> str:
    """Foreign text as a code span that cannot break out of its line, its cell or its span."""
    line = " ".join(text.split()).replace("`", "'").replace("|", "¦")
    return f"`{line}`" if line else "(no text)"


def listed(words: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
