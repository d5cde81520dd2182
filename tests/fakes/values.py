"""Values that tests are made of: a machine, a profile, a flow, a recording of a load, a record."""

from __future__ import annotations

import csv
import dataclasses
import datetime
from pathlib import Path

import msgspec
import numpy as np

from scripts.config.flows import Flow
from scripts.config.load_profiles import Profile
from scripts.config.matrix import Engine, Release
from scripts.config.plan import RunSpec, Target
from scripts.measure.recording import Lag, RecordedLoad, Request
from scripts.records import histogram_codec
from scripts.records.schema import (
    SCHEMA_VERSION,
    Backend,
    Digests,
    Disturbance,
    Failure,
    Generator,
    HistogramCounts,
    Histograms,
    Load,
    LocustRow,
    Machine,
    Measurements,
    ObservedConfig,
    RequestedConfig,
    RunRecord,
    Second,
    Server,
)

MACHINE = Machine(
    cpu_model="Example CPU",
    cores=2,
    memory_bytes=8 * 2**30,
    system="Linux x86_64",
    kernel="6.1.0",
    tools_python="3.11.9",
    load_before=(0.1, 0.2, 0.3),
    cpu_busy_before=0.01,
    loop_before_ms=10.0,
    open_files_limit=1024,
)
PROFILE = Profile(
    name="short",
    description="two users for four seconds",
    users=2,
    spawn_rate=2,
    run_time_s=4,
    workers=2,
    threads=4,
    wait_min_s=0.1,
    wait_max_s=0.2,
    backend_wait_min_s=1.0,
    backend_wait_max_s=1.0,
    drain_s=0,
    seed=42,
    reported=False,
)
RELEASE = Release(version="1.12.0", uploaded=datetime.date(2024, 6, 11), as_of=datetime.date(2024, 6, 25))
ENGINE = Engine(name="fastapi", title="FastAPI", since="1.10.0")
ANSWER = {"total_time_sec": 1.0, "pf_node_time_sec": 1.004, "type": "example"}
LOCUST_ROW = LocustRow(
    type="POST",
    name="/score",
    request_count=3,
    failure_count=1,
    median_response_time=1300.0,
    average_response_time=1290.5,
    min_response_time=0.64,
    max_response_time=1400.25,
    average_content_size=136.0,
    requests_per_s=0.75,
    failures_per_s=0.25,
    percentiles=(1300.0,) * 11,
)
RECORDED = RecordedLoad(
    locust="2.47.0",
    user_class="FastHttpUser",
    options={"users": "2"},
    started_s=100.0,
    all_users_at_s=101.0,
    stopped_s=104.0,
    users_reached=2,
    in_flight_at_stop=1,
    failures=(Failure(kind="status", message="HTTP status 500", count=1),),
    locust_rows=(LOCUST_ROW,),
    lag_ms=Lag(p50=0.1, p99=0.9, max=2.5),
    cpu_s=0.25,
    run_queue_wait_s=0.01,
    exceptions=0,
    users_by_second=(1, 2, 2, 2),
)


def flow(path: Path) -> Flow:
    """A flow whose files lie in `path`."""
    return Flow(
        name="example",
        path=path,
        request=b'{"question": "why"}',
        own_wait_s=0.25,
        answer_in="answer",
        answer={"type": "example"},
        digest="f" * 64,
    )


