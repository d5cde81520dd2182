"""Records on disk: what is written reads back the same, and what cannot be read is refused by what is wrong with it."""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scripts.records import storage as files
from scripts.records.schema import Histograms, RunRecord, Second, SoakSample
from scripts.records.storage import RecordError
from tests.fakes import values

FAILED = dataclasses.replace(
    values.RECORD, outcome="failed", reasons=("the server died, über Nacht",), observed=None, measurements=None
)


def directory(tmp_path: Path, run_id: str = values.RECORD.run_id, **files: bytes) -> Path:
    """A run's directory with these files (dots are written __)."""
    made = tmp_path / run_id
    made.mkdir()
    for name, content in files.items():
        (made / name.replace("__", ".")).write_bytes(content)
    return made


@pytest.mark.parametrize("record", [values.RECORD, FAILED])
def test_record_round_trip(tmp_path: Path, record: RunRecord) -> None:
    """A record reads back equal, and is written again byte for byte."""
    text = files.encode_record(record)
    read = files.read_record(directory(tmp_path, record__json=text))
    assert read == record
    assert files.encode_record(read) == text


def test_histograms_round_trip(tmp_path: Path) -> None:
    """Histograms read back equal, and are written again byte for byte."""
    text = files.encode_histograms(values.HISTOGRAMS)
    read = files.read_histograms(directory(tmp_path, histograms__json__gz=text))
    assert read == values.HISTOGRAMS
    assert files.encode_histograms(read) == text


def test_histograms_are_few_lines() -> None:
    """Each distribution is one line, however many buckets it has."""
    many = Histograms(windows={"ramp": {}, "steady": {"ok": values.counts(*range(1, 5000))}})
    assert gzip.decompress(files.encode_histograms(many)).count(b"\n") == 3


def test_histograms_of_schema_3_are_still_read(tmp_path: Path) -> None:
    """The schemas from the third to the eighth stored the same text without compressing it."""
    text = gzip.decompress(files.encode_histograms(values.HISTOGRAMS))
    assert files.read_histograms(directory(tmp_path, histograms__json=text)) == values.HISTOGRAMS


def test_record_has_a_line_for_each_field() -> None:
    """Fields, and the fields of a field, have a line each; what lies deeper is on the line of its field."""
    observed = values.RECORD.observed
    assert observed is not None
    lines = files.encode_record(values.RECORD).decode().splitlines()
    assert '  "release": "1.12.0",' in lines
    (distributions,) = (line for line in lines if line.startswith('  "distributions": {'))
    assert json.loads("{" + distributions.rstrip(",") + "}")["distributions"] == observed.distributions
    assert all(re.match(r'[{}]|  ?("\w+": |\})', line) for line in lines)


@pytest.mark.parametrize(
    "content", [b"{}", b'{"a":{}}', b'{"a":[],"b":{"c":{"d":[1,{"e":2.50}]}},"\\u00fc\\"":"{\\n"}']
)
def test_lines_change_no_value(content: bytes) -> None:
    """Deep, empty or quoted: the object is the same, its numbers have the same digits, and twice changes nothing."""
    found = files.in_lines(content)
    assert json.loads(found, parse_float=str) == json.loads(content, parse_float=str)
    assert files.in_lines(found) == found


def test_timeline_round_trip(tmp_path: Path) -> None:
    """A timeline reads back equal, empty cells as None, and is written again byte for byte."""
    text = files.encode_timeline(values.TIMELINE)
    read = files.read_timeline(directory(tmp_path, timeline__csv=text))
    assert read == values.TIMELINE
    assert files.encode_timeline(read) == text


def test_timeline_text() -> None:
    """The timeline is plain CSV, its columns the fields of a second in their order."""
    assert files.encode_timeline(values.TIMELINE).decode().splitlines() == [
        "second,users,requests,failures,p50_ms,p95_ms,server_cpu_s",
        "0,1,0,0,,,",
        "1,2,3,1,1275.5,1300.0,0.018",
    ]


def test_schema_1_is_still_read(tmp_path: Path) -> None:
    """A record of the first schema lacks what the second adds, and reads with its defaults."""
    old = json.loads(files.encode_record(values.RECORD)) | {"schema_version": 1}
    old["asked"], old["ran"] = old.pop("requested"), old.pop("observed")
    for name in ("campaign", "round_id", "arm"):
        del old["asked"][name]
    for name in ("first_answer_s", "first_answers_s", "worker_requests"):
        del old["measurements"]["server"][name]
    del old["asked"]["profile"]["warm_up_s"]
    read = files.read_record(directory(tmp_path, record__json=json.dumps(old).encode()))
    assert read.requested.profile.warm_up_s == 0
    assert read.measurements is not None
    assert read.measurements.server is not None
    assert read.measurements.server.first_answer_s is None


