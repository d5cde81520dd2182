"""The explorer of all committed records in a real browser, used as a reader does."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page

from scripts.commands import report, show
from scripts.config import matrix_file
from scripts.config.matrix import ROOT
from scripts.host.process import in_turn
from tests.fakes import chromium
from tests.fakes.chromium import Reader

OLD, NEW = "1.17.0", "1.17.1"
FLOW = "static_async"
BRIGHTNESS = "element => getComputedStyle(element)[%r].match(/[0-9.]+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
VIEWS = ("releases", "compare", "history", "runs")
_MIB = 2**20

pytestmark = [pytest.mark.browser, chromium.required]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, made once for all workers of a test run."""
    base = tmp_path_factory.getbasetemp()
    made = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "explorer" / "report.html"
    with in_turn(made.parent):
        if not made.exists():
            assert report.main(["--output", str(made)]) == 0
    return made


@pytest.fixture
def reader(path: Path) -> Iterator[Reader]:
    """At a desk; nothing goes wrong on the page, and it asks the network for nothing."""
    with chromium.reader(path) as found:
        yield found
        assert found.problems == []
        assert found.requests == []


def rows(page: Page, view: str) -> list[list[str]]:
    """The table of a view, cell by cell."""
    found: list[list[str]] = page.locator(f"#{view} .table tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    return found


def choose(page: Page, **values: str) -> None:
    """Change controls by name."""
    for name, value in values.items():
        page.locator(f"[name={name}]").select_option(value)


def tab_to(page: Page, what: str, wanted: str) -> None:
    """Press the tabulator until an expression has a value."""
    for _ in range(50):
        if page.evaluate(what) == wanted:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{wanted} cannot be reached by the tabulator")


def points(page: Page, view: str) -> Locator:
    """The points of a view's chart."""
    return page.locator(f"#{view} .chart svg .mark-symbol.role-mark path")


def test_how_much_slower_is_one_release_than_another(reader: Reader, capsys: pytest.CaptureFixture[str]) -> None:
    """Two chosen releases have the changes, intervals and verdicts that `show` prints of them."""
    page = reader.page
    page.get_by_role("link", name="Compare two").click()
    choose(page, old=OLD, new=NEW, engine="fastapi", flow=FLOW, profile="compare")
    found = {cells[0]: cells for cells in rows(page, "compare")}
    assert show.main([OLD, NEW, "--json"]) == 0
    recorded = json.loads(capsys.readouterr().out)
    tables = recorded["comparisons"] if isinstance(recorded, dict) else recorded
    (table,) = [one for one in tables if (one["flow"], one["profile"]) == (FLOW, "compare")]
    (cpu,) = [one for one in table["metrics"] if one["metric"] == "cpu_per_request_ms"]
    cells = found["CPU per request (ms) \N{DOWNWARDS ARROW}"]
    assert cells[4:7] == [
        f"{cpu['change'] * 100:+.1f} %",
        f"{cpu['low'] * 100:+.1f} % to {cpu['high'] * 100:+.1f} %",
        cpu["verdict"],
    ]
    assert len(found) == len(table["metrics"])
    assert points(page, "compare").count() == len(table["metrics"])
    choose(page, old=NEW, new=OLD)
    backwards = {cells[0]: cells for cells in rows(page, "compare")}["CPU per request (ms) \N{DOWNWARDS ARROW}"]
    assert (cells[6], backwards[6]) == ("improvement", "regression")
    assert backwards[2:4] == [cells[3], cells[2]]


def test_which_release_is_best_in_a_metric(reader: Reader) -> None:
    """A click on a column sorts, so that the first row is the release with the lowest figure of summary.csv."""
    page = reader.page
    choose(page, engine="fastapi", flow=FLOW, profile="compare")
    page.get_by_role("button", name=re.compile(r"^overhead p50")).click()
    with (ROOT / "results" / "summary.csv").open(encoding="utf-8", newline="") as file:
        known = [row for row in csv.DictReader(file) if (row["flow"], row["profile"]) == (FLOW, "compare")]
    best = min((row for row in known if row["metric"] == "overhead_p50_ms"), key=lambda row: float(row["value"]))
    assert rows(page, "releases")[0][0] == best["release"]
    page.get_by_role("button", name=re.compile(r"^overhead p50")).click()
    assert rows(page, "releases")[-1][0] == best["release"]


def test_which_packages_differ(reader: Reader) -> None:
    """What differs between the two virtualenvs stands under a comparison, promptflow's own packages first."""
    page = reader.page
    page.get_by_role("link", name="Compare two").click()
    choose(page, old="1.13.0", new="1.14.0")
    listed = page.locator("#compare .packages tbody tr").all_inner_texts()
    assert listed[0].split("\t") == ["promptflow", "1.13.0", "1.14.0"]
    assert any(line.startswith("fastapi\t0.111.1\t0.112.0") for line in listed)


def test_when_did_a_metric_change(reader: Reader) -> None:
    """A click on a point of a history leads to that release."""
    page = reader.page
    page.get_by_role("link", name="History").click()
    choose(page, metric="cpu_per_request_ms", engine="fastapi", flow=FLOW)
    page.get_by_text("The same as a table").click()
    changed = [cells for cells in rows(page, "history") if cells[3] == "change"]
    assert NEW in [cells[0] for cells in changed]
    diamond = page.locator("#history .chart svg .mark-symbol.role-mark path").last
    diamond.click(force=True)
    page.wait_for_selector("#releases:not([hidden])")
    assert page.locator("[name=q]").input_value() in {release.version for release in matrix_file.load().releases}
    assert {cells[0] for cells in rows(page, "releases")} == {page.locator("[name=q]").input_value()}


def test_what_happened_in_a_run(reader: Reader) -> None:
    """A search finds a run; a click on it shows its timeline and its distribution."""
    page = reader.page
    page.get_by_role("link", name="Runs").click()
    page.locator("[name=q]").fill(f"{NEW} report")
    choose(page, flow=FLOW)
    found = rows(page, "runs")
    assert found
    assert {cells[1] for cells in found} == {NEW}
    page.locator("#runs .table tbody a").first.click()
    for name in ("throughput", "times", "distribution"):
        page.locator(f"#runs .{name} svg").wait_for()
        assert page.locator(f"#runs .{name} svg .mark-symbol.role-mark path").count() > 10, name
    assert page.locator("#runs h3").inner_text().startswith(f"{NEW}, fastapi {FLOW}, profile report")


def test_by_keyboard_alone(reader: Reader) -> None:
    """Views, controls and sorting answer to the keys, and a sorted column keeps the focus."""
    page = reader.page
    focused = "document.activeElement.textContent || document.activeElement.name"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Compare two"
    page.keyboard.press("Enter")
    page.wait_for_selector("#compare:not([hidden])")
    tab_to(page, "document.activeElement.name", "old")
    page.keyboard.press("ArrowDown")
    tab_to(page, "document.activeElement.dataset.key", "change")
    page.keyboard.press("Enter")
    page.wait_for_selector("#compare th[aria-sort=ascending]")
    assert page.evaluate("document.activeElement.dataset.key") == "change"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone(path: Path, scheme: str) -> None:
    """At 400 px only tables scroll sideways, and text stands out from its background in light and dark."""
    with chromium.reader(path, width=400, scheme=scheme) as found:
        page = found.page
        for view in VIEWS:
            page.evaluate("view => { location.hash = `view=${view}`; }", view)
            page.wait_for_selector(f"#{view}:not([hidden])")
            assert page.evaluate("document.documentElement.scrollWidth") <= 400, view
        brightness = (
            "element => getComputedStyle(element)[%r].match(/[0-9.]+/g).slice(0, 3).reduce((a, b) => a + +b, 0)"
        )
        text, back = (page.locator("body").evaluate(brightness % name) for name in ("color", "backgroundColor"))
        assert abs(text - back) > 500
        assert (text > back) == (scheme == "dark")
        assert found.problems == []


def test_size_and_first_paint(path: Path) -> None:
    """With everything committed, the file has at most 2.5 MB, and its first paint comes within 2 s."""
    assert path.stat().st_size <= 2.5 * _MIB
    with chromium.reader(path) as found:
        found.page.wait_for_selector("#releases tbody tr")
        painted: float = found.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        assert painted < 2000


def test_without_scripts(path: Path) -> None:
    """A browser without scripts says so, and leads to the Markdown."""
    with chromium.reader(path, scripts=False) as found:
        assert found.page.locator("noscript p").is_visible()
        assert found.page.locator("noscript a").get_attribute("href") == "README.md"
        assert not found.page.locator("main").is_visible()