def write_flow(path: Path, **files: str) -> Path:
    """A flow directory with the least that a flow has; `files` adds to it (dots are written __)."""
    path.mkdir(parents=True, exist_ok=True)
    minimum_effect = {"flow__flex__yaml": "entry: none\n", "request__json": '{"question": "why"}'}
    for name, text in (minimum_effect | files).items():
        (path / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return path


def spec(path: Path | None) -> RunSpec:
    """A run of the flow in `path`; of the mock API alone without one."""
    target = None if path is None else Target(release=RELEASE, engine=ENGINE, flow=flow(path), version=RELEASE.version)
    return RunSpec(target=target, profile=PROFILE, python="3.11", round=1)


def request(
    end_s: float,
    response_time_ms: float,
    outcome: str = "ok",
    *,
    backend_s: float | None = 1.0,
    node_s: float | None = 1.004,
) -> Request:
    """A request that completed at `end_s`; one that failed says nothing of the backend."""
    good = outcome == "ok"
    return Request(
        start_s=end_s - response_time_ms / 1000,
        response_time_ms=response_time_ms,
        outcome=outcome,
        backend_s=backend_s if good else None,
        node_s=node_s if good else None,
        port=None,
    )


def counts(*values_us: int) -> HistogramCounts:
    """A distribution of distinct, ascending values, each once."""
    lowest = histogram_codec.buckets(4).get_lowest_equivalent_value
    return HistogramCounts(
        values_us=np.array([lowest(value) for value in values_us], dtype=np.int64),
        counts=np.ones(len(values_us), dtype=np.int64),
        total_us=sum(values_us),
        max_us=max(values_us),
        min_us=min(values_us),
    )


HISTOGRAMS = Histograms(
    windows={
        "ramp": {"ok": counts(1_260_000)},
        "steady": {"ok": counts(1_251_000, 1_300_000), "failed": counts(640)},
        "drain": {"ok": counts(1_400_000)},
    },
)
TIMELINE = [
    Second(second=0, users=1, requests=0, failures=0, p50_ms=None, p95_ms=None, server_cpu_s=None),
    Second(second=1, users=2, requests=3, failures=1, p50_ms=1275.5, p95_ms=1300.0, server_cpu_s=0.018),
]
MEASUREMENTS = Measurements(
    load=Load(
        started_s=0.0,
        all_users_at_s=1.0,
        stopped_s=4.0,
        users_reached=2,
        recorded=3,
        in_flight_at_stop=1,
        failures=RECORDED.failures,
        locust_rows=RECORDED.locust_rows,
    ),
    generator=Generator(
        locust="2.47.0",
        user_class="FastHttpUser",
        options={"users": "2"},
        lag_p50_ms=0.1,
        lag_p99_ms=0.9,
        lag_max_ms=2.5,
        cpu_s=0.25,
        run_queue_wait_s=None,
        exceptions=0,
    ),
    server=Server(
        ready_s=1.5,
        settled_s=2.25,
        cpu_s=0.018,
        window_s=(1.0, 4.0),
        completed=3,
        worker_cpu_s=(0.01, 0.008),
        workers_lost=0,
        memory_start_bytes=200 * 2**20,
        memory_end_bytes=210 * 2**20,
        memory_kind="pss",
        threads_seen=5,
    ),
    backend=Backend(received=4, answered=3, cpu_s=0.004),
    disturbance=Disturbance(window_s=3.0, cores=2, busy_s=0.3, other_s=0.1, stolen_s=0.0, loop_after_ms=10.5),
)
RECORD = RunRecord(
    schema_version=SCHEMA_VERSION,
    run_id="20261116T120000Z-0a1b2c",
    started_at="2026-11-16T12:00:00+00:00",
    requested=RequestedConfig(
        release="1.12.0",
        engine="fastapi",
        flow="static_async",
        profile=PROFILE,
        python="3.11",
        round=1,
        seed=42,
    ),
    observed=ObservedConfig(
        promptflow="1.12.0",
        command=("gunicorn", "-w", "2", "-b", "127.0.0.1:PORT", "app"),
        environment={"PROMPTFLOW_WORKER_NUM": "2"},
        workers=2,
        threads=1,
        distributions={"promptflow": "1.12.0"},
        bytecode=True,
    ),
    digests=Digests(
        lock="1" * 64, flow="2" * 64, locustfile="3" * 64, mock_api="4" * 64, profile="5" * 64, tools="6" * 64
    ),
    machine=MACHINE,
    python="3.11.9",
    own_wait_s=0.25,
    outcome="ok",
    reasons=(),
    phases_s={"boot": 2.25, "load": 5.0},
    measurements=MEASUREMENTS,
)


def write_recording(directory: Path, recorded: RecordedLoad, requests: list[Request]) -> None:
    """What locust's recorder leaves in its directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "load.json").write_bytes(msgspec.json.encode(recorded))
    with (directory / "requests.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in dataclasses.fields(Request)])
        writer.writeheader()
        writer.writerows(dataclasses.asdict(row) for row in requests)
