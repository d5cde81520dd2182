"""What a session of searches prints: the tables of every way that a search can end."""

from __future__ import annotations

import pytest

from scripts.analysis.run_reader import Run
from scripts.config.load_profiles import Capacity
from scripts.inference import capacity_runs
from scripts.inference.capacity_runs import CapacitySearch, Tried
from scripts.inference.capacity_search import CapacityResult, Limit, Phase, Trial
from scripts.report.pages import capacity_page
from scripts.report.tables import capacity_table
from tests.fakes import synthetic_runs, synthetic_searches
from tests.fakes.synthetic_searches import loaded

SETTINGS = Capacity(
    start_users=60,
    growth=1.5,
    precision=0.1,
    max_users=1000,
    confirm_runs=2,
    failure_ratio_max=0.001,
    overhead_p99_max_ms=250.0,
)
OBJECTIVE = "at most 0.1 % of the requests fail, and 99 % of the others exceed the ideal time by at most 250 ms"


def tried(number: int, users: int, run: Run, phase: Phase = "step") -> Tried:
    """A run at its place in a search."""
    trial = Trial(number=number, phase=phase, users=users)
    return Tried(trial=trial, run=run, judgement=capacity_runs.judge(run, SETTINGS))


RUNS = (
    tried(1, 60, loaded(overhead_ms=80.0)),
    tried(2, 90, loaded(overhead_ms=400.0)),
    tried(3, 60, loaded(overhead_ms=90.0, requests=1100), "confirm"),
    tried(4, 60, loaded(overhead_ms=85.0, failed=1, requests=1200), "confirm"),
)


def shown(found: CapacityResult, runs: tuple[Tried, ...] = RUNS) -> list[str]:
    """What is printed of one search, line by line."""
    search = CapacitySearch(settings=SETTINGS, runs=tuple(one.run for one in runs), tried=runs, found=found)
    return capacity_page.of_session(synthetic_runs.SUITE, SETTINGS, [search], "nox -s x").splitlines()


def test_whole_page() -> None:
    """The page has the confirmed figures, the objective, every run, and how to repeat it."""
    limit = Limit(users=90, verdict="missed")
    lines = shown(CapacityResult(users=60, confirmed_by=(3, 4), limit=limit))
    assert lines == [
        "# Capacity of promptflow 1.12.0",
        "",
        *lines[2:5],
        "",
        f"Objective: {OBJECTIVE}.",
        "",
        "## 1.12.0, FastApi + Async Function Nodes: every run",
        "",
        *lines[10:16],
        "",
        "Repeat with `nox -s x`.",
    ]


def cells(line: str) -> list[str]:
    """The cells of a row of a table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_confirmed_figures() -> None:
    """The row of a scenario is made of its confirming runs alone: the median and range, and the worst."""
    lines = shown(CapacityResult(users=60, confirmed_by=(3, 4), limit=Limit(users=90, verdict="missed")))
    row = dict(zip(cells(lines[2]), cells(lines[4]), strict=True))
    assert row == {
        "Release": "1.12.0",
        "Scenario": "FastApi + Async Function Nodes",
        "Capacity (rps) \u2191": "23.00",
        "Lowest to highest": "22.00 to 24.00",
        "Users": "60",
        "Worst overhead p99 (ms)": "90.00",
        "Worst failure ratio": "0.0008333",
        "CPU of the server (cores)": "1.152",
        "Reference loop (ms)": "10.50",
        "Confirming runs": "2 of 4",
        "With more users": "at 90 users the objective is missed",
    }


def test_every_run_is_shown() -> None:
    """Each run of a search has a row with its verdict, its figures, and why it does not meet the objective."""
    lines = shown(CapacityResult(users=60, confirmed_by=(3, 4), limit=Limit(users=90, verdict="missed")))
    rows = [cells(line) for line in lines[12:16]]
    assert [row[:4] for row in rows] == [
        ["1", "step", "60", "met"],
        ["2", "step", "90", "missed"],
        ["3", "confirm", "60", "met"],
        ["4", "confirm", "60", "met"],
    ]
    assert rows[1][4:] == ["20.00", "400.0", "0", "1.152", "3.200", "`overhead p99 400.0 ms > 250 ms`"]


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (None, "more users were not tried"),
        (Limit(users=90, verdict="generator-bound"), "at 90 users the load generator is the bound"),
        (Limit(users=90, verdict="invalid"), "at 90 users no run is valid"),
    ],
)
def test_no_ceiling(limit: Limit | None, text: str) -> None:
    """Without a load that the server misses, the figure is "at least", and the last column says why."""
    row = cells(shown(CapacityResult(users=60, confirmed_by=(3, 4), limit=limit))[4])
    assert row[2] == "at least 23.00"
    assert row[-1] == text


def test_nothing_found() -> None:
    """A search without a confirmed load shows no figure, but all of its runs and where it failed."""
    failed = synthetic_runs.run(synthetic_runs.record(outcome="failed", reasons=("it | died",)))
    lines = shown(
        CapacityResult(users=None, confirmed_by=(), limit=Limit(users=60, verdict="invalid")), (tried(1, 60, failed),)
    )
    row = cells(lines[4])
    assert row[:3] == ["1.12.0", "FastApi + Async Function Nodes", "not found"]
    assert row[3:] == [*["\N{EN DASH}"] * 7, "at 60 users no run is valid"]
    assert cells(lines[12])[-1] == "`it ¦ died`"


def of(*searches: CapacitySearch) -> str:
    """What is printed of these searches."""
    return capacity_page.of_session(synthetic_runs.SUITE, synthetic_searches.SETTINGS, searches, "nox -s x")


def test_searches_without_a_result() -> None:
    """An interrupted search, and one of which a run is lost, say so in place of a figure."""
    runs = synthetic_searches.searched(221).runs
    cut = capacity_runs.carried_out(synthetic_searches.SETTINGS, runs[:4])
    lost = capacity_runs.carried_out(synthetic_searches.SETTINGS, runs[1:])
    rows = [cells(line) for line in of(cut, lost).splitlines()[4:6]]
    assert [row[2] for row in rows] == [
        "interrupted after 4 runs",
        "incomplete: a run of the search is missing or cannot be read",
    ]
    assert {cell for row in rows for cell in row[3:]} == {"\N{EN DASH}", "10.50"}  # how fast the machine was is known


def test_title_of_many_releases() -> None:
    """The title names up to three releases, and counts more."""
    searches = [synthetic_searches.searched(221, release=f"1.{minor}.0") for minor in range(10, 14)]
    assert of(*searches[:3]).startswith("# Capacity of promptflow 1.10.0, 1.11.0 and 1.12.0\n")
    assert of(*searches).startswith("# Capacity of promptflow 4 releases\n")


def test_line_about_a_run() -> None:
    """The terminal shows the verdict of each run, and why."""

    def line(tried: Tried) -> str:
        return capacity_table.progress_line(tried.run, tried.judgement)

    assert line(RUNS[0]) == "60 users, objective met: 20.00 rps, overhead p99 80.00 ms"
    assert line(RUNS[1]) == "60 users, missed: overhead p99 400.0 ms > 250 ms"