def test_schema_3_is_still_read(tmp_path: Path) -> None:
    """A record of the third schema has other names for what was requested and observed."""
    old = json.loads(files.encode_record(values.RECORD)) | {"schema_version": 3}
    old["asked"], old["ran"] = old.pop("requested"), old.pop("observed")
    read = files.read_record(directory(tmp_path, record__json=json.dumps(old).encode()))
    assert read == dataclasses.replace(values.RECORD, schema_version=3)


def test_schema_6_is_still_read(tmp_path: Path) -> None:
    """A record that does not say how many processes made its load was made by one."""
    old = json.loads(files.encode_record(values.RECORD)) | {"schema_version": 6}
    for name in ("load_processes", "load_workers"):
        del old["requested"][name]
    del old["measurements"]["generator"]["processes"]
    read = files.read_record(directory(tmp_path, record__json=json.dumps(old).encode()))
    assert (read.requested.load_processes, read.requested.load_workers) == (1, 0)
    assert read == dataclasses.replace(values.RECORD, schema_version=6)


def test_schema_7_is_still_read(tmp_path: Path) -> None:
    """A record of before there were soaks has no samples of one."""
    old = json.loads(files.encode_record(values.RECORD)) | {"schema_version": 7}
    del old["measurements"]["soak"]
    read = files.read_record(directory(tmp_path, record__json=json.dumps(old).encode()))
    assert read == dataclasses.replace(values.RECORD, schema_version=7)


def test_samples_of_a_soak_round_trip(tmp_path: Path) -> None:
    """The samples of a soak read back equal, also one of an interval in which nothing succeeded."""
    samples = (
        SoakSample(at_s=10.0, requests=250, memory_bytes=(40_000_000, 80_000_000), overhead_p50_ms=7.25),
        SoakSample(at_s=20.0, requests=250, memory_bytes=(), overhead_p50_ms=None),
    )
    record = dataclasses.replace(values.RECORD, measurements=dataclasses.replace(values.MEASUREMENTS, soak=samples))
    assert files.read_record(directory(tmp_path, record__json=files.encode_record(record))) == record


def test_histograms_of_schema_1_are_still_read(tmp_path: Path) -> None:
    """The first schema stored values in plain numbers."""
    counts = '{"values_us":[3,5],"counts":[1,2],"total_us":13,"max_us":5,"min_us":3}'
    text = f'{{"significant_digits":4,"distributions":[{{"window":"steady","kind":"ok","counts":{counts}}}]}}'
    found = files.read_histograms(directory(tmp_path, histograms__json=text.encode())).windows["steady"]["ok"]
    assert (found.values_us.tolist(), found.counts.tolist(), found.significant_digits) == ([3, 5], [1, 2], 4)


def test_histograms_of_schema_2_are_still_read(tmp_path: Path) -> None:
    """The second schema stored steps from value to value."""
    counts = '{"values_us":[],"steps_us":[3,2],"counts":[1,2],"total_us":13,"max_us":5,"min_us":3}'
    text = f'{{"distributions":[{{"window":"steady","kind":"ok","counts":{counts}}}]}}'
    found = files.read_histograms(directory(tmp_path, histograms__json=text.encode())).windows["steady"]["ok"]
    assert (found.values_us.tolist(), found.counts.tolist(), found.significant_digits) == ([3, 5], [1, 2], 4)


def test_run_directory() -> None:
    """A run lies under its profile, release, engine and flow."""
    path = Path("results") / files.run_path(values.RECORD)
    assert path == Path("results/runs/short/1.12.0/fastapi-static_async/20261116T120000Z-0a1b2c")


