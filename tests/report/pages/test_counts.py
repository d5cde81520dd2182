"""Counts on pages: they have metrics of their own, and no table has an empty column."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from scripts.analysis import grouping
from scripts.analysis.run_reader import Run
from scripts.config import matrix_file
from scripts.config.load_profiles import COUNT
from scripts.inference import comparison, paired_rounds, release_history
from scripts.records.schema import CountedWindow, Counts
from scripts.report.pages import comparison_page, release_page
from scripts.report.tables import markdown, summary_csv
from tests.fakes import synthetic_runs

SUITE = matrix_file.load()
COMPARED = ["instructions_per_request", "system_calls_per_request", "first_request_instructions"]


def counted(one: Run, instructions: int) -> Run:
    """The same run, had it counted work."""
    counts = Counts(
        valgrind="3.19.0",
        pinned=("hash seed 0",),
        start_up_instructions=None,
        first_request_instructions=2 * instructions,
        warm_up_requests=15,
        windows=tuple(
            CountedWindow(requests=5, instructions=5 * instructions + place % 2, system_calls=2500)
            for place in range(10)
        ),
        backend_received=65,
    )
    return synthetic_runs.run(dataclasses.replace(one.record, measurements=None, counts=counts))


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    """A campaign of five rounds, whose candidate takes 2 % more instructions."""
    found = synthetic_runs.campaign(("1.12.0", "1.18.5"), 5, profile=COUNT)
    noise = itertools.cycle((0, 7, -5, 3, 2))
    return [counted(one, (20_400_000 if one.record.requested.arm == 2 else 20_000_000) + next(noise)) for one in found]


def test_only_counted_metrics_are_compared(runs: list[Run]) -> None:
    """A comparison of counts has no row of a metric that needs time, and sees 2 % of instructions."""
    (judged,) = comparison.judge(paired_rounds.pair(runs), {})
    assert [effect.metric.name for effect in judged.effects] == COMPARED
    assert judged.effects[0].verdict == "regression"


def test_only_timed_metrics_are_compared() -> None:
    """A comparison of loads has no row of a metric that needs a count."""
    (judged,) = comparison.judge(paired_rounds.pair(synthetic_runs.campaign(("1.12.0", "1.18.5"), 5)), {})
    assert not {effect.metric.name for effect in judged.effects} & set(COMPARED)


def test_page_of_a_comparison(runs: list[Run]) -> None:
    """It names one worker in place of users, and has no row without data."""
    found = paired_rounds.pair(runs)
    page = comparison_page.render(found, comparison.judge(found, {}), title="counts").decode()
    assert "one worker, one request after the other" in page
    assert "no data" not in page.replace("No data", "no data")


def test_table_of_releases(runs: list[Run]) -> None:
    """A table of counts has neither a bound nor a metric of time."""
    (head, *_) = markdown.releases(grouping.cells(runs)).splitlines()
    assert "instructions per request" in head
    assert not any(word in head for word in ("Bound", "rps", "overhead"))


def test_page_of_a_release(runs: list[Run]) -> None:
    """It says how work was counted and how to repeat it, without the published table and without users."""
    alone = [
        dataclasses.replace(
            one, record=dataclasses.replace(
                one.record, requested=dataclasses.replace(one.record.requested, campaign="", round_id="", arm=0)
            )
        )
        for one in runs
    ]  # fmt: skip
    cells = {one.requested.release: [one] for one in grouping.cells(alone)}
    files = release_page.render(SUITE, "1.18.5", cells, None)
    page = files["v1.18.5/README.md"]
    assert isinstance(page, bytes)
    text = page.decode()
    assert "nox -s count-1.18.5-fastapi" in text
    assert "Counted by valgrind 3.19.0" in text
    assert not any(word in text for word in ("USERS=", "| POST"))
    assert list(files) == ["v1.18.5/README.md"]


def test_summary(runs: list[Run]) -> None:
    """Only the metrics that a count can have stand in the summary."""
    rows = summary_csv.summary(grouping.cells(runs)).decode().splitlines()[1:]
    assert {row.split(",")[4] for row in rows} > set(COMPARED)
    assert not any(row.split(",")[5] == "ms" for row in rows)


def test_counts_are_no_history_of_times() -> None:
    """A campaign of counts over releases does not take the place of one that measured time."""
    releases = ("1.17.2", "1.18.0", "1.18.1", "1.18.2")
    timed = paired_rounds.pair(synthetic_runs.campaign(releases, 4))
    counts = [
        counted(one, 20_000_000)
        for one in synthetic_runs.campaign(releases, 4, profile=COUNT, name="beef00000000", first=50)
    ]
    chosen = release_history.newest([*timed, *paired_rounds.pair(counts)], SUITE)
    assert [one.campaign for one in chosen.values()] == [one.campaign for one in timed]
