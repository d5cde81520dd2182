"""The explorer's page: what is in the file, and what a browser would run of it."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from scripts.report.explorer import charts, html
from scripts.report.explorer.document import Change, Curves, Document, History, MetricInfo, Pair, Point, Row, RunRow
from tests.fakes import chromium

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\"'"


def document(text: str) -> Document:
    """A small document, in which every text is `text`; figures are of one metric."""
    return Document(
        releases=(f"{text} old", f"{text} new"),
        metrics=(
            MetricInfo(
                name=text, words=text, title=text, unit=text, better="lower", meaning=text, latency=True, column=True
            ),
        ),
        percentiles=(50.0,),
        rows=(
            Row(
                release=f"{text} new", engine=text, flow=text, profile=text, python=text, outcome=text, bound=text,
                runs=1, usable=True, latencies_usable=False, values=(1.5,),
            ),
        ),
        pairs=(
            Pair(
                old=f"{text} old", new=f"{text} new", engine=text, flow=text, profile=text, python=text, rounds=4,
                campaign=text,
                changes=(Change(metric=text, old=1.0, new=1.5, change=0.5, low=0.4, high=0.6, verdict=text),),
            ),
        ),
        histories=(
            History(
                engine=text, flow=text, profile=text, python=text, source=text, metric=text,
                points=(Point(release=f"{text} new", value=1.0, low=0.9, high=1.1, changed=True),),
            ),
        ),
        runs=(
            RunRow(
                run=text, release=f"{text} new", engine=text, flow=text, profile=text, python=text, outcome=text,
                reasons=(text,), bound=text, campaign=text, round=1, usable=True, latencies_usable=True, values=(1.5,),
                curves=Curves(requests=(1,), failures=(0,), p50_ms=(1.0,), p95_ms=(None,), response_ms=(1.0,)),
            ),
        ),
        distributions={f"{text} old": {text: text}, f"{text} new": {}},
        skipped=(text,),
    )  # fmt: skip


def scripts(page: str) -> list[str]:
    """What a browser would run."""
    return re.findall(r"<script>(.*?)</script>", page, re.DOTALL)


def test_only_the_named_scripts_may_run() -> None:
    """The policy of the page names the digests of its two scripts, and neither inline code nor another source."""
    page = html.page(document("text")).decode()
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts(page)]
    assert len(digests) == 2
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    (allowed,) = re.findall(r"script-src ([^;]+);", policy)
    assert allowed.split() == [*(f"'sha256-{digest}'" for digest in digests), "'unsafe-eval'"]
    assert policy.startswith("default-src 'none';")


def test_no_text_of_a_record_is_in_the_file_as_it_is() -> None:
    """Whatever a record says is base64; unpacked, it is the document."""
    page = html.page(document(HOSTILE)).decode()
    assert "alert(" not in page
    (data,) = re.findall(r'id="data">([^<]*)<', page)
    unpacked = json.loads(gzip.decompress(base64.b64decode(data)))
    assert unpacked["rows"][0]["flow"] == HOSTILE
    assert set(unpacked) == {field.name for field in dataclasses.fields(Document)}


def test_the_same_document_makes_the_same_file() -> None:
    """No time and no random number is in the file."""
    assert html.page(document("text")) == html.page(document("text"))


def test_charts_have_letters_of_twelve_pixels_in_the_page_s_colour() -> None:
    """Axes and legends have letters of 12 px, and take the colour of the page's text, in light and dark."""
    for name, chart in charts.specifications().items():
        for part in ("axis", "legend"):
            config = chart["config"][part]
            assert config["labelFontSize"] == 12, name
            assert config["labelColor"] == "currentColor", name


@pytest.mark.browser
@chromium.required
def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    """Names with markup in them are shown as they are in every view, and nothing in them runs."""
    path = tmp_path / "report.html"
    path.write_bytes(html.page(document(HOSTILE)))
    with chromium.reader(path) as found:
        page = found.page
        assert page.locator("#skipped li").text_content() == HOSTILE
        for view in ("releases", "compare", "history", "runs"):
            page.evaluate("hash => { location.hash = hash; }", f"view={view}&run={HOSTILE}")
            page.wait_for_selector(f"#{view}:not([hidden]) td", state="attached")
            page.wait_for_timeout(200)
            assert HOSTILE in (page.locator(f"#{view}").text_content() or ""), view
        assert page.locator("img").count() == 0
        assert [one for one in found.problems if "dialog" in one or "refused" in one.lower()] == []


@pytest.mark.browser
@chromium.required
def test_records_that_cannot_be_read(tmp_path: Path) -> None:
    """Above every view stands how many records cannot be read, and a click names each; without any, nothing is said."""
    named = ("runs/report/1.18.5/a: record.json is not JSON", "runs/report/1.18.5/b: histograms.json is missing")
    for name, skipped in (("all", ()), ("some", named)):
        page = html.page(dataclasses.replace(document("text"), skipped=skipped))
        (tmp_path / f"{name}.html").write_bytes(page)
    with chromium.reader(tmp_path / "all.html") as found:
        place = found.page.locator("#skipped")
        assert not place.is_visible()
        found.page.goto((tmp_path / "some.html").as_uri())
        for view in ("releases", "compare", "history", "runs"):
            found.page.evaluate("view => { location.hash = `view=${view}`; }", view)
            found.page.wait_for_selector(f"#{view}:not([hidden])")
            assert place.inner_text() == "Records that cannot be read, and are left out: 2"
        place.locator("summary").click()
        assert tuple(place.locator("li").all_inner_texts()) == named
