"""Pooling runs into cells, and the order of cells."""

from __future__ import annotations

import dataclasses

from scripts.analysis import grouping, metrics
from scripts.analysis.grouping import Spread, best_first, cells, release_key
from scripts.records.schema import RunRecord
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import run


def elsewhere(record: RunRecord) -> RunRecord:
    """The same run on another machine."""
    return dataclasses.replace(record, machine=dataclasses.replace(record.machine, cores=2))


def test_runs_of_one_cell_are_pooled() -> None:
    """Median, lowest and highest are over the ok runs; the ok run with the median response time is shown."""
    ready = [1.0, 4.0, 2.0]
    runs = [
        run(synthetic_runs.record(number=n, measured=synthetic_runs.measurements(ready_s=s)))
        for n, s in enumerate(ready, 1)
    ]
    runs.append(run(synthetic_runs.record(number=4, outcome="failed")))
    (cell,) = cells(reversed(runs))
    assert cell.spread("ready_s") == Spread(median=2.0, low=1.0, high=4.0)
    assert (cell.shown.record.requested.round, cell.outcome, len(cell.runs)) == (2, "ok", 4)


def test_cell_without_a_good_run_has_the_newest_outcome() -> None:
    """A cell without an ok run has the newest outcome and no pooled figures, even if some were measured."""
    runs = [
        run(synthetic_runs.record(number=1, outcome="failed")),
        run(synthetic_runs.record(number=2, outcome="invalid")),
    ]
    (cell,) = cells(runs)
    assert (cell.outcome, cell.spread("ready_s")) == ("invalid", None)


def test_bound_and_trust_are_those_of_all_ok_runs() -> None:
    """Runs that differ in their bound are mixed; a truncated one spoils the latencies of its cell and no more."""
    latency, cpu = (m for m in metrics.METRICS if m.name in {"overhead_p50_ms", "cpu_per_request_ms"})
    fast, slow = (
        run(synthetic_runs.record(number=n), synthetic_runs.histograms(steady)) for n, steady in ((1, 9000), (2, 5000))
    )
    truncated = dataclasses.replace(slow, distrusted=("truncated",))
    (good,), (doubtful,) = cells([fast, slow]), cells([fast, truncated])
    assert (good.bound, good.counts(latency), good.counts(cpu)) == ("mixed", True, True)
    assert (doubtful.counts(latency), doubtful.counts(cpu)) == (False, True)


def test_figures_of_an_invalid_run_are_shown_but_never_pooled() -> None:
    """A cell without an ok run shows what its newest run measured; with one, it shows the ok runs only."""
    bad = run(synthetic_runs.record(number=2, outcome="invalid", measured=synthetic_runs.measurements(ready_s=9.0)))
    (alone,), (beside,) = cells([bad]), cells([bad, run(synthetic_runs.record(number=1))])
    assert (alone.figure("ready_s"), alone.spread("ready_s"), alone.counts(metrics.METRICS[0])) == (9.0, None, False)
    assert (beside.figure("ready_s"), beside.counts(metrics.METRICS[0])) == (1.5, True)


def test_other_conditions_are_never_pooled() -> None:
    """The same release on another machine is another cell."""
    found = cells([run(synthetic_runs.record(number=1)), run(elsewhere(synthetic_runs.record(number=2)))])
    assert [len(cell.runs) for cell in found] == [1, 1]


def test_best_cells_come_first() -> None:
    """A cell with an ok run comes before a newer one without."""
    found = cells(
        [run(synthetic_runs.record(number=1)), run(elsewhere(synthetic_runs.record(number=2, outcome="failed")))]
    )
    assert [cell.outcome for cell in best_first(found, "3.11")] == ["ok", "failed"]


def test_releases_sort_by_version() -> None:
    """1.9 comes before 1.10, and what is no version before both."""
    assert sorted(["1.10.0", "1.9.0", "local"], key=release_key) == ["local", "1.9.0", "1.10.0"]


def test_tables_hold_one_set_of_conditions() -> None:
    """Cells are split by conditions; the table of the newest ok run is first, with its newest release on top."""
    runs = [
        run(synthetic_runs.record(release="1.9.0", number=1)),
        run(synthetic_runs.record(release="1.10.0", number=2)),
        run(elsewhere(synthetic_runs.record(release="1.9.0", number=3))),
    ]
    made = grouping.by_conditions(cells(runs), "3.11")
    assert [[cell.requested.release for cell in table] for table in made] == [["1.9.0"], ["1.10.0", "1.9.0"]]


def test_scenarios_follow_the_matrix_and_the_mock_is_last() -> None:
    """Declared scenarios come in their order with their titles, then others, then the mock API alone."""
    pairs = [("uvicorn", "mock_api"), ("flask", "flex_async"), ("fastapi", "static_async"), ("flask", "static_sync")]
    runs = [run(synthetic_runs.record(release="mock", engine="uvicorn", flow="mock_api"))]
    runs += [run(synthetic_runs.record(engine=engine, flow=flow)) for engine, flow in pairs[1:]]
    made = grouping.by_scenario(synthetic_runs.SUITE, cells(runs))
    assert [grouping.title(synthetic_runs.SUITE, table[0].requested) for table in made] == [
        "Flask + Sync Function Nodes", "FastApi + Async Function Nodes", "Flask + flex_async", "The mock API alone",
    ]  # fmt: skip


def test_profiles_follow_the_matrix() -> None:
    """The profile that suite.toml declares first is printed first."""
    runs = [run(synthetic_runs.record(profile=name)) for name in ("report-8-threads", "report")]
    made = grouping.by_profile(synthetic_runs.SUITE, cells(runs))
    assert [table[0].requested.profile.name for table in made] == ["report", "report-8-threads"]
