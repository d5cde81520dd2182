"""Pictures of releases that each met a load once."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.report import published, reported
from scripts.report.cells import Cell, cells
from scripts.report.store import Run
from scripts.suite import ROOT
from tests.report import factory

RELEASES = ("1.11.0", "1.12.0", "1.13.0")
REPORTS = published.read(ROOT / "results")


def table(*releases: str, **asked: str) -> list[Cell]:
    """One good run a release."""
    made = [factory.record(release=name, number=n, **asked) for n, name in enumerate(releases, 1)]  # type: ignore[arg-type]
    return cells(factory.run(one) for one in made)


def drawn(found: list[Cell]) -> str:
    """The picture's text."""
    picture = reported.draw(factory.SUITE, found, REPORTS)
    assert picture is not None
    return picture.picture.light.decode()


def test_picture() -> None:
    """It is named after profile and scenario, and has a panel for throughput, its ceiling, and response times."""
    picture = reported.draw(factory.SUITE, table(*RELEASES), REPORTS)
    assert picture is not None
    assert picture.name == "releases-report-fastapi-static_async"
    light = picture.picture.light.decode()
    for title in ("throughput", "ceiling use", "response time p50", "response time p99"):
        assert f">{title}<" in light


def test_published_figures_are_marked_under_their_own_load() -> None:
    """Throughput and percentiles of the published release are marked; not under another number of threads."""
    assert "#009e73" in drawn(table(*RELEASES))
    assert "#009e73" not in drawn(table(*RELEASES, engine="flask", flow="static_sync", profile="report-8-threads"))
    assert "#009e73" not in drawn(table(*RELEASES, engine="flask", flow="flex_async"))


def test_what_must_not_be_ranked_is_hollow() -> None:
    """Latencies of a saturated run are drawn, but as hollow points that nothing joins."""
    made: list[Run] = [
        dataclasses.replace(
            factory.run(factory.record(release=name, number=n)), distrusted=("truncated",) if name == "1.12.0" else ()
        )
        for n, name in enumerate(RELEASES, 1)
    ]
    whole, broken = drawn(table(*RELEASES)), drawn(cells(made))
    assert whole != broken


@pytest.mark.parametrize(
    "found",
    [
        table("1.11.0", "1.12.0"),
        table("1.11.0", "1.12.0", "0.9.9"),
        table("mock", engine="uvicorn", flow="mock_api"),
    ],
)
def test_too_few_releases_make_no_picture(found: list[Cell]) -> None:
    """Two releases, releases that suite.toml does not know, and the control arm are told by their table."""
    assert reported.draw(factory.SUITE, found, REPORTS) is None


def test_runs_of_campaigns_make_no_picture() -> None:
    """What was measured in interleaved rounds has a better one."""
    found = cells(factory.campaign(RELEASES, 4))
    assert reported.draw(factory.SUITE, found, REPORTS) is None
