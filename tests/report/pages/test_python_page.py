"""The page of what another Python changes, and its part of the results."""

from __future__ import annotations

import dataclasses
import itertools
import re
from pathlib import Path

from scripts.analysis.run_reader import Run
from scripts.inference import comparison, paired_rounds, python_changes
from scripts.report.pages import comparison_index, python_page, site, templates
from scripts.report.pages.explanation_page import Counted
from scripts.report.pages.python_page import Scenarios
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import campaign_of_pythons
from tests.report.pages.test_foreign_text import EVIL, Live

SUITE = synthetic_runs.SUITE
CPU, READY = "cpu_per_request_ms", "ready_s"
WOBBLE = (1.001, 0.999, 1.002, 0.998, 1.0015, 0.9985, 1.0, 1.0)
ROUNDS = len(WOBBLE)
COUNTED: Counted = {
    ("1.18.5", "fastapi", "static_async", "3.11"): 20e6,
    ("1.18.5", "fastapi", "static_async", "3.12"): 15e6,
}


def pair(release: str, python: str, factor: float, first: int, flow: str = "static_async") -> list[Run]:
    """A release on 3.11 and on another Python, of which CPU time and the start change."""
    changed = [factor * one for one in WOBBLE]
    figures: dict[str, list[list[float | None]]] = {
        CPU: [[5.0] * ROUNDS, [5.0 * one for one in changed]],
        READY: [[2.0] * ROUNDS, [2.0 * one for one in changed]],
    }
    return campaign_of_pythons(
        release, ("3.11", python), ROUNDS, figures, name=f"{first:012x}", first=first, flow=flow, profile="duet"
    )


def found(*runs: list[Run]) -> Scenarios:
    """What these runs say."""
    return python_changes.find(paired_rounds.pair(itertools.chain.from_iterable(runs)), {}, SUITE)


BOTH = found(
    pair("1.18.5", "3.10", 1.3, 100), pair("1.18.5", "3.12", 0.8, 200), pair("1.12.0", "3.12", 1.0, 300)
)  # fmt: skip


def page(scenarios: Scenarios, counted: Counted | None = None) -> str:
    """The whole page."""
    (content,) = python_page.render(SUITE, scenarios, counted or {}).values()
    assert isinstance(content, bytes)
    return content.decode()


