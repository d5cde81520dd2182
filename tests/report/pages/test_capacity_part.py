"""Capacity on the pages of results: figures, words for what has none, and where it parts from counted work."""

from __future__ import annotations

import csv
import dataclasses
import io
import shutil
from pathlib import Path

import pytest

from scripts.analysis import run_reader
from scripts.analysis.grouping import Cell, Spread
from scripts.config.matrix import ROOT
from scripts.inference import capacity_runs
from scripts.inference.capacity_runs import CapacitySearch
from scripts.report.pages import capacity_page, capacity_part, counted_part, site
from scripts.report.pages.capacity_part import CapacityPart, CapacityScenario
from scripts.report.tables import capacity_table, summary_csv
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_searches import IDENTITY, SETTINGS, searched

SUITE = synthetic_runs.SUITE
TITLE = "FastApi + Async Function Nodes"


def part(*searches: CapacitySearch, cells: tuple[Cell, ...] = ()) -> CapacityPart:
    """The part of the results about these searches."""
    found = capacity_part.part(SUITE, cells, capacity_table.shown(searches, SETTINGS))
    assert found is not None
    return found


def scenario(*searches: CapacitySearch) -> CapacityScenario:
    """The same of the scenario that they are of."""
    return next(one for one in part(*searches).scenarios if one.title == TITLE)


def row(one: CapacityScenario, release: str, table: int = 0) -> list[str]:
    """The cells of a release, without its name."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in one.tables[table].text.splitlines()]
    return next(cells[1:] for cells in rows if cells[0].startswith(f"[{release}]"))


def cut(search: CapacitySearch, runs: slice) -> CapacitySearch:
    """The search as some of its runs tell it."""
    return capacity_runs.carried_out(search.settings, search.runs[runs])


def test_nothing_was_searched() -> None:
    """Without any search there is no part, and no line on a release's page."""
    assert capacity_part.part(SUITE, (), ()) is None
    assert capacity_part.of_release(SUITE, "1.12.0", ()) == []


def test_page_and_terminal_show_the_same() -> None:
    """The row of a release on the page has the very figures that its session printed."""
    search = searched(221)
    figures = capacity_table.figures(search)
    assert figures[:3] == ["203.3", "203.3 to 203.3", "214"]
    assert row(scenario(search), "1.12.0")[: len(figures)] == figures
    printed = capacity_page.of_session(SUITE, SETTINGS, [search], "nox -s x")
    assert [cell.strip() for cell in printed.splitlines()[4].strip("|").split("|")][2:-1] == figures


def at_speed(search: CapacitySearch, loop_ms: float) -> CapacitySearch:
    """The search on a machine that needs so long for its reference loop."""
    runs = [dataclasses.replace(run, values=run.values | {"reference_loop_ms": loop_ms}) for run in search.runs]
    return capacity_runs.carried_out(search.settings, runs)


@pytest.mark.parametrize(("second_ms", "told"), [(10.9, False), (14.0, True)])
def test_machine_that_was_slower_in_some_searches_is_told(second_ms: float, told: bool) -> None:
    """Capacities of a fast and of a slow hour cannot be compared, so the page says how unlike the hours were."""
    found = part(at_speed(searched(221), 10.0), at_speed(searched(130, release="1.15.0", first=2), second_ms))
    assert (found.speed is not None) == told
    if found.speed is not None:
        assert "reference loop, took 10.00 to 14.00 ms" in found.speed


def test_every_last_release_has_a_row() -> None:
    """The last release of each minor line that has the engine has a row, searched or not."""
    found = scenario(searched(221), searched(130, release="1.15.0", first=2))
    names = [line.split("]")[0].removeprefix("| [") for line in found.tables[0].text.splitlines()[2:]]
    assert names[:2] == ["1.18.5", "1.17.2"]
    assert names[-1] == "1.10.1"
    assert "1.15.0" in names  # no last one, but searched
    assert row(found, "1.18.5")[0] == "not searched"


@pytest.mark.parametrize(
    ("search", "word"),
    [
        (cut(searched(221), slice(4)), "interrupted after 4 runs"),
        (cut(searched(221), slice(1, None)), "incomplete: a run of the search is missing or cannot be read"),
        (searched(0), "not found"),
        (searched(5000), "at least 950.0"),
        (searched(221, outcome=lambda trial: "invalid" if trial.number == 3 else "ok"), "203.3"),
    ],
    ids=["interrupted", "lost run", "no load", "not the server's bound", "an invalid run that was repeated"],
)
def test_every_end_has_its_word(search: CapacitySearch, word: str) -> None:
    """However a search ended, its release says it on the results page and on its own."""
    assert row(scenario(search), "1.12.0")[0] == word
    line = next(one for one in capacity_part.of_release(SUITE, "1.12.0", [search]) if TITLE in one)
    assert line.removeprefix(f"**Capacity, {TITLE}**: ").startswith(word)


def test_release_without_a_search() -> None:
    """A release that was not searched says so on its page, with the command that does."""
    lines = capacity_part.of_release(SUITE, "1.0.0", [searched(221)])
    assert lines == ["**Capacity, Flask + Sync Function Nodes**: not searched (`nox -s capacity -- 1.0.0`)."]


def test_newest_search_counts() -> None:
    """Of two searches of a release the newer one is shown, unless it was interrupted."""
    older, newer = searched(221), searched(130, identity=dataclasses.replace(IDENTITY, id="0" * 12), first=2)
    assert row(scenario(older, newer), "1.12.0")[2] == f"{newer.users}"
    assert row(scenario(older, cut(newer, slice(3))), "1.12.0")[2] == f"{older.users}"


