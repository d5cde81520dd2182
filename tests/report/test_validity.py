"""When a run that ended well is not believed, and what a session prints."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from scripts.report import summary, validity
from tests.report import factory


def measured(part: str, **changes: Any) -> Any:  # noqa: ANN401 - any field of any part
    """Good measurements, but for one part."""
    good = factory.measurements()
    return dataclasses.replace(good, **{part: dataclasses.replace(getattr(good, part), **changes)})


def test_good_run_has_no_reasons() -> None:
    """A run with a fit generator and all its workers is valid."""
    assert validity.reasons(factory.record()) == ()


@pytest.mark.parametrize(
    ("part", "changes", "reason"),
    [
        ("load", {"users_reached": 499}, "only 499 of 500 users were reached"),
        ("generator", {"lag_p99_ms": 10.0}, "p99 10.0 ms"),
        ("generator", {"exceptions": 2}, "raised 2 exceptions"),
        ("load", {"recorded": 5}, "no request succeeded"),
        ("server", {"workers_lost": 1}, "1 of the server's workers ended under load"),
        ("disturbance", {"other_s": 26.0, "window_s": 50.0, "cores": 8}, "other processes took 6.5%"),
    ],
)
def test_unfit_run_has_its_reason(part: str, changes: dict[str, object], reason: str) -> None:
    """Each condition that spoils the figures is a reason that names its figure."""
    (found,) = validity.reasons(factory.record(measured=measured(part, **changes)))
    assert reason in found


def test_fewer_workers_than_asked_is_a_reason() -> None:
    """A server that did not run what was asked for is not what was measured."""
    made = factory.record()
    ran = made.ran and dataclasses.replace(made.ran, workers=7)
    assert validity.reasons(dataclasses.replace(made, ran=ran)) == ("7 workers ran, not the 8 asked for",)


def test_failed_run_keeps_its_own_reasons() -> None:
    """A run that did not end well has the reasons of its record."""
    assert validity.reasons(factory.record(outcome="failed", reasons=("died",))) == ("died",)


def test_session_prints_table_and_telling_figures(tmp_path: Path) -> None:
    """Each run of a session has its heading, the published columns and the figures that tell releases apart."""
    good = factory.write(tmp_path, factory.record(number=1))
    hole = factory.write(tmp_path, factory.record(number=2, outcome="failed", reasons=("it died",)))
    text = summary.of_session(factory.SUITE, [good, hole])
    assert "## promptflow 1.12.0: FastApi + Async Function Nodes, profile report, ok" in text
    assert "overhead p50 (ms): 34.60" in text
    assert text.endswith("profile report, failed\n\nit died")
