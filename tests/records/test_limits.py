"""Records whose numbers and names no run of this suite can have."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scripts.analysis import metrics, run_reader
from scripts.records import limits, storage
from scripts.records.schema import RunRecord
from scripts.records.storage import RecordError
from scripts.report.pages import site
from tests.fakes import synthetic_runs

RESULTS = Path(__file__).parents[2] / "results"
SEARCH = {"id": "c0ffee123456", "settings": msgspec.to_builtins(synthetic_runs.SUITE.capacity) | {"growth": 0.0}}
SAMPLE = {"at_s": 1.0, "requests": 2, "memory_bytes": [3], "overhead_p50_ms": -0.5}


def altered(directory: Path, path: str, value: object) -> None:
    """Write one field of a record anew; a path such as "requested.arm"."""
    file = directory / storage.RECORD_FILE
    whole: Any = json.loads(file.read_bytes())
    *parents, last = path.split(".")
    inner = whole
    for name in parents:
        inner = inner[int(name)] if isinstance(inner, list) else inner[name]
    inner[int(last) if isinstance(inner, list) else last] = value
    file.write_text(json.dumps(whole), encoding="utf-8")


@pytest.mark.fault
def test_every_committed_record_is_within_limits() -> None:
    """No limit refuses what the suite has recorded."""
    records = [storage.read_record(one) for one in storage.run_directories(RESULTS)]
    assert len(records) > 1000
    assert [problem for record in records for problem in limits.problems(record)] == []


@pytest.mark.fault
@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("requested.arm", -1, "requested.arm is -1, not 0 to 1000"),
        ("requested.arm", 10**12, "requested.arm is 1000000000000, not 0 to 1000"),
        ("requested.arm", 10**400, "requested.arm is a number of more than 20 digits, not 0 to 1000"),
        ("requested.campaign", "../../../outside/evil", "requested.campaign is '../../../outside/evil', which is no"),
        ("requested.campaign", "README", "requested.campaign is 'README', which is no name that this suite makes"),
        ("requested.flow", "f" * 240, "requested.flow is 'ffff"),
        ("requested.search", SEARCH | {"id": "../x"}, "requested.search.id is '../x', which is no name that this"),
        ("requested.search", SEARCH, "requested.search.settings: growth must be above 1, and at most 10"),
        ("requested.release", "1.0/..", "requested.release is '1.0/..', which is no name"),
        ("requested.profile.name", "", "requested.profile.name is '', which is no name"),
        ("requested.profile.users", 0, "requested.profile.users is 0, not 1 to"),
        ("requested.profile.wait_min_s", 1e308, "requested.profile.wait_min_s is 1e+308, not 0 to"),
        ("machine.cores", 0, "machine.cores is 0, not 1 to"),
        ("measurements.disturbance.window_s", 0.0, "measurements.disturbance.window_s is 0.0, not 0.001 to"),
        ("measurements.server.worker_cpu_s.2", -1.0, r"measurements.server.worker_cpu_s[2] is -1.0, not 0 to"),
        ("measurements.server.window_s", [60.0, 10.0], "measurements.server.window_s ends before it begins"),
        ("measurements.load.stopped_s", 0.0, "measurements.load.stopped_s is not after started_s"),
        ("measurements.load.locust_rows.0.percentiles", [1.0], "locust_rows[0].percentiles has 1 numbers, not 11"),
        ("measurements.soak", [SAMPLE, SAMPLE], "measurements.soak is not in order of time"),
        ("measurements.soak", [SAMPLE, SAMPLE | {"at_s": 2.0, "requests": 1}], "measurements.soak is not in order"),
        ("measurements.soak", [SAMPLE | {"memory_bytes": [-1]}], "measurements.soak[0].memory_bytes[0] is -1, not"),
        ("started_at", "yesterday\n# H1", "started_at is 'yesterday\\n# H1', not a time"),
    ],
)
def test_field_out_of_limits_is_named(tmp_path: Path, path: str, value: object, message: str) -> None:
    """A record with a number or a name that no run can have is refused, and the field is named."""
    made = synthetic_runs.write(tmp_path, synthetic_runs.record())
    altered(made, path, value)
    with pytest.raises(RecordError) as caught:
        storage.read_record(made)
    assert message in str(caught.value)


@pytest.mark.fault
def test_run_in_which_no_request_ended_is_on_its_page(tmp_path: Path) -> None:
    """A run whose load ended no request has dashes for percentiles, and the good run beside it is derived."""
    synthetic_runs.write(tmp_path, synthetic_runs.record(release="1.18.5"))
    made = synthetic_runs.write(tmp_path, synthetic_runs.record())
    for place in (0, 1):
        altered(made, f"measurements.load.locust_rows.{place}.percentiles", [])
        altered(made, f"measurements.load.locust_rows.{place}.request_count", 0)
    altered(made, "measurements.load.failures", [])
    altered(made, "measurements.load.recorded", 0)
    (made / storage.HISTOGRAMS_FILE).write_bytes(gzip.compress(b'{"distributions":[]}'))
    derived = site.derive(tmp_path, synthetic_runs.SUITE)
    assert derived.skipped == ()
    page = derived.files["v1.12.0/README.md"].decode()
    row = next(line for line in page.splitlines() if line.startswith("| POST"))
    assert row.count("(\u2013)") + row.count("\u2013") >= 11
    assert "no request succeeded" in page
    assert "v1.18.5/README.md" in derived.files


@pytest.mark.fault
def test_run_that_breaks_a_formula_is_skipped_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose figures raise anything is left out with the kind of the error, and the others are read."""
    synthetic_runs.write(tmp_path, synthetic_runs.record(number=1))
    bad = synthetic_runs.write(tmp_path, synthetic_runs.record(number=2))

    def broken(record: RunRecord, *_: object) -> dict[str, float | None]:
        return {} if record.requested.round == 1 else {"ratio": 1 / 0}

    monkeypatch.setattr(metrics, "derive", broken)
    found = run_reader.read(tmp_path)
    assert [run.record.requested.round for run in found.runs] == [1]
    (skipped,) = found.skipped
    assert skipped.path == bad.relative_to(tmp_path).as_posix()
    assert skipped.reason == "its figures cannot be derived: ZeroDivisionError: division by zero"


