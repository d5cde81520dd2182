"""Text of records, of suite.toml and of published reports on the pages: it stays text, whatever it holds."""

from __future__ import annotations

import dataclasses
import json
import xml.etree.ElementTree as ET
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from markdown_it import MarkdownIt

from scripts.analysis import run_reader
from scripts.analysis.metrics import METRICS
from scripts.commands import bench_self
from scripts.config.matrix import Suite
from scripts.config.support import Cause
from scripts.inference import bisection, capacity_runs, change_points, comparison, paired_rounds, soaks
from scripts.inference.capacity_runs import CapacitySearch, Tried
from scripts.inference.capacity_search import CapacityResult, Limit, Trial
from scripts.inference.paired_rounds import PairedRounds
from scripts.records import storage
from scripts.records.schema import RunRecord
from scripts.report.charts import svg
from scripts.report.charts.form import Form
from scripts.report.charts.svg import Chart
from scripts.report.pages import (
    attribution,
    bisection_page,
    capacity_page,
    comparison_page,
    self_test_page,
    session_summary,
    site,
    soak_session,
    templates,
)
from scripts.report.pages.self_test_page import InjectedSlowdown
from scripts.report.tables.formatting import Markdown
from scripts.report.tables.markdown import markdown
from scripts.report.tables.published import Published
from scripts.selftest.suite_cost import Cost, CostLimit, Figure
from tests.fakes import synthetic_runs, synthetic_searches, synthetic_soaks

MARK = "@@NUMBER@@"  # differs from run to run
EVIL = (
    "x\n\n# H1\n<script>alert(1)</script> | `a` [b](javascript:c) \\[d\\](javascript:e) "
    '`f [g](javascript:h) " onload="i'
)
PUBLISHED = Path(__file__).parents[3] / "results" / "published" / "promptflow-serve-v1.12.0.json"
READER = MarkdownIt("commonmark", {"html": True}).enable("table")
READER.validateLink = lambda url: True  # type: ignore[method-assign]  # noqa: ARG005 - a link to a script is seen


class Live(HTMLParser):
    """What of a page is live: its tags with their attributes, and its headings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.inside = ""
        self.feed(READER.render(page))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note scripts, and attributes that act."""
        self.inside = tag
        if tag == "script" or any(
            name.startswith("on") or (value or "").startswith("javascript") for name, value in attrs
        ):
            self.problems.append(f"{tag} {attrs}")

    def handle_data(self, data: str) -> None:
        """Note a heading that is not ours."""
        if self.inside in {"h1", "h2"} and data.strip() == "H1":
            self.problems.append(f"{self.inside} {data}")


def spoilt(value: Any, path: str = "") -> Any:  # noqa: ANN401 - JSON
    """The record with every text that no limit holds replaced."""
    names = (
        "run_id",
        "outcome",
        "started_at",
        "schema_version",
        "release",
        "engine",
        "flow",
        "campaign",
        "round_id",
        "id",
        "identity",
    )
    if isinstance(value, dict):
        return {
            key: inner if key in names or path + key == "requestedprofilename" else spoilt(inner, path + key)
            for key, inner in value.items()
        } | ({EVIL: EVIL + MARK} if path.endswith(("distributions", "options", "environment")) else {})
    if path.endswith("command"):  # which says whether threads bound the server
        return [*value, EVIL]
    if isinstance(value, list):
        return [spoilt(inner, path) for inner in value]
    return EVIL if isinstance(value, str) else value


def spoilt_record(made: RunRecord, number: int = 0) -> RunRecord:
    """The same as a record."""
    fields = json.loads(msgspec.json.encode(made))
    return msgspec.json.decode(json.dumps(spoilt(fields)).replace(MARK, str(number)), type=RunRecord)


def spoilt_suite() -> Suite:
    """suite.toml with every text replaced that is no name."""
    suite = synthetic_runs.SUITE
    return dataclasses.replace(
        suite,
        releases=tuple(dataclasses.replace(one, reason=EVIL, constraints=(EVIL,)) for one in suite.releases),
        causes=tuple(
            Cause(release=one.version, metrics=tuple(metric.name for metric in METRICS), text=EVIL)
            for one in suite.releases
        ),
        engines=tuple(dataclasses.replace(one, title=EVIL) for one in suite.engines),
        scenarios=tuple(dataclasses.replace(one, title=EVIL) for one in suite.scenarios),
        unsupported=tuple(dataclasses.replace(one, reason=EVIL) for one in suite.unsupported),
        behaviours=tuple(dataclasses.replace(one, what=EVIL) for one in suite.behaviours),
        profiles=tuple(dataclasses.replace(one, description=EVIL) for one in suite.profiles),
    )


