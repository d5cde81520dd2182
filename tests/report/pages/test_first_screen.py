"""The sentences and the heat map that the results open with."""

from __future__ import annotations

import dataclasses
from typing import cast

from scripts.analysis.metrics import METRICS
from scripts.inference import paired_rounds, release_history
from scripts.inference.release_history import ReleaseHistory
from scripts.report.charts.heat_map import Panel
from scripts.report.pages import first_screen
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import campaign

SUITE = synthetic_runs.SUITE
RELEASES = ("1.10.0", "1.10.1", "1.11.0", "1.12.0")
READY = next(metric for metric in METRICS if metric.name == "ready_s")


def history(*levels: float) -> ReleaseHistory:
    """Releases with these times until ready, with hardly any noise."""
    figures: list[list[float | None]] = [[level * (1 + 0.001 * number) for number in range(5)] for level in levels]
    (paired,) = paired_rounds.pair(campaign(RELEASES, 5, {READY.name: figures}))
    found = release_history.history(paired, {}, SUITE)
    return dataclasses.replace(found, metrics=tuple(one for one in found.metrics if one.metric == READY))


def test_three_sentences() -> None:
    """The newest against the one before, against the best and a year back, and the largest changes of all."""
    against_before, drift, largest = first_screen.sentences(SUITE, [history(2.0, 1.0, 1.0, 1.3)])
    assert against_before.startswith("**1.12.0 against 1.11.0**: worse in ready (+30.0 %, ")
    assert drift.startswith("**1.12.0 against the best earlier release and a year back**: worse in ready (+30.0 %")
    assert "ready -50.0 % with 1.10.1" in largest
    assert "ready +30.0 % with 1.12.0" in largest


def test_no_change_is_said() -> None:
    """Releases that do not differ are said not to."""
    told = first_screen.sentences(SUITE, [history(1.0, 1.0, 1.0, 1.0)])
    assert [one.partition(": ")[2] for one in told] == [
        "no change beyond noise.", "no change beyond noise.", "none beyond noise.",
    ]  # fmt: skip


def test_improvement_is_told_as_one() -> None:
    """Better and worse are not mixed up."""
    assert "better in ready (-50.0 %" in first_screen.sentences(SUITE, [history(2.0, 2.0, 2.0, 1.0)])[0]


def test_nothing_measured_says_nothing() -> None:
    """Without a history there is no sentence."""
    assert first_screen.sentences(SUITE, []) == []


def test_heat_map_marks_best_worst_and_changes() -> None:
    """Each column has one best and one worst release, and the changes of the history."""
    _, releases, panels = first_screen.chart(SUITE, [history(2.0, 1.0, 1.0, 1.3)]).data
    (panel,) = cast("tuple[Panel, ...]", panels)
    (column,) = panel.columns
    assert releases == RELEASES[::-1]
    assert [(cell.release, round(cell.worse), cell.changed) for cell in column.cells] == [
        ("1.10.0", 100, 0), ("1.10.1", 0, -1), ("1.11.0", 0, 0), ("1.12.0", 30, 1),
    ]  # fmt: skip
    assert [cell.release for cell in column.cells if cell.is_worst] == ["1.10.0"]
    assert "1.9.0" in panel.unsupported


def test_release_opens_with_what_changed() -> None:
    """A release's own page says what changed against the one before, and in what it is best or worst of all."""
    found = [history(2.0, 1.0, 1.0, 1.3)]
    assert first_screen.of_release(SUITE, "1.10.1", found) == [
        "**Against 1.10.0**: better in ready (-50.0 %, FastApi + Async Function Nodes).",
        "**The best of all releases** in ready.",
    ]
    assert first_screen.of_release(SUITE, "1.10.0", found) == ["**The worst of all releases** in ready."]
    assert first_screen.of_release(SUITE, "1.11.0", found)[0] == "**Against 1.10.1**: no change beyond noise."
    assert first_screen.of_release(SUITE, "1.18.5", found) == []
