"""The run record: what one run asked for, what really ran, where, how it ended, and what was measured.

The only thing that the measuring and the reporting half share. One directory per run, never rewritten:
`record.json` (a RunRecord), `histograms.json` (Histograms) and `timeline.csv` (one row a second).
Imports nothing of ours but `errors` and `suite`.

Schema history
  1  the first.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from scripts.suite import Profile

SCHEMA_VERSION = 1
RUNS = Path("results") / "runs"
RECORD_FILE, HISTOGRAMS_FILE, TIMELINE_FILE = "record.json", "histograms.json", "timeline.csv"
RUN_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")

Outcome = Literal["ok", "invalid", "failed", "verify-failed", "cannot-install", "not-applicable"]


class RecordError(Exception):
    """A record that cannot be read: truncated, foreign, or of another schema."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the run was asked to do."""

    release: str  # or "mock"
    engine: str
    flow: str
    profile: Profile
    python: str  # e.g. "3.11"
    round: int  # from 1
    seed: int  # of think times and of the backend's waits


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """What really ran, read back from the live server and its virtualenv."""

    promptflow: str  # as the live server's /version says; "" for the mock
    python: str  # with patch version
    command: tuple[str, ...]  # the server's, without the virtualenv's path; the port is written PORT
    environment: dict[str, str]  # variables given to the server; SCRATCH stands for its private folder
    workers: int  # children of the live master process
    threads: int  # of each worker, as the live command line says
    distributions: dict[str, str]  # installed, name to version
    bytecode: bool  # compiled at install


@dataclass(frozen=True, kw_only=True, slots=True)
class Digests:
    """sha256 of everything that decides the numbers; two rows of one table agree in all but lock."""

    lock: str
    flow: str
    locustfile: str
    mock_api: str
    profile: str
    tools: str  # the tools' lock


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Where it ran; no names of hosts, users or paths."""

    cpu_model: str
    cores: int  # that this process may use
    memory_bytes: int
    system: str  # e.g. "Linux x86_64"
    kernel: str
    tools_python: str  # with patch version
    load_before: tuple[float, float, float]  # load average over 1, 5 and 15 minutes
    cpu_busy_before: float  # share of all cores that was busy just before the start, 0 to 1
    open_files_limit: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LocustRow:
    """One row of locust's own statistics: the 22 columns of the published table, in its order."""

    type: str
    name: str
    request_count: int
    failure_count: int
    median_response_time: float  # ms, like all times here, failures included
    average_response_time: float
    min_response_time: float
    max_response_time: float
    average_content_size: float  # bytes
    requests_per_s: float
    failures_per_s: float
    percentiles: tuple[float, ...]  # 50 66 75 80 90 95 98 99 99.9 99.99 100, bucketed by locust


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Requests that failed in the same way."""

    kind: str  # keepalive_race, connection, status, timeout, wrong_answer
    message: str
    count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """What the load generator saw."""

    started_s: float  # on the timeline's clock: 0.0
    all_users_at_s: float | None  # when the last user had started; None: it never came to that
    stopped_s: float
    users_reached: int
    recorded: int  # requests with an answer or an error
    in_flight_at_stop: int
    failures: tuple[Failure, ...]
    locust_rows: tuple[LocustRow, ...]  # POST /score, then Aggregated


@dataclass(frozen=True, kw_only=True, slots=True)
class Generator:
    """How fit the load generator itself was."""

    locust: str  # version
    user_class: str  # e.g. "FastHttpUser"
    options: dict[str, str]  # the effective options that matter
    lag_p50_ms: float  # how late the event loop woke a sleeper
    lag_p99_ms: float
    lag_max_ms: float
    cpu_s: float  # of the generator's process, from the first user to the stop
    run_queue_wait_s: float | None  # runnable but waiting for a core; None where the kernel does not tell
    exceptions: int  # raised in the locustfile's own code


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """What the server's process tree used."""

    ready_s: float  # start of the process to the first good /health
    settled_s: float  # start of the process until every worker had started and was idle
    cpu_s: float  # user and system, whole tree, over the steady window
    window_s: tuple[float, float]  # that window on the timeline's clock
    completed: int  # requests completed in that window, failures included
    worker_cpu_s: tuple[float, ...]  # the same for each worker, in order of process id
    memory_start_bytes: int  # PSS of the tree, verified and idle
    memory_end_bytes: int  # PSS of the tree after the load
    memory_kind: str  # "pss", or "rss" where the system has no PSS
    threads_seen: int  # most threads of any worker process after the load


@dataclass(frozen=True, kw_only=True, slots=True)
class Backend:
    """What the mock API counted."""

    received: int
    answered: int
    cpu_s: float  # over the steady window


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurements:
    """Everything that was measured, raw enough to derive new metrics later."""

    load: Load
    generator: Generator
    server: Server | None  # None for the mock API alone
    backend: Backend


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """One run."""

    schema_version: int
    run_id: str
    started_at: str  # UTC, ISO 8601
    asked: Asked
    ran: Ran | None  # None: it never came to that
    digests: Digests
    machine: Machine
    own_wait_s: float | None  # the flow's declared ideal time without its backend; None: not declared
    outcome: Outcome
    reasons: tuple[str, ...]  # why the outcome is not ok
    phases_s: dict[str, float]  # wall time of each phase
    measurements: Measurements | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """An HdrHistogram as text: recorded values and how often each occurred."""

    values_us: tuple[int, ...]  # ascending; lowest equivalent value of the bucket
    counts: tuple[int, ...]
    total_us: int  # exact sum, for exact means
    max_us: int  # exact
    min_us: int  # exact