def spoilt_published() -> bytes:
    """A published report with every text replaced that is no name or number."""
    report = msgspec.json.decode(PUBLISHED.read_bytes(), type=Published)
    scenarios = tuple(
        dataclasses.replace(
            one, title=EVIL, rows=tuple(dataclasses.replace(row, type=EVIL, name=EVIL) for row in one.rows)
        )
        for one in report.scenarios
    )
    sources = dict.fromkeys(report.sources, EVIL)
    return msgspec.json.encode(dataclasses.replace(report, sources=sources, scenarios=scenarios))


def paired(releases: tuple[str, ...]) -> PairedRounds:
    """A campaign whose records hold such texts, and in which memory moved."""
    figures = {"memory_end_bytes": [[1e8 * (1 + arm / 3)] * 4 for arm in range(len(releases))]}
    runs = [
        dataclasses.replace(one, record=spoilt_record(one.record, number % len(releases)))
        for number, one in enumerate(synthetic_runs.campaign(releases, 4, figures))
    ]
    runs.append(dataclasses.replace(runs[0], outcome="invalid", reasons=(EVIL,)))
    (found,) = paired_rounds.pair(runs)
    return found


def printed(tmp_path: Path) -> dict[str, str]:
    """Every page that is not derived by collate."""
    suite = spoilt_suite()
    pair = paired(("1.12.0", "1.13.0"))
    (judged,) = comparison.judge([pair], {})
    bad = dataclasses.replace(pair.rounds[0].runs[1], outcome="invalid", reasons=(EVIL,))
    tried = Tried(
        trial=Trial(number=1, phase="step", users=60),
        run=bad,
        judgement=capacity_runs.judge(bad, synthetic_runs.SUITE.capacity),
    )
    nothing = CapacityResult(users=None, confirmed_by=(), limit=Limit(users=60, verdict="invalid"))
    three = ("1.12.0", "1.13.0", "1.14.0")

    def measure(names: tuple[str, ...], rounds: int) -> tuple[change_points.Fit, float]:
        values = np.tile(np.arange(len(names)) / 3.0, (rounds, 1)) + np.random.default_rng(1).normal(
            0, 0.01, (rounds, len(names))
        )
        return change_points.fitted(names, values, np.zeros_like(values) + values * 0.1), 0.0

    searched = bisection.search(judged.effects[0].metric, three, measure, 8)
    assert searched is not None
    directory = synthetic_runs.write(tmp_path, synthetic_runs.record(outcome="failed", reasons=(EVIL,)))
    days = dict.fromkeys(three, date(2024, 1, 2))
    return {
        "comparison": comparison_page.render([pair], [judged], title=EVIL).decode(),
        "attribution": attribution.render([paired(three)], {}),
        "bisection": bisection_page.render(searched, paired(three), days),
        "capacity": capacity_page.of_session(
            suite,
            suite.capacity,
            [CapacitySearch(settings=suite.capacity, runs=(bad,), tried=(tried,), found=nothing)],
            EVIL,
        ),
        "session": session_summary.of_session(suite, [run_reader.read_run(directory)]),
        "soak": soak_session.text([soaks.evaluated(bad)], EVIL),
        "self-test": self_test_page.render(
            [InjectedSlowdown(name=EVIL, what=EVIL, metric="ready_s", judged=judged)],
            [],
            gate=None,
            round_s=30.0,
            simulated=Markdown("..."),
        ).decode(),
        "suite cost": bench_self.page(
            [Cost(what=EVIL, figures=(Figure(text=EVIL, value=1, limit=CostLimit(most=0, text=EVIL)),))],
            dataclasses.replace(synthetic_runs.MACHINE, cpu_model=EVIL, tools_python=EVIL),
            EVIL,
            14.25,
        ).decode(),
    }


