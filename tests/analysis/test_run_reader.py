"""Finding and reading runs."""

from __future__ import annotations

import dataclasses
import gzip
from pathlib import Path

import pytest

from scripts.analysis import metrics, run_reader
from scripts.records import storage as files
from scripts.records.storage import RecordError
from tests.fakes import synthetic_runs


def test_good_runs_are_read_oldest_first(tmp_path: Path) -> None:
    """Runs come by run id, each with its metrics."""
    for number in (2, 1):
        synthetic_runs.write(tmp_path, synthetic_runs.record(number=number))
    found = run_reader.read(tmp_path)
    assert [run.record.requested.round for run in found.runs] == [1, 2]
    assert found.runs[0].values["throughput_rps"] == 166.0
    assert found.skipped == ()


def test_run_that_measured_nothing_needs_no_other_files(tmp_path: Path) -> None:
    """A run without measurements is a record alone."""
    synthetic_runs.write(tmp_path, synthetic_runs.record(outcome="failed", reasons=("no wheel",)))
    (run,) = run_reader.read(tmp_path).runs
    assert (run.outcome, run.reasons) == ("failed", ("no wheel",))


def truncate(directory: Path) -> None:
    """Cut the record in half."""
    path = directory / files.RECORD_FILE
    path.write_bytes(path.read_bytes()[:200])


def replace(text: str, by: str, name: str = files.RECORD_FILE) -> str:
    """An edit of a file in a run's directory, as one string for the table below."""
    return f"{name}\0{text}\0{by}"


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (
            replace('"schema_version": 9', '"schema_version": 10'),
            "schema_version 10; this suite reads schema_version 1",
        ),
        (replace('"schema_version"', '"version"'), "not a run record: it has no schema_version"),
        (replace('"release": "1.12.0"', '"release": "1.13.0"'), "it is a record of report/1.13.0/fastapi-static_async"),
        (replace('"ready_s":1.5', '"ready_s":"soon"'), "record.json cannot be read: Expected `float`, got `str`"),
        (
            replace('"window":"steady"', '"window":"middle"', files.HISTOGRAMS_FILE),
            "histograms.json.gz cannot be read",
        ),
        (replace("second,", "zeroth,", files.TIMELINE_FILE), "timeline.csv cannot be read"),
    ],
)
def test_bad_record_is_named_and_the_others_are_read(tmp_path: Path, edit: str, reason: str) -> None:
    """A foreign, newer or damaged record is skipped with its path and reason."""
    synthetic_runs.write(tmp_path, synthetic_runs.record(number=1))
    bad = synthetic_runs.write(tmp_path, synthetic_runs.record(number=2))
    name, text, by = edit.split("\0")
    path = bad / name
    unpack, pack = (gzip.decompress, gzip.compress) if path.suffix == ".gz" else (bytes, bytes)
    path.write_bytes(pack(unpack(path.read_bytes()).replace(text.encode(), by.encode())))
    found = run_reader.read(tmp_path)
    assert [run.record.requested.round for run in found.runs] == [1]
    (skipped,) = found.skipped
    assert skipped.path == bad.relative_to(tmp_path).as_posix()
    assert skipped.reason.startswith(reason)


@pytest.mark.parametrize("name", [files.RECORD_FILE, files.HISTOGRAMS_FILE, files.TIMELINE_FILE])
def test_missing_or_truncated_file_is_named(tmp_path: Path, name: str) -> None:
    """A run without one of its files, or with a record cut short, is skipped and the file named."""
    bad = synthetic_runs.write(tmp_path, synthetic_runs.record())
    (bad / name).unlink()
    torn = synthetic_runs.write(tmp_path, synthetic_runs.record(number=2))
    truncate(torn)
    assert [one.reason.split()[0] for one in run_reader.read(tmp_path).skipped] == [name, files.RECORD_FILE]


def test_run_being_written_is_not_seen(tmp_path: Path) -> None:
    """A `*.tmp` directory is neither a run nor a problem."""
    directory = synthetic_runs.write(tmp_path, synthetic_runs.record())
    directory.rename(directory.with_suffix(".tmp"))
    assert run_reader.read(tmp_path) == run_reader.Store(runs=(), skipped=())


def test_unreported_profile_is_not_opened(tmp_path: Path) -> None:
    """Even a broken record of an unreported profile leaves no trace."""
    synthetic_runs.write(tmp_path, synthetic_runs.record(profile="smoke", number=1))
    truncate(synthetic_runs.write(tmp_path, synthetic_runs.record(profile="smoke", number=2)))
    assert run_reader.read(tmp_path, ["smoke"]) == run_reader.Store(runs=(), skipped=())


def test_record_itself_may_say_that_it_is_not_reported(tmp_path: Path) -> None:
    """A run of a profile that suite.toml no longer has is left out when its record says so."""
    synthetic_runs.write(tmp_path, synthetic_runs.record(profile="smoke"))
    assert run_reader.read(tmp_path) == run_reader.Store(runs=(), skipped=())


def test_ok_run_whose_figures_cannot_be_believed_is_invalid(tmp_path: Path) -> None:
    """A lagging generator makes an ok run invalid, with the reason."""
    measured = synthetic_runs.measurements()
    slow = dataclasses.replace(measured.generator, lag_p99_ms=25.0)
    synthetic_runs.write(tmp_path, synthetic_runs.record(measured=dataclasses.replace(measured, generator=slow)))
    (run,) = run_reader.read(tmp_path).runs
    assert run.outcome == "invalid"
    assert "event loop was late" in run.reasons[0]


def test_truncated_run_stays_ok_and_says_what_to_distrust(tmp_path: Path) -> None:
    """A saturated run counts for all but its latencies, and its bound is given."""
    measured = synthetic_runs.measurements(mean_ms=15600, rps=24.9, number=1480, in_flight=462)
    made = synthetic_runs.record(engine="flask", flow="static_sync", measured=measured)
    run = run_reader.read_run(synthetic_runs.write(tmp_path, made, synthetic_runs.histograms(1270, 205, 5, 15600)))
    assert (run.outcome, run.reasons, run.bound) == ("ok", (), "server-bound")
    assert run.distrusted[0].startswith("truncated: ")
    assert [run.counts(metric) for metric in metrics.METRICS if metric.name in {"ready_s", "overhead_p50_ms"}] == [
        False,
        True,
    ]


def test_users_who_left_are_seen_in_the_timeline(tmp_path: Path) -> None:
    """What holds second by second is read from the timeline of a run."""
    rows = synthetic_runs.timeline()
    rows[40] = dataclasses.replace(rows[40], users=480)
    run = run_reader.read_run(synthetic_runs.write(tmp_path, synthetic_runs.record(), seconds=rows))
    assert (run.outcome, run.bound) == ("invalid", "generator-bound")
    assert run.reasons == ("the users were not held: 480 of 500 in second 40",)


def test_single_run_raises_what_is_wrong(tmp_path: Path) -> None:
    """Reading one directory that is no run raises RecordError."""
    with pytest.raises(RecordError, match=r"record\.json cannot be read"):
        run_reader.read_run(tmp_path)