@dataclass(frozen=True, kw_only=True, slots=True)
class Histograms:
    """Distributions by window. ramp: before the last user had started; steady: after. By completion."""

    significant_digits: int
    windows: dict[Literal["ramp", "steady"], dict[str, Counts]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Second:
    """One second of the timeline. Response times are of successes that completed in it."""

    second: int  # from 0
    users: int
    requests: int  # completed, failures included
    failures: int
    p50_ms: float | None  # None: no success
    p95_ms: float | None
    server_cpu_s: float | None  # used in this second by the whole tree; None: not sampled


def run_directory(results: Path, record: RunRecord) -> Path:
    """Where a run lies under a results directory."""
    asked = record.asked
    return results / RUNS.name / asked.profile.name / asked.release / f"{asked.engine}-{asked.flow}" / record.run_id


def _encode(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def encode_record(record: RunRecord) -> bytes:
    """Indented JSON that git can delta."""
    return _encode(record)


def encode_histograms(histograms: Histograms) -> bytes:
    """One line for each list, so that a file of thousands of buckets stays a few lines."""
    plain = msgspec.to_builtins(histograms)
    lines = []
    for window, kinds in plain["windows"].items():
        for kind, counts in kinds.items():
            body = msgspec.json.encode(counts).decode()
            lines.append(f'{{"window":"{window}","kind":"{kind}","counts":{body}}}')
    head = f'{{"significant_digits":{histograms.significant_digits},"distributions":[\n'
    return (head + ",\n".join(lines) + "\n]}\n").encode()


def encode_timeline(seconds: list[Second]) -> bytes:
    """CSV with a header; an empty cell is None."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(field.name for field in dataclasses.fields(Second))
    for row in seconds:
        writer.writerow("" if value is None else value for value in dataclasses.astuple(row))
    return out.getvalue().encode()


def read_record(directory: Path) -> RunRecord:
    """Read `record.json`; RecordError says what is wrong with it, without the path."""
    try:
        data = (directory / RECORD_FILE).read_bytes()
        version = msgspec.json.decode(data, type=dict[str, msgspec.Raw]).get("schema_version")
        if version is None:
            raise RecordError("not a run record: it has no schema_version")
        if bytes(version) != str(SCHEMA_VERSION).encode():
            known = f"this suite reads schema_version {SCHEMA_VERSION}"
            raise RecordError(f"schema_version {bytes(version).decode(errors='replace')[:20]}; {known}")
        record = msgspec.json.decode(data, type=RunRecord)
    except (OSError, msgspec.DecodeError) as error:
        raise RecordError(f"{RECORD_FILE} cannot be read: {_plain(error)}") from error
    if record.run_id != directory.name or not RUN_ID.fullmatch(record.run_id):
        raise RecordError(f"run_id {record.run_id!r} is not the name of its directory")
    return record


@dataclass(frozen=True, kw_only=True, slots=True)
class _Distribution:
    window: Literal["ramp", "steady"]
    kind: str
    counts: Counts


@dataclass(frozen=True, kw_only=True, slots=True)
class _HistogramsFile:
    significant_digits: int
    distributions: tuple[_Distribution, ...]


def read_histograms(directory: Path) -> Histograms:
    """Read `histograms.json`; RecordError when it cannot be."""
    try:
        found = msgspec.json.decode((directory / HISTOGRAMS_FILE).read_bytes(), type=_HistogramsFile)
    except (OSError, msgspec.DecodeError) as error:
        raise RecordError(f"{HISTOGRAMS_FILE} cannot be read: {_plain(error)}") from error
    windows: dict[Literal["ramp", "steady"], dict[str, Counts]] = {"ramp": {}, "steady": {}}
    for row in found.distributions:
        if len(row.counts.values_us) != len(row.counts.counts):
            raise RecordError(f"{HISTOGRAMS_FILE}: {row.window} {row.kind} has values without counts")
        windows[row.window][row.kind] = row.counts
    return Histograms(significant_digits=found.significant_digits, windows=windows)


def read_timeline(directory: Path) -> list[Second]:
    """Read `timeline.csv`; RecordError when it cannot be."""
    try:
        with (directory / TIMELINE_FILE).open(encoding="utf-8", newline="") as stream:
            rows = [{k: v or None for k, v in row.items()} for row in csv.DictReader(stream)]
        return msgspec.convert(rows, type=list[Second], strict=False)
    except (OSError, UnicodeDecodeError, csv.Error, msgspec.ValidationError) as error:
        raise RecordError(f"{TIMELINE_FILE} cannot be read: {_plain(error)}") from error


def _plain(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
