"""What the benchmark of a cluster makes of its runs. The runs themselves are made by `nox -s bench-self`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from scripts.config.errors import SuiteError
from scripts.selftest import cluster_cost, namespaces
from scripts.selftest.cluster_cost import Sharing
from tests.fakes import synthetic_runs
from tests.fakes.system import FakeSystem


def test_without_root_the_row_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there can be no network namespaces, nothing is started, and the reason stands in the table."""
    monkeypatch.setattr(namespaces, "why_not", lambda: "network namespaces need root")
    system = FakeSystem()
    found = cluster_cost.measure(system, tmp_path)
    assert found is None
    (row,) = cluster_cost.shared(found)
    assert (row.measured, row.is_met) == ("not measured: network namespaces need root", True)
    assert system.events == []


@pytest.mark.parametrize(
    ("changed", "met"),
    [
        ({}, [True, True, True]),
        ({"shared_s": 51.0}, [False, True, True]),
        ({"handling_s": 0.51}, [True, False, True]),
        ({"coordinator_bytes": 201_000_000}, [True, True, False]),
    ],
)
def test_each_figure_has_its_limit(changed: dict[str, float], met: list[bool]) -> None:
    """Half of the time of one machine, half a second a run, 200 MB."""
    good = Sharing(alone_s=100.0, shared_s=50.0, handling_s=0.5, coordinator_bytes=200_000_000)
    found = dataclasses.replace(good, **changed)  # type: ignore[arg-type]
    assert [row.is_met for row in cluster_cost.shared(found)] == met


def test_span_is_from_the_first_start_to_the_last_end() -> None:
    """Runs that overlap are not counted twice."""
    starts = ("2026-11-01T00:00:00Z", "2026-11-01T00:00:10Z")
    records = [
        dataclasses.replace(
            synthetic_runs.record(number=number), started_at=start, phases_s={"boot": 5.0, "load": 10.0}
        )
        for number, start in enumerate(starts, 1)
    ]
    assert cluster_cost.span_s(records) == 25.0


def test_session_without_runs_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comparison with a session that failed would be worth nothing."""
    monkeypatch.setattr(namespaces, "why_not", lambda: "")
    with pytest.raises(SuiteError, match="the session on this machine alone made too few runs"):
        cluster_cost.measure(FakeSystem(), tmp_path)
