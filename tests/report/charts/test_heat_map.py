"""The heat map of all releases."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.report.charts import heat_map, svg
from scripts.report.charts.heat_map import Cell, Column, Panel

CELLS = (
    Cell(release="1.1.0", worse=0.0, changed=-1, is_best=True),
    Cell(release="1.0.0", worse=62.4, changed=0, is_worst=True),
)
PANEL = Panel(title="A <scenario>", columns=(Column(metric="overhead p50", cells=CELLS),), unsupported=("0.9.0",))


@pytest.mark.parametrize(("worse", "level"), [(0.0, 0), (1.9, 0), (2.0, 1), (9.9, 2), (49.0, 4), (50.0, 5), (5000, 5)])
def test_classes(worse: float, level: int) -> None:
    """Each class begins at its own limit."""
    assert heat_map.level_of(worse) == level


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (CELLS[0], "\u25bcbest"),
        (CELLS[1], "62"),
        (Cell(release="1.2.0", worse=1692.0, changed=1), "\u25b218\u00d7"),
    ],
)
def test_text_of_a_cell(cell: Cell, text: str) -> None:
    """Percent worse than the best, with a triangle where the release changed it; a large one is a multiple."""
    assert heat_map.text_of(cell) == text


def test_rows_lead_to_the_releases() -> None:
    """Each row is a link to the page of its release, also one that does not serve every scenario."""
    other = dataclasses.replace(PANEL, unsupported=())
    picture = svg.draw(heat_map.chart("A title", ["1.1.0", "1.0.0", "0.9.0"], [PANEL, other])).light.decode()
    assert all(f'href="v{release}/README.md"' in picture for release in ("1.1.0", "1.0.0", "0.9.0"))
    assert "A &lt;scenario&gt;" in picture
    assert "<scenario>" not in picture


def test_themes_differ_in_every_level() -> None:
    """No colour of a level is left from the light theme in the dark picture."""
    picture = svg.draw(heat_map.chart("A title", ["1.1.0", "1.0.0", "0.9.0"], [PANEL])).dark.decode()
    assert not [role for role, colour in svg.LIGHT.items() if colour in picture]
