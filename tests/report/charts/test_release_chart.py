"""Pictures of releases that each met a load once."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.analysis.grouping import Cell, cells
from scripts.analysis.metrics import METRICS
from scripts.analysis.run_reader import Run
from scripts.config.matrix import ROOT
from scripts.records.schema import RunRecord
from scripts.report.charts import release_chart, svg
from scripts.report.tables import notes, published
from tests.analysis.test_counted_work import counts, record
from tests.fakes import synthetic_runs

RELEASES = ("1.11.0", "1.12.0", "1.13.0")
REPORTS = published.read(ROOT / "results")


def table(*releases: str, **requested: str) -> list[Cell]:
    """One good run a release."""
    made = [synthetic_runs.record(release=name, number=n, **requested) for n, name in enumerate(releases, 1)]  # type: ignore[arg-type]
    return cells(synthetic_runs.run(one) for one in made)


def drawn(found: list[Cell]) -> str:
    """The picture's text."""
    picture = release_chart.reported(synthetic_runs.SUITE, [found], REPORTS)
    assert picture is not None
    return svg.draw(picture.chart).light.decode()


def test_picture() -> None:
    """It is named after profile and scenario, and has panels for throughput, its ceiling and response times."""
    picture = release_chart.reported(synthetic_runs.SUITE, [table(*RELEASES)], REPORTS)
    assert picture is not None
    assert picture.name == "releases-report-fastapi-static_async"
    light = svg.draw(picture.chart).light.decode()
    for title in ("throughput, rps, higher is better", "ceiling use, ratio", "response time p99, ms, lower is better"):
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
            synthetic_runs.run(synthetic_runs.record(release=name, number=n)),
            distrusted=("truncated",) if name == "1.12.0" else (),
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
    """Two releases, a release that suite.toml does not declare, and the mock API alone have only a table."""
    assert release_chart.reported(synthetic_runs.SUITE, [found], REPORTS) is None


def test_runs_of_campaigns_make_no_picture() -> None:
    """What was measured in interleaved rounds has a better one."""
    found = cells(synthetic_runs.campaign(RELEASES, 4))
    assert release_chart.reported(synthetic_runs.SUITE, [found], REPORTS) is None


def fewer_threads(number: int, release: str) -> RunRecord:
    """A run of a release that cannot have the requested threads."""
    one = synthetic_runs.record(release=release, number=number, engine="flask", flow="static_sync")
    requested = dataclasses.replace(one.requested, profile=dataclasses.replace(one.requested.profile, threads=1))
    return dataclasses.replace(one, requested=requested, digests=dataclasses.replace(one.digests, profile="1" * 64))


def test_releases_with_other_threads_are_drawn_apart() -> None:
    """They are in the same picture, joined to no release with the requested threads; other conditions are not."""
    first = table("1.10.0", *RELEASES, engine="flask", flow="static_sync")
    older = [fewer_threads(n, name) for n, name in enumerate(("1.8.0", "1.9.0"), 1)]
    alone, both = (
        release_chart.reported(synthetic_runs.SUITE, made, REPORTS) for made in ([first], [first, cells_of(older)])
    )
    assert alone is not None
    assert both is not None
    counts = [svg.draw(one.chart).light.count(b"<use") for one in (alone, both)]
    assert counts[1] - counts[0] == len(older) * sum("report chart" in metric.shown_in for metric in METRICS)
    elsewhere = [dataclasses.replace(one, machine=dataclasses.replace(one.machine, cores=4)) for one in older]
    assert release_chart.reported(synthetic_runs.SUITE, [first, cells_of(elsewhere)], REPORTS) == alone


def test_what_differs_in_a_profile_is_named() -> None:
    """The table of releases that cannot have the requested threads names both numbers of threads."""
    (first,) = table("1.12.0", engine="flask", flow="static_sync")
    (other,) = cells_of([fewer_threads(1, "1.9.0")])
    assert notes.differing(first, other) == f"threads (`{first.requested.profile.threads}` there, `1` here)"


def cells_of(records: list[RunRecord]) -> list[Cell]:
    """Their cells."""
    return cells(synthetic_runs.run(one) for one in records)


def test_counts_have_no_picture_here() -> None:
    """Of runs that count work none of these panels has a point, so there is no empty picture."""
    made = [
        dataclasses.replace(one, requested=dataclasses.replace(one.requested, release=name))
        for name in RELEASES
        for one in [record(counts([1000.0] * 10))]
    ]
    found = cells(synthetic_runs.run(one) for one in made)
    assert release_chart.reported(synthetic_runs.SUITE, [found], REPORTS) is None