def test_the_reader_sees_what_is_live() -> None:
    """The same text, put on a page as it is, is found."""
    found = Live(f"{EVIL}\n\n{EVIL.splitlines()[-1].partition('|')[2]}\n").problems
    assert [one.split()[0] for one in found] == ["h1", "script", "a", "a"]


@pytest.mark.fault
def test_text_of_a_record_is_never_markup(tmp_path: Path) -> None:
    """No newline, heading, tag or link in a text of records, suite.toml or published reports is live on a page."""
    runs = [
        *(one.record for one in synthetic_runs.campaign(("1.12.0", "1.18.5"), 4, profile="report")),
        synthetic_runs.record(),
        synthetic_runs.record(release="1.18.5"),
        synthetic_runs.record(release="1.13.0", outcome="failed", reasons=("no wheel",)),
        *(run.record for run in synthetic_searches.searched(221).runs),
    ]
    soaked = [
        synthetic_soaks.record(),
        synthetic_soaks.record(number=2, release="1.13.0", outcome="failed", reasons=("killed",)),
        dataclasses.replace(
            synthetic_soaks.record(number=3, engine="flask", flow="static_sync"),
            machine=dataclasses.replace(synthetic_runs.MACHINE, cores=2),
        ),
    ]
    folders = [
        *(synthetic_runs.write(tmp_path, made) for made in runs),
        *(synthetic_soaks.write(tmp_path, made) for made in soaked),
    ]
    for number, folder in enumerate(folders):
        file = folder / storage.RECORD_FILE
        file.write_text(json.dumps(spoilt(json.loads(file.read_bytes()))).replace(MARK, str(number)), encoding="utf-8")
    (tmp_path / "published").mkdir()
    (tmp_path / "published" / "one.json").write_bytes(spoilt_published())
    derived = site.derive(tmp_path, spoilt_suite())
    assert derived.skipped == ()
    pages = {name: content.decode() for name, content in derived.files.items() if name.endswith(".md")}
    assert {name.split("/")[0] for name in pages} == {
        "README.md", "comparisons", "soak.md", "v1.12.0", "v1.13.0", "v1.18.5",
    }  # fmt: skip
    assert "## Published and measured" in pages["v1.12.0/README.md"]
    assert "## Capacity" in pages["README.md"]
    assert "Made under other conditions than the first table: " in pages["soak.md"]
    assert "alert(1)" in pages["soak.md"]
    for name, page in pages.items():
        assert Live(page).problems == [], name
    pictures = [content for name, content in derived.files.items() if name.endswith(".svg")]
    assert any(b"alert(1)" in picture for picture in pictures)
    for picture in pictures:
        assert not [one for one in ET.fromstring(picture).iter() if one.tag.endswith("script")]  # noqa: S314


@pytest.mark.fault
def test_text_is_never_markup_on_what_sessions_print(tmp_path: Path) -> None:
    """The pages of comparisons, searches, self-tests and sessions show such texts as text."""
    for name, page in printed(tmp_path).items():
        assert "alert(1)" in page or name == "attribution", name  # which has names and figures alone
        assert Live(page).problems == [], name


def test_a_new_template_needs_no_care() -> None:
    """A text put into a template or a table by itself is text there; Markdown is Markdown."""
    template = templates._environment().from_string("# {{ one }}\n\n{{ one ~ '!' }}\n\n{{ table }}\n")
    page = template.render(one=EVIL, table=markdown((EVIL, "b"), [(EVIL, Markdown("**c**"))]))
    assert Live(page).problems == []
    assert len(page.splitlines()) == 7
    assert "| **c** |" in " ".join(page.split())


def drawn(form: Form, words: str) -> Any:  # noqa: ANN401 - matplotlib has no types
    """A picture with these words as its title."""
    figure = svg.figure(form, 100)
    figure.suptitle(words)
    return figure


def test_words_of_a_picture_are_no_tags() -> None:
    """Tags and quotation marks in a title stay text: matplotlib escapes them."""
    picture = svg.draw(Chart(make=drawn, data=(EVIL,)))
    for theme in (picture.light, picture.dark):
        elements = list(ET.fromstring(theme).iter())  # noqa: S314
        assert not [one for one in elements if one.tag.endswith("script")]
        assert not [name for one in elements for name in one.attrib if name.startswith("on")]
        assert any("<script>alert(1)</script>" in (one.text or "") for one in elements)
