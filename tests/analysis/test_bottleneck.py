"""The bound verdict of a run."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.analysis import bottleneck
from scripts.analysis.run_data import RunData
from tests.fakes import synthetic_runs


def run(steady: int = 9000, mock_cpu_s: float = 3.6, lag_p99_ms: float = 3.2) -> RunData:
    """A run with so many successes in 50 s of steady state."""
    measured = synthetic_runs.measurements()
    measured = dataclasses.replace(
        measured,
        backend=dataclasses.replace(measured.backend, cpu_s=mock_cpu_s),
        generator=dataclasses.replace(measured.generator, lag_p99_ms=lag_p99_ms),
    )
    return synthetic_runs.run_data(synthetic_runs.record(measured=measured), synthetic_runs.histograms(steady))


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (run(), "load-bound"),
        (run(8632), "load-bound"),  # and 5 failures: 172.74 requests/s, 95 % of 500 / 2.75 s are 172.73
        (run(8631), "server-bound"),
        (run(mock_cpu_s=44.9), "load-bound"),
        (run(mock_cpu_s=45.0), "mock-bound"),
        (run(8631, mock_cpu_s=45.0), "mock-bound"),
        (run(lag_p99_ms=10.0), "generator-bound"),
        (run(mock_cpu_s=45.0, lag_p99_ms=10.0), "generator-bound"),
    ],
)
def test_bound(data: RunData, verdict: str) -> None:
    """What set the throughput, the generator before the mock before the load before the server."""
    assert bottleneck.verdict(data) == verdict


def test_bound_that_is_unknown() -> None:
    """Without a declared ideal time or without a steady state nobody knows what the load allows."""
    made = synthetic_runs.record()
    measured = synthetic_runs.measurements()
    never = dataclasses.replace(measured, load=dataclasses.replace(measured.load, all_users_at_s=None))
    assert bottleneck.verdict(synthetic_runs.run_data(dataclasses.replace(made, own_wait_s=None))) is None
    assert bottleneck.verdict(synthetic_runs.run_data(synthetic_runs.record(measured=never))) is None