def row(text: str, *labels: str) -> list[str]:
    """The cells of the row with these labels."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    (cells,) = [one[len(labels) :] for one in rows if one[: len(labels)] == list(labels)]
    return cells


def test_answer_comes_first() -> None:
    """The first line says how the CPU time of the newest release changes, with intervals and verdicts."""
    lines = page(BOTH).splitlines()
    assert lines[:4] == [templates.MARKER, "", "# What does another Python change?", ""]
    assert lines[4].startswith(
        "- **FastApi + Async Function Nodes**: CPU per request of 1.18.5 against Python 3.11.9: +30.0 % ("
    )
    assert lines[4].endswith(") on 3.10.9, a regression; -20.0 % (-20.1 % to -19.9 %) on 3.12.9, an improvement.")


def test_row_for_each_metric_and_release() -> None:
    """The first Python is the baseline, the others have figure, change and interval, bold where something changed."""
    text = page(BOTH)
    assert "| Metric | Release | Python 3.11.9 | Python 3.10.9 | Python 3.12.9 |" in text
    first, older, newer = row(text, "ready (s) \u2193", "1.18.5")
    assert first == "2.000"
    assert older.startswith("**2.600, +30.0 % (")
    assert newer.startswith("**1.600, -20.0 % (")
    _, missing, unchanged = row(text, "CPU per request (ms) \u2193", "1.12.0")
    assert missing == "\u2013"
    assert re.fullmatch(r"5\.000, [+-]0\.0 % \(-0\.\d % to \+0\.\d %\)", unchanged)
    for metric in ("overhead p50 (ms)", "overhead p99 (ms)", "memory end", "first answer (ms)"):
        assert f"| {metric} \u2193 | 1.18.5 |" in text


def test_counts_stand_beside_times_where_there_are_some() -> None:
    """Instructions are in the table with their change, and a Python or release without a count has none."""
    assert "instructions per request" not in page(BOTH)
    text = page(BOTH, COUNTED)
    assert row(text, "instructions per request \u2193", "1.18.5") == ["20.00 M", "\u2013", "15.00 M, -25.0 %"]
    assert "| instructions per request \u2193 | 1.12.0 |" not in text


def test_how_it_was_measured() -> None:
    """Every campaign is linked with its rounds, and one command repeats all of them."""
    text = page(BOTH)
    assert f"[1.18.5+py3.10 against 1.18.5+py3.11]({100:012x}.md): 8 rounds of profile `duet`" in text
    command = "nox -s compare -- 1.12.0 1.18.5 --rounds 8 --engine fastapi --flow static_async"
    assert f"`{command} --python 3.11 --python 3.10 --python 3.12`" in text


def test_part_of_the_results() -> None:
    """The results have the answers of all scenarios, and the CPU time of each release on each Python."""
    part = python_page.part(SUITE, [*BOTH, *found(pair("1.18.5", "3.12", 0.9, 400, flow="flex_async"))])
    assert part is not None
    assert len(part.answers) == 2
    assert "| Engine and flow | Release | Python 3.11.9 | Python 3.10.9 | Python 3.12.9 |" in part.table
    assert row(part.table, "FastApi + Async Function Nodes", "1.18.5")[0] == "5.000"
    baseline, missing, newer = row(part.table, "FastApi + Flex Async Function Nodes", "1.18.5")
    assert (baseline, missing) == ("5.000", "\u2013")
    assert newer.startswith("**4.500, -10.0 % (")


def test_inconclusive_rounds_say_so() -> None:
    """Where the rounds allow no interval, the answer is the verdict."""
    few = campaign_of_pythons("1.18.5", ("3.11", "3.12"), 3)
    assert "against Python 3.11.9: inconclusive on 3.12.9." in page(found(few))


def test_nothing_without_a_comparison_of_pythons() -> None:
    """Without one there is no page, and no part of the results."""
    assert python_page.render(SUITE, [], COUNTED) == {}
    assert python_page.part(SUITE, []) is None


def test_page_is_derived_from_the_records(tmp_path: Path) -> None:
    """Collating writes the page with the comparisons, links it from the results, and finds it again."""
    synthetic_runs.write(tmp_path, synthetic_runs.record())
    before = site.derive(tmp_path, SUITE).files
    assert python_page.PAGE not in before
    assert b"Another Python" not in before["README.md"]
    for one in campaign_of_pythons("1.18.5", ("3.11", "3.12"), ROUNDS, profile="report", first=30):
        synthetic_runs.write(tmp_path, one.record)
    derived = site.derive(tmp_path, SUITE).files
    assert b"## Another Python\n\n- **FastApi + Async Function Nodes**" in derived["README.md"]
    assert b"](comparisons/python.md)" in derived["README.md"]
    for name, content in derived.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(content)
    assert tmp_path / python_page.PAGE in set(site.of_releases(tmp_path))


def test_index_asks_the_question_unfolded() -> None:
    """A release on two Pythons is a question about Python, and not a test of the suite."""
    runs = campaign_of_pythons("1.18.5", ("3.11", "3.12"), 4)
    campaigns = paired_rounds.pair(runs)
    index = comparison_index.render(campaigns, comparison.noise_floors(campaigns))["comparisons/README.md"]
    assert isinstance(index, bytes)
    assert "[1.18.5+py3.12 against 1.18.5+py3.11](c0ffee123456.md), fastapi static_async" in index.decode()
    assert b"<details>" not in index


def test_foreign_text_stays_text() -> None:
    """A record whose Python is markup brings no markup into the page."""
    runs = campaign_of_pythons("1.18.5", ("3.11", "3.12"), ROUNDS)
    spoilt = [
        dataclasses.replace(one, record=dataclasses.replace(one.record, python=EVIL))
        for one in runs
        if one.record.requested.arm == 2
    ]
    scenarios = found([one for one in runs if one.record.requested.arm == 1], spoilt)
    part = python_page.part(SUITE, scenarios)
    assert part is not None
    assert "alert(1)" in page(scenarios)
    for text in (page(scenarios), part.table, *part.answers):
        assert Live(text).problems == []