def changed(**fields: object) -> bytes:
    """The record with some of its top fields changed."""
    return json.dumps(json.loads(files.encode_record(values.RECORD)) | fields).encode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "record.json cannot be read: No such file or directory"),
        (b"", "record.json cannot be read: Input data was truncated"),
        (files.encode_record(values.RECORD)[:700], "record.json cannot be read: Input data was truncated"),
        (b"[]", "record.json cannot be read: Expected `object`"),
        (b"\xff\xfe\x00", "record.json cannot be read"),
        (changed(reasons=["?"]).replace(b"?", b"\xff"), "record.json cannot be read: .*utf-8"),
        (b'{"total": 3}', "not a run record: it has no schema_version"),
        (changed(schema_version=10), "schema_version 10; this suite reads schema_version 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        (
            b'{"schema_version": 99, "something": "else"}',
            "schema_version 99; this suite reads schema_version 1, 2, 3, 4, 5, 6, 7, 8, 9",
        ),
        (changed(schema_version="1"), 'schema_version "1"; this suite reads'),
        (changed(outcome="splendid"), "record.json cannot be read: Invalid enum value 'splendid'"),
        (changed(machine=3), "record.json cannot be read: Expected `object`, got `int` - at `\\$.machine`"),
        (changed(run_id="20261116T120000Z-ffffff"), "is not the name of its directory"),
    ],
)
def test_bad_record(tmp_path: Path, content: bytes | None, message: str) -> None:
    """A record that is missing, truncated, foreign or of another schema is refused by what is wrong, without a path."""
    made = directory(tmp_path)
    if content is not None:
        (made / "record.json").write_bytes(content)
    with pytest.raises(RecordError, match=message) as caught:
        files.read_record(made)
    assert str(tmp_path) not in str(caught.value)


def test_bad_directory_name(tmp_path: Path) -> None:
    """A record in a directory that is no run id is refused, even where both agree."""
    made = directory(tmp_path, "copy", record__json=changed(run_id="copy"))
    with pytest.raises(RecordError, match="'copy' is no name that this suite makes"):
        files.read_record(made)


PACKED = files.encode_histograms(values.HISTOGRAMS)
HISTOGRAMS_TEXT = gzip.decompress(PACKED)
TIMELINE_TEXT = files.encode_timeline(values.TIMELINE)


@pytest.mark.parametrize(
    ("read", "name", "content", "message"),
    [
        (files.read_histograms, "histograms.json.gz", None, "No such file"),
        (files.read_histograms, "histograms.json.gz", PACKED[:100], "cut off, or larger than 64 MiB"),
        (files.read_histograms, "histograms.json.gz", HISTOGRAMS_TEXT, "incorrect header"),
        (files.read_histograms, "histograms.json.gz", gzip.compress(b"{}", mtime=0), "missing required field"),
        (files.read_histograms, "histograms.json", HISTOGRAMS_TEXT[:100], "truncated"),
        (files.read_histograms, "histograms.json", b"{}", "missing required field"),
        (
            files.read_histograms,
            "histograms.json",
            HISTOGRAMS_TEXT.replace(b"steady", b"stead\xff"),
            "cannot be read",
        ),
        (
            files.read_histograms,
            "histograms.json",
            b'{"distributions":[{"window":"steady","kind":"ok","counts":{"steps_us":[3],"total_us":3,"max_us":3,"min_us":3}}]}',
            "values without counts",
        ),
        (
            files.read_histograms,
            "histograms.json",
            HISTOGRAMS_TEXT.replace(b'"packed":"HISTF', b'"packed":"HIST', 1),
            "cannot be read",
        ),
        (files.read_timeline, "timeline.csv", None, "No such file"),
        (files.read_timeline, "timeline.csv", TIMELINE_TEXT + b"2,2\n", "Expected `int`, got `null`"),
        (files.read_timeline, "timeline.csv", TIMELINE_TEXT + b"2,2,1,0,1,1,1,9\n", "cannot be read"),
        (
            files.read_timeline,
            "timeline.csv",
            TIMELINE_TEXT.replace(b"second", b"minute"),
            "missing required field",
        ),
        (files.read_timeline, "timeline.csv", TIMELINE_TEXT + b"\xff,\n", "utf-8"),
    ],
)
def test_bad_companion(
    tmp_path: Path, read: Callable[[Path], Any], name: str, content: bytes | None, message: str
) -> None:
    """Histograms and timelines that are missing, truncated or foreign are refused by their name."""
    made = directory(tmp_path)
    if content is not None:
        (made / name).write_bytes(content)
    with pytest.raises(RecordError, match=f"(?s){name}.*{message}"):
        read(made)


def test_bomb_is_refused(tmp_path: Path) -> None:
    """Distributions that unpack to more than any run has stop at the bound."""
    made = directory(tmp_path, histograms__json__gz=gzip.compress(bytes(2**27)))
    with pytest.raises(RecordError, match=r"histograms.json.gz cannot be read: it is cut off, or larger than 64 MiB"):
        files.read_histograms(made)


def test_every_second_is_kept(tmp_path: Path) -> None:
    """A timeline of an hour has a row for each second."""
    hour = [
        Second(second=n, users=2, requests=1, failures=0, p50_ms=1250.0 + n, p95_ms=1300.125, server_cpu_s=None)
        for n in range(3600)
    ]
    made = directory(tmp_path, timeline__csv=files.encode_timeline(hour))
    assert files.read_timeline(made) == hour
