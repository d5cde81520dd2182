"""How numbers and foreign text are written."""

from __future__ import annotations

import math

import pytest

from scripts.report.tables import formatting


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0012345, "0.001234"), (0.5, "0.5000"), (9.534, "9.534"), (41.172, "41.17"), (166.234, "166.2"),
     (1284.6, "1285"), (25289.05, "25289"), (-12.345, "-12.35")],
)  # fmt: skip
def test_four_significant_digits(value: float, text: str) -> None:
    """Numbers have four significant digits, and no exponent."""
    assert formatting.significant(value) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(None, "ms", formatting.DASH), (880 * 2**20, "bytes", "880.0 MiB"), (230.0, "requests", "230"),
     (230.5, "requests", "230.5"), (1.5, "s", "1.500")],
)  # fmt: skip
def test_quantities(value: float | None, unit: str, text: str) -> None:
    """A value is written as its unit asks, and a missing one is a dash."""
    assert formatting.quantity(value, unit) == text


@pytest.mark.parametrize(
    ("measured", "published", "text"),
    [(110, 100, "+10.0 %"), (0, 0, "0.0 %"), (1, 0, formatting.DASH), (100, 100, "0.0 %"), (1251.5, 0.64, "+195447 %")],
)
def test_deviations(measured: float, published: float, text: str) -> None:
    """A deviation is in percent of the published figure, and a dash where that is zero."""
    assert formatting.deviation(measured, published) == text


@pytest.mark.parametrize(
    ("ratio", "text"), [(1.0213, "+2.1 %"), (0.98, "-2.0 %"), (0.9999, "+0.0 %"), (1.0001, "+0.0 %"), (19.1, "+1810 %")]
)
def test_changes(ratio: float, text: str) -> None:
    """A change has its sign, and one that rounds to zero has no minus."""
    assert formatting.percent(math.log(ratio)) == text


def test_foreign_text_cannot_break_out() -> None:
    """Line breaks, cell borders and back-ticks of a foreign text are made harmless."""
    assert formatting.code("a | b\n`c`") == "`a ¦ b 'c'`"
    assert formatting.code("") == "(no text)"


@pytest.mark.parametrize(
    ("words", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_lists(words: list[str], text: str) -> None:
    """Words are joined as one writes them."""
    assert formatting.listed(words) == text