def test_other_objectives_and_candidates_have_no_place() -> None:
    """A search to another objective, or of a candidate, stands in no table of releases."""
    strict = dataclasses.replace(IDENTITY, settings=dataclasses.replace(SETTINGS, overhead_p99_max_ms=500.0))
    candidate = searched(221, release="1.18.5+1a2b3c4d")
    assert capacity_table.shown([searched(221, identity=strict), candidate], SETTINGS) == []
    near = dataclasses.replace(IDENTITY, settings=SETTINGS.near(200))
    assert len(capacity_table.shown([searched(221, identity=near)], SETTINGS)) == 1


def test_other_machines_have_a_table_of_their_own() -> None:
    """Searches of different conditions are in different tables, which say in what they differ."""

    def moved(search: CapacitySearch) -> CapacitySearch:
        machine = dataclasses.replace(synthetic_runs.MACHINE, cores=2)
        runs = [
            dataclasses.replace(run, record=dataclasses.replace(run.record, machine=machine)) for run in search.runs
        ]
        return capacity_runs.carried_out(search.settings, runs)

    found = scenario(searched(221, release="1.14.0"), moved(searched(130, release="1.13.0", first=2)))
    assert [table.about for table in found.tables] == ["", "cores: 2, not 8"]
    assert row(found, "1.13.0", table=1)[2] == f"{searched(130).users}"


def test_answer_names_the_newest_and_the_best() -> None:
    """The first sentence of a scenario is about the newest release, and names the best one."""
    older, newer = searched(221), searched(130, release="1.18.5", first=2)
    assert scenario(older, newer).answer == "1.18.5 holds 116.8 requests/s; the most is 203.3, of 1.12.0"
    assert scenario(older).answer == "1.12.0 holds 203.3 requests/s"
    lost = scenario(older, searched(0, release="1.18.5", first=2))
    assert lost.answer == "1.18.5: not found; 1.12.0 holds 203.3 requests/s"


def test_where_they_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release is named when its capacity moved otherwise than its instructions suggest, within what is known."""
    counts = {"1.12.0": 20e6, "1.13.0": 20e6, "1.14.0": 10e6}
    spreads = {release: Spread(median=value, low=value, high=value) for release, value in counts.items()}
    monkeypatch.setattr(counted_part, "counts", lambda *_: spreads)
    found = scenario(
        searched(221), searched(215, release="1.13.0", first=2), searched(218, release="1.14.0", first=3),
    )  # fmt: skip
    (line,) = found.parts
    assert line.startswith("**1.14.0** against 1.13.0: capacity +0.0 %")
    assert line.endswith("the instructions per request, -50.0 %, suggest +100.0 %.")


def rows_of_csv(*searches: CapacitySearch) -> list[dict[str, str]]:
    """The rows of summary.csv."""
    return list(csv.DictReader(io.StringIO(summary_csv.summary((), searches).decode())))


def test_summary_has_a_row_for_each_search() -> None:
    """summary.csv has the median and range, and ranks only what the server limited."""
    found = rows_of_csv(searched(221), searched(5000, first=2), searched(0, first=3), cut(searched(221), slice(4)))
    assert {(one["profile"], one["metric"], one["unit"]) for one in found} == {("capacity", "capacity_rps", "rps")}
    assert [(one["value"], one["low"], one["high"], one["runs"]) for one in found] == [
        ("203.3", "203.3", "203.3", "3"), ("950", "950", "950", "3"), *[("NA", "NA", "NA", "0")] * 2,
    ]  # fmt: skip
    assert [(one["outcome"], one["bound"], one["ranked"]) for one in found] == [
        ("ok", "server-bound", "yes"),
        ("ok", "NA", "no"),
        ("not-found", "NA", "no"),
        ("interrupted", "NA", "no"),
    ]
    assert len({one["conditions"] for one in found}) == 1  # however many users


def test_committed_search_is_on_the_pages(tmp_path: Path) -> None:
    """A search of before schema 6, whose records name no search, has its figure on every page."""
    cell = Path("runs") / "capacity" / "1.12.0" / "fastapi-static_async"
    old = [path for path in (ROOT / "results" / cell).iterdir() if path.name.startswith("20261123T")]
    for path in old:
        shutil.copytree(path, tmp_path / cell / path.name)
    synthetic_runs.write(tmp_path, synthetic_runs.record())
    store = run_reader.read_profile(tmp_path, "capacity")
    (search,) = capacity_runs.searches(store.runs, SETTINGS)
    assert (len(search.tried), len(search.confirming)) == (len(old), SETTINGS.confirm_runs)
    derived = site.derive(tmp_path, SUITE).files
    assert "history-capacity.svg" in derived
    figure = capacity_table.capacity(search)
    assert f"**{TITLE}**: 1.12.0 holds {figure} requests/s." in derived["README.md"].decode()
    assert (
        f"**Capacity, {TITLE}**: {figure} requests/s by {search.users} users" in derived["v1.12.0/README.md"].decode()
    )
    assert b",capacity,capacity_rps,rps," in derived["summary.csv"]
    (tmp_path / cell / old[0].name / "record.json").write_text("{", encoding="utf-8")
    again = site.derive(tmp_path, SUITE)
    assert [one.path for one in again.skipped] == [(cell / old[0].name).as_posix()]
    assert b"incomplete" in again.files["README.md"]
    assert "history-capacity.svg" not in again.files
