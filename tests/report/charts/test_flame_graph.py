"""The differential flame graph: where boxes lie, what colour they have, and that it can be read."""

from __future__ import annotations

import pytest

from scripts.report.charts import flame_graph, svg
from scripts.report.charts.flame_graph import Box
from scripts.report.charts.form import NARROW, WIDE, Form
from tests.report.charts.reading import Drawn

STACKS = [
    (("run", "serve", "invoke"), 30.0, 30.0),
    (("run", "serve", "invoke", "trace"), 20.0, 0.0),
    (("run", "serve", "dumps"), 10.0, 10.0),
]


def by_text(boxes: list[Box]) -> dict[str, Box]:
    """Boxes whose names differ."""
    return {box.text: box for box in boxes}


def test_layout() -> None:
    """A box is as wide as its mean share in both, upon its caller; the trunk below the first branch is left out."""
    found = by_text(list(flame_graph.boxes(STACKS)))
    assert set(found) == {"dumps", "invoke", "trace"}
    assert (found["dumps"].row, found["dumps"].left, found["dumps"].width) == (0, 0.0, 0.2)
    assert (found["invoke"].left, found["invoke"].width) == (0.2, 0.8)
    assert (found["trace"].row, found["trace"].left, found["trace"].width) == (1, 0.2, 0.2)


def test_what_is_gone_is_seen() -> None:
    """A function that one release alone has is drawn, and its difference is in percent of all CPU time."""
    found = by_text(list(flame_graph.boxes(STACKS)))
    assert found["trace"].difference == -40.0
    assert found["dumps"].difference == 0.0


def test_hardly_anything_is_left_out() -> None:
    """Only boxes that nobody could see are left out."""
    found = by_text(list(flame_graph.boxes([*STACKS, (("run", "serve", "tiny"), 0.1, 0.0)])))
    assert "tiny" not in found


def test_thin_towers_are_cut() -> None:
    """A few samples of a deep recursion do not make the picture tall: it ends with the last box that is wide."""
    deep = ("run", "serve", "invoke", *(f"again {n}" for n in range(90)))
    found = by_text(list(flame_graph.boxes([*STACKS, (deep, 1.0, 1.0)])))
    assert "again 0" in found
    assert max(box.row for box in found.values()) == found["trace"].row


def test_nothing_sampled() -> None:
    """Without a sample there is no box, and still a picture."""
    assert list(flame_graph.boxes([])) == []
    assert Drawn(svg.draw(flame_graph.chart("A title", [])).light).words


@pytest.mark.parametrize(
    ("difference", "role"),
    [
        (0.24, "level 0"), (-0.24, "level 0"), (0.25, "level 1"), (1.0, "level 3"), (3.0, "level 4"),
        (-0.25, "less 1"), (-2.9, "less 2"), (-40.0, "less 3"),
    ],
)  # fmt: skip
def test_colours(difference: float, role: str) -> None:
    """What grew is orange and what shrank is blue, the stronger the more."""
    assert flame_graph.role_of(difference) == role


@pytest.mark.parametrize("form", [WIDE, NARROW])
def test_legible(form: Form) -> None:
    """Every text is as large as in other pictures, and lies in the picture; a name that has no room is cut."""
    wide = [((f"a_function_with_a_long_name_{n}", f"callee_{n}"), 1.0 + n, 2.0) for n in range(8)]
    chart = flame_graph.chart("CPU time of a request: 1.17.1 against 1.17.0, fastapi static_async", wide)
    picture = Drawn(svg.draw(svg.Chart(make=chart.make, data=chart.data, form=form)).light)
    assert min(text.size for text in picture.texts) >= svg.TEXT_PX
    for text in picture.texts:
        box = text.box.get_extents()
        assert box.x0 >= 0
        assert box.x1 <= picture.width, text.words
        assert box.y1 <= picture.height
    assert any(word.endswith("\u2026") for word in picture.words)


def test_themes_differ_in_every_colour() -> None:
    """No colour is left from the light theme in the dark picture."""
    picture = svg.draw(flame_graph.chart("A title", STACKS)).dark.decode()
    assert not [role for role, colour in svg.LIGHT.items() if colour in picture]


def test_foreign_names_stay_text() -> None:
    """A name that looks like markup is text in the picture."""
    name = '<script>alert("x")</script>'
    picture = svg.draw(flame_graph.chart("A title", [((name, "a"), 5.0, 5.0), (("b",), 5.0, 5.0)])).light.decode()
    assert "<script" not in picture
    assert "&lt;script" in picture