@pytest.mark.fault
@pytest.mark.parametrize("name", [storage.RECORD_FILE, storage.HISTOGRAMS_FILE, storage.TIMELINE_FILE])
def test_record_that_is_a_pipe_or_a_device_is_refused(tmp_path: Path, name: str) -> None:
    """A pipe would wait for a writer for ever, and a device never ends: both are named, and nothing hangs."""
    made = synthetic_runs.write(tmp_path, synthetic_runs.record())
    for replace in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        (made / name).unlink()
        replace(made / name)
        (skipped,) = run_reader.read(tmp_path).skipped
        assert skipped.reason == f"{name} cannot be read: it is a pipe, a device or a socket, not a file"


@pytest.mark.fault
def test_record_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    """Nesting that no parser can follow is a reason like any other."""
    made = synthetic_runs.write(tmp_path, synthetic_runs.record())
    (made / storage.RECORD_FILE).write_text('{"a":' * 100_000 + "1" + "}" * 100_000, encoding="utf-8")
    with pytest.raises(RecordError, match="cannot be read: maximum recursion depth"):
        storage.read_record(made)


@pytest.mark.fault
def test_record_larger_than_any_is_refused(tmp_path: Path) -> None:
    """A file is read up to a bound only."""
    made = synthetic_runs.write(tmp_path, synthetic_runs.record())
    with (made / storage.RECORD_FILE).open("r+b") as stream:
        stream.truncate(3 * 2**30)  # sparse
    with pytest.raises(RecordError, match="it is larger than 4 MiB"):
        storage.read_record(made)
    shutil.rmtree(made)
