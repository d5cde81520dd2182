"""What all pictures share."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from matplotlib.figure import Figure

from scripts.report.charts import heat_map, svg
from scripts.report.charts.form import NARROW, Form
from scripts.report.charts.svg import Picture

WORDS = 'two  spaces, a style="x", id="y", 1.23456 and a\nsecond line'
LINK = "v1.140.25/README.md"


def drawn(form: Form) -> Figure:
    """Points, a line, and words that look like markup."""
    figure = svg.figure(form, 200)
    axes = figure.subplots()
    axes.plot([0, 1, 2], [0.123456, 1.123456, 2.123456], marker="o", color=svg.LIGHT["first"])
    axes.set_title(WORDS).set_url(LINK)
    return figure


DRAWN = svg.Chart(make=drawn, data=())


@pytest.fixture(scope="module")
def picture() -> Picture:
    """One picture in both themes."""
    return svg.draw(DRAWN)


def test_every_style_is_written_once(picture: Picture) -> None:
    """No element has a style of its own, every class has one rule, and no two rules are alike."""
    light = picture.light.decode()
    rules = dict(re.findall(r"^\.(c\d+){(.*)}$", light, re.MULTILINE))
    elements = list(ET.fromstring(light).iter())  # noqa: S314
    assert {element.get("class") for element in elements} - {None} == set(rules)
    assert not [element for element in elements if element.get("style")]
    assert len(set(rules.values())) == len(rules)


def test_what_is_named_is_referred_to_and_the_other_way_round(picture: Picture) -> None:
    """Markers and clips keep their names, groups that nobody refers to have none."""
    elements = list(ET.fromstring(picture.light).iter())  # noqa: S314
    names = {element.get("id") for element in elements} - {None}
    assert names
    assert names == set(re.findall(r'(?:url\(|href=")#([\w.-]+)', picture.light.decode()))


def test_words_for_people_stay(picture: Picture) -> None:
    """Only tags are made smaller: spaces, digits and what looks like markup within texts stay as they are."""
    texts = [element.text for element in ET.fromstring(picture.light).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    for line in WORDS.splitlines():
        assert line in texts


def test_links_stay(picture: Picture) -> None:
    """A version within a link is no number to shorten: the link leads to a page that is there."""
    links = [value for one in ET.fromstring(picture.light).iter() for name, value in one.items() if "href" in name]  # noqa: S314
    assert LINK in links


def test_themes_differ_by_colours_alone(picture: Picture) -> None:
    """The dark picture is the light one with other colours, each role with its own."""
    light, dark = (theme.decode().partition("<!-- ")[0] for theme in (picture.light, picture.dark))
    assert dark != light
    for role, colour in svg.LIGHT.items():
        light = light.replace(colour, svg.DARK[role])
    assert dark == light


def test_same_figure_same_bytes(picture: Picture) -> None:
    """Drawn again it is the same to the byte, so that committed pictures change only with their data."""
    assert svg.draw(DRAWN) == picture


def test_a_picture_is_known_by_what_it_was_drawn_from(picture: Picture) -> None:
    """It is current for its own chart, in both themes, and for no chart with other data or of another form."""
    others = svg.Chart(make=drawn, data=("other",)), svg.Chart(make=drawn, data=(), form=NARROW)
    assert [svg.is_current(theme, DRAWN) for theme in (picture.light, picture.dark)] == [True, True]
    assert not any(svg.is_current(picture.light, other) for other in others)


@pytest.mark.parametrize("altered", [b"", b"<svg/>", b"<!-- drawn from 0, content 0 -->\n"])
def test_a_picture_that_was_not_drawn_here_is_not_current(altered: bytes) -> None:
    """Something else in its place is drawn again."""
    assert not svg.is_current(altered, DRAWN)


def test_an_altered_picture_is_not_current(picture: Picture) -> None:
    """A picture that somebody has changed since is drawn again, although it says what it was drawn from."""
    assert not svg.is_current(picture.light.replace(b"second line", b"another line"), DRAWN)


def test_other_drawing_code_draws_anew(picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of an older version of the code that draws is not current."""
    monkeypatch.setattr(svg, "_drawing_code", lambda: "other")
    assert not svg.is_current(picture.light, DRAWN)


def test_dollars_are_no_formula() -> None:
    """A text with dollars, which matplotlib would read as a formula and fail on, is drawn as it is."""
    chart = heat_map.chart(r"costs $\bad{$ more", ["1.0.0"], [])
    assert r"costs $\bad{$ more" in svg.draw(chart).light.decode()
