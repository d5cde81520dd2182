"""Records of another Python than that of the tables: a test for each place where they could stand among the others."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import re
from pathlib import Path

import pytest

from scripts.analysis import grouping
from scripts.analysis.grouping import Cell
from scripts.analysis.run_reader import Run, Store
from scripts.config import concurrency
from scripts.inference import capacity_runs, paired_rounds, recorded_pairs, recorded_results
from scripts.inference.recorded_results import RecordedResults
from scripts.records import explanations
from scripts.report.explorer import contents
from scripts.report.pages import capacity_part, counted_part, explanation_index, site
from scripts.report.tables import exports
from tests.fakes import synthetic_runs, synthetic_searches
from tests.fakes.synthetic_runs import campaign, campaign_of_pythons, on_python
from tests.report.pages.test_counted_part import cell
from tests.report.pages.test_explanation_page import FASTER

SUITE = synthetic_runs.SUITE
NONE = Store(runs=(), skipped=())
RELEASES = ("1.10.0", "1.10.1", "1.11.0")
ROUNDS = 4


def write(results: Path, *runs: Run) -> None:
    """Write their records."""
    for one in runs:
        synthetic_runs.write(results, one.record)


def elsewhere(runs: list[Run]) -> list[Run]:
    """The runs, had Python 3.12 served them."""
    return [on_python(one, "3.12") for one in runs]


def read(results: Path) -> RecordedResults:
    """All that the records say."""
    return recorded_results.read(results, SUITE)


def derive(results: Path) -> dict[str, str]:
    """Every derived file as text."""
    return {name: content.decode() for name, content in site.derive(results, SUITE).files.items()}


def results_of(*runs: list[Run]) -> RecordedResults:
    """What follows from runs."""
    found = Store(runs=tuple(itertools.chain.from_iterable(runs)), skipped=())
    return recorded_results.of_runs(found, NONE, NONE, SUITE)


def compared_pythons(profile: str) -> list[list[Run]]:
    """A newer campaign of each release, on two Pythons."""
    return [
        campaign_of_pythons(
            release, ("3.11", "3.12"), ROUNDS, profile=profile, name=f"{number}" * 12, first=50 * number
        )
        for number, release in enumerate(RELEASES, 1)
    ]  # fmt: skip


def single(python: str, number: int, release: str = "1.12.0") -> Run:
    """A run that was measured by itself."""
    return on_python(synthetic_runs.run(synthetic_runs.record(release=release, number=number)), python)


def test_campaign_over_releases(tmp_path: Path) -> None:
    """A newer campaign over more releases on another Python makes no history, no heat map and no table of releases."""
    write(tmp_path, *campaign(RELEASES, ROUNDS, profile="report", name="aaaaaaaaaaaa"))
    before = derive(tmp_path)
    newer = elsewhere(campaign((*RELEASES, "1.12.0"), ROUNDS, profile="report", name="bbbbbbbbbbbb", first=50))
    write(tmp_path, *newer)
    assert [one.sources[0].campaign for one in read(tmp_path).histories] == ["aaaaaaaaaaaa"]
    after = derive(tmp_path)
    same = [name for name in before if not name.startswith("comparisons/")]
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


def test_campaign_over_releases_on_another_python_alone(tmp_path: Path) -> None:
    """It has a page of its own, and no history even where there is no other."""
    write(tmp_path, *elsewhere(campaign(RELEASES, ROUNDS, profile="report")))
    found = read(tmp_path)
    assert (found.histories, found.cells) == ((), ())
    assert "comparisons/c0ffee123456.md" in derive(tmp_path)


def test_pairs_of_releases() -> None:
    """Newer pairs on another Python join nothing to a campaign, make no chain, and take the place of no other pairs."""
    in_turn = campaign(RELEASES, ROUNDS, profile="compare", name="in turn")
    pair = ("1.11.0", "1.12.0")
    newer = elsewhere(campaign(pair, ROUNDS, profile="duet", name="newer", first=50))
    (history,) = results_of(in_turn, newer).histories
    assert (len(history.sources), dict(history.anchors)) == (1, {})
    older = campaign(pair, ROUNDS, profile="duet", name="older", first=30)
    (history,) = results_of(in_turn, newer, older).histories
    assert [one.campaign for one in history.sources] == ["in turn", "older"]
    assert [one.sources[0].campaign for one in results_of(newer, older).histories] == ["older"]


@pytest.mark.parametrize("profile", ["compare", "duet"])
def test_histories_without_compared_pythons(profile: str) -> None:
    """Releases that are compared by their Python make no history, and join nothing to one."""
    found = results_of(campaign(RELEASES, ROUNDS, profile="compare", name="in turn"), *compared_pythons(profile))
    assert [[source.campaign for source in one.sources] for one in found.histories] == [["in turn"]]
    assert {cell.requested.release for cell in found.cells} == set(RELEASES)
    assert len(found.campaigns) == 1 + len(RELEASES)


def test_compared_pythons(tmp_path: Path) -> None:
    """Releases that are compared by their Python are in no history, table, summary, page of a release or matrix."""
    write(tmp_path, *campaign(RELEASES, ROUNDS, profile="report", name="aaaaaaaaaaaa"))
    before = derive(tmp_path)
    write(tmp_path, *itertools.chain.from_iterable(compared_pythons("report")))
    after = derive(tmp_path)
    ours = [name for name in before if not name.startswith("comparisons/") and name != "README.md"]
    assert {name: after[name] for name in ours} == {name: before[name] for name in ours}
    head, _, rest = after["README.md"].partition("## Another Python\n")
    assert head + rest.partition("comparisons/python.md).\n\n")[2] == before["README.md"]


def test_runs_in_tables(tmp_path: Path) -> None:
    """A newer run on another Python stands in a table of its own, after that of all others, and makes no picture."""
    write(tmp_path, *(single("3.11", number, one) for number, one in enumerate(("1.11.0", "1.12.0", "1.18.5"), 1)))
    write(tmp_path, single("3.12", 9, "1.18.5"))
    page = derive(tmp_path)["README.md"]
    tables = page[page.index("## Figures of every release") :]
    assert len(re.findall(r"^\| Release +\| +Runs \|", tables, re.MULTILINE)) == 2
    assert "Measured under other conditions than the first table: Python" in tables
    assert tables.index("[1.11.0]") < tables.index("Measured under other conditions")
    assert "releases-report-fastapi-static_async.svg" in page


def test_page_of_a_release(tmp_path: Path) -> None:
    """It shows the run on the Python of the tables, and says how many there are on another one."""
    old, new = single("3.11", 1), single("3.12", 9)
    write(tmp_path, old, new)
    page = derive(tmp_path)["v1.12.0/README.md"]
    assert old.record.run_id in page
    assert new.record.run_id not in page
    assert "1 more run(s) under other conditions are not pooled with these. They differ in Python" in page


def test_exports() -> None:
    """Of runs on two Pythons, those of the tables are exported."""
    cells = grouping.cells([single("3.11", 1), single("3.12", 9), single("3.12", 10, "1.18.5")])
    found = exports.figures(cells, SUITE.python)
    pythons = {figure.cell.requested.release: figure.cell.requested.python for figure in found}
    assert pythons == {"1.12.0": "3.11", "1.18.5": "3.12"}
    assert json.loads(exports.bmf(found)).keys() == {
        "1.12.0/fastapi/static_async/report", "1.18.5/fastapi/static_async/report",
    }  # fmt: skip


def counted(release: str, python: str, instructions: float) -> Cell:
    """A count on a Python."""
    return Cell(runs=tuple(on_python(one, python) for one in cell(release, instructions).runs))


@pytest.mark.parametrize("turn", [1, -1])
def test_counts(turn: int) -> None:
    """Counts on another Python are not those of a release, whichever are newer."""
    cells = [counted("1.12.0", "3.11", 1000.0), counted("1.12.0", "3.12", 800.0)][::turn]
    cells.append(counted("1.18.5", "3.12", 900.0))
    found = counted_part.counts(cells, "fastapi", "static_async", SUITE.python)
    assert {release: spread.median for release, spread in found.items()} == {"1.12.0": 1000.0}
    instructions = explanation_index.instructions(cells)
    assert instructions["1.12.0", "fastapi", "static_async", "3.11"] == 1000.0
    assert instructions["1.12.0", "fastapi", "static_async", "3.12"] == 800.0


def test_explanations() -> None:
    """A change of the tables leads to no explanation on another Python."""
    newer = dataclasses.replace(FASTER, id="20261128T081500Z-0a1b2c", python="3.12.1")
    pages = explanation_index.pages([newer, FASTER], SUITE.python)
    assert list(pages.values()) == [f"{explanations.FOLDER}/{FASTER.id}.md"]


def test_capacities() -> None:
    """A newer search on another Python is not the capacity of a release, and comes in a later table."""
    old, other = synthetic_searches.searched(130), synthetic_searches.searched(221, first=50)
    new = capacity_runs.carried_out(other.settings, elsewhere(list(other.runs)))
    part = capacity_part.part(SUITE, (), [old, new])
    assert part is not None
    (scenario,) = [one for one in part.scenarios if one.answer]
    assert [bool(table.about) for table in scenario.tables] == [False, True]
    assert "Python: 3.12.9, not 3.11.9" in scenario.tables[1].about
    lines = capacity_part.of_release(SUITE, "1.12.0", [old, new])
    assert lines == capacity_part.of_release(SUITE, "1.12.0", [old])


def test_any_two_releases() -> None:
    """Rounds on each Python are shown by themselves, however many more there are on another one."""
    runs = [
        campaign(RELEASES, 4, name="a"),
        elsewhere(campaign(RELEASES, 8, name="b", first=50)),
        campaign_of_pythons("1.10.0", ("3.11", "3.12"), 8, name="c", first=90),
    ]
    campaigns = paired_rounds.pair(itertools.chain.from_iterable(runs))
    found = recorded_pairs.most_rounds(campaigns, [("1.10.0", "1.11.0")])
    assert [(one.campaign, one.pythons[1]) for one in found] == [("a", "3.11.9"), ("b", "3.12.9")]


def test_explorer(tmp_path: Path) -> None:
    """The packages of a release are those of the Python of the tables, and each comparison has its Python."""
    newer = single("3.12", 9).record
    assert newer.observed is not None
    moved = dataclasses.replace(newer, observed=dataclasses.replace(newer.observed, distributions={"promptflow": "x"}))
    write(tmp_path, single("3.11", 1))
    synthetic_runs.write(tmp_path, moved)
    write(tmp_path, *elsewhere(campaign(("1.12.0", "1.18.5"), ROUNDS, name="bbbbbbbbbbbb", profile="report", first=50)))
    document = contents.document(SUITE, read(tmp_path), concurrency.serial)
    assert document.distributions["1.12.0"] == {"promptflow": "1.12.0"}
    assert {(one.old, one.new, one.python) for one in document.pairs} == {("1.12.0", "1.18.5", "3.12")}


def test_summary(tmp_path: Path) -> None:
    """Figures of two Pythons have rows of their own, told apart by their conditions."""
    write(tmp_path, single("3.11", 1), single("3.12", 9))
    rows = csv.DictReader(io.StringIO(derive(tmp_path)["summary.csv"]))
    conditions = {row["conditions"]: row["runs"] for row in rows if row["metric"] == "cpu_per_request_ms"}
    assert list(conditions.values()) == ["1", "1"]
