"""Synthetic runs: records, histograms and timelines as a measuring run would leave them, for any outcome."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from scripts.analysis import bottleneck, metrics
from scripts.analysis.run_data import RunData
from scripts.analysis.run_reader import Run
from scripts.config import matrix, matrix_file, python_label
from scripts.records import schema as r
from scripts.records import storage
from scripts.records.schema import HistogramCounts, Histograms, LocustRow, Measurements, Outcome, RunRecord, Second

SUITE = matrix_file.load()
PERCENTILES = (0.5, 0.66, 0.75, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 0.9999, 1.0)
MACHINE = r.Machine(
    cpu_model="Example CPU",
    cores=8,
    memory_bytes=16 * 2**30,
    system="Linux x86_64",
    kernel="6.1.0",
    tools_python="3.11.9",
    load_before=(0.1, 0.1, 0.1),
    cpu_busy_before=0.01,
    loop_before_ms=10.0,
    open_files_limit=65536,
)
DIGESTS = r.Digests(
    lock="1" * 64, flow="f" * 64, locustfile="10c" + "0" * 61, mock_api="a" * 64, profile="b" * 64, tools="c" * 64
)


def counts(values_us: list[int]) -> HistogramCounts:
    """The distribution of these values, exact."""
    distinct = tuple(sorted(set(values_us)))
    return HistogramCounts(
        values_us=np.array(distinct, dtype=np.int64),
        counts=np.array([values_us.count(value) for value in distinct], dtype=np.int64),
        total_us=sum(values_us),
        max_us=max(values_us),
        min_us=min(values_us),
    )


def spread_counts(number: int, low_us: int, step_us: int, buckets: int) -> HistogramCounts:
    """`number` values, evenly over `buckets` buckets from `low_us` on."""
    values = tuple(low_us + step_us * n for n in range(buckets))
    share, rest = divmod(number, buckets)
    each = tuple(share + (n < rest) for n in range(buckets))
    total = sum(value * count for value, count in zip(values, each, strict=True))
    kept = [(value, count) for value, count in zip(values, each, strict=True) if count]
    return HistogramCounts(
        values_us=np.array([value for value, _ in kept], dtype=np.int64),
        counts=np.array([count for _, count in kept], dtype=np.int64),
        total_us=total,
        max_us=kept[-1][0],
        min_us=kept[0][0],
    )


def histograms(
    steady: int = 9000, ramp: int = 800, failed: int = 5, mean_ms: float = 1286.0, buckets: int = 50
) -> Histograms:
    """Successes from 1251 ms up around `mean_ms`, with overheads and backend calls to match."""
    low = 1_251_000
    step = max(1, round((mean_ms * 1000 - low) * 2 / buckets))

    def window(number: int, failures: int) -> dict[str, HistogramCounts]:
        found = {
            "ok": spread_counts(number, low, step, buckets),
            "overhead": spread_counts(number, 1_000, step, buckets),
            "backend_call": spread_counts(number, 600, max(1, step // 2), buckets),
        }
        return found | ({"failed": spread_counts(failures, 640, 300, failures)} if failures else {})

    return Histograms(windows={"ramp": window(ramp, 0), "steady": window(steady, failed)})


def timeline(run_time_s: int = 60, rps: float = 178, users: int = 500, ramp_s: int = 10, seed: int = 1) -> list[Second]:
    """A ramp, then a steady rate with some noise; nothing completes in the first second."""
    noise = random.Random(seed)  # noqa: S311 - nothing secret
    rows = []
    for second in range(run_time_s):
        active = min(users, users * (second + 1) // ramp_s)
        done = round(rps * active / users * noise.uniform(0.9, 1.1)) if second else 0
        p50 = noise.uniform(1258, 1275) if done else None
        rows.append(
            Second(
                second=second,
                users=active,
                requests=done,
                failures=1 if second in {23, 41} else 0,
                p50_ms=p50,
                p95_ms=p50 and p50 + noise.uniform(40, 260),
                server_cpu_s=None if second == 0 else round(done * 0.0064, 3),
            )
        )
    return rows


def locust_rows(
    name: str, number: int, failed: int, mean_ms: float, rps: float, minimum_ms: float
) -> tuple[LocustRow, ...]:
    """A row of locust's statistics for a request and its Aggregated row."""
    row = LocustRow(
        type="POST",
        name=name,
        request_count=number,
        failure_count=failed,
        median_response_time=1300.0,
        average_response_time=mean_ms,
        min_response_time=minimum_ms,
        max_response_time=1674.347330999808,
        average_content_size=136.25,
        requests_per_s=rps,
        failures_per_s=rps * failed / number if number else 0.0,
        percentiles=tuple(float(1200 + 100 * math.ceil(share * 3)) for share in PERCENTILES),
    )
    return row, dataclasses.replace(row, type="", name="Aggregated")


def measurements(
    *, mock: bool = False, failed: int = 5, mean_ms: float = 1286.0, rps: float = 166.0, number: int = 9805,
    in_flight: int = 230, ready_s: float = 1.5, minimum_ms: float | None = None,
) -> Measurements:  # fmt: skip
    """What a run of the report profile may have measured."""
    kinds = (r.Failure(kind="keepalive_race", message="Connection reset by peer", count=failed),) if failed else ()
    fastest = minimum_ms if minimum_ms is not None else 0.64 if failed else 1251.5
    server = r.Server(
        ready_s=ready_s,
        settled_s=ready_s + 4.5,
        cpu_s=57.6,
        window_s=(10.0, 60.0),
        completed=9000,
        worker_cpu_s=(7.2, 7.0, 7.4, 7.2, 7.2, 7.1, 7.3, 7.2),
        workers_lost=0,
        memory_start_bytes=800 * 2**20,
        memory_end_bytes=880 * 2**20,
        memory_kind="pss",
        threads_seen=5,
    )
    return Measurements(
        load=r.Load(
            started_s=0.0,
            all_users_at_s=10.0,
            stopped_s=60.0,
            users_reached=500,
            recorded=number,
            in_flight_at_stop=in_flight,
            failures=kinds,
            locust_rows=locust_rows("/" if mock else "/score", number, failed, mean_ms, rps, fastest),
        ),
        generator=r.Generator(
            locust="2.47.0",
            user_class="FastHttpUser",
            options={"users": "500"},
            lag_p50_ms=0.4,
            lag_p99_ms=3.2,
            lag_max_ms=9.0,
            cpu_s=4.9,
            run_queue_wait_s=0.2,
            exceptions=0,
        ),
        server=None if mock else server,
        disturbance=r.Disturbance(
            window_s=50.0, cores=MACHINE.cores, busy_s=80.0, other_s=4.0, stolen_s=1.0, loop_after_ms=11.0
        ),
        backend=r.Backend(received=number + (not mock), answered=number + (not mock), cpu_s=3.6),
    )


def command(engine: str, workers: int, threads: int) -> tuple[str, ...]:
    """How an engine's server is started."""
    if engine == "fastapi":
        return ("gunicorn", "--worker-class", "uvicorn.workers.UvicornWorker", "-w", str(workers), "app")
    return ("gunicorn", "-w", str(workers), "--threads", str(threads), "app")


def record(
    *, release: str = "1.12.0", engine: str = "fastapi", flow: str = "static_async", profile: str = "report",
    number: int = 1, outcome: Outcome = "ok", reasons: tuple[str, ...] = (), measured: Measurements | None = None,
) -> RunRecord:  # fmt: skip
    """Run `number` of a cell; `measured` is made up unless the outcome has none or it is given."""
    load = SUITE.profile(profile)
    mock = release == matrix.MOCK
    if measured is None and outcome in {"ok", "invalid"}:
        measured = measurements(mock=mock)
    observed = r.ObservedConfig(
        promptflow=release,
        command=command(engine, load.workers, load.threads),
        environment={"PROMPTFLOW_WORKER_NUM": str(load.workers)},
        workers=load.workers,
        threads=load.threads if engine == "flask" else 1,
        distributions={"promptflow": release},
        bytecode=True,
    )
    return RunRecord(
        schema_version=r.SCHEMA_VERSION,
        run_id=f"202611{number // 1440 % 28 + 1:02}T{number // 60 % 24:02}{number % 60:02}00Z-{number:06x}",
        started_at="2026-11-01T00:00:00Z",
        requested=r.RequestedConfig(
            release=release, engine=engine, flow=flow, profile=load, python="3.11", round=number, seed=42
        ),
        observed=None if mock else observed,
        digests=dataclasses.replace(DIGESTS, profile=(load.name.encode().hex()[-12:] + DIGESTS.profile)[:64]),
        machine=MACHINE,
        python="3.11.9",
        own_wait_s=0.0 if mock else 0.25,
        outcome=outcome,
        reasons=reasons,
        phases_s={"load": 60.0},
        measurements=measured,
    )


def write(results: Path, made: RunRecord, found: Histograms | None = None, seconds: list[Second] | None = None) -> Path:
    """Write a run under a results directory, and return its own."""
    directory = results / storage.run_path(made)
    directory.mkdir(parents=True)
    (directory / storage.RECORD_FILE).write_bytes(storage.encode_record(made))
    if made.measurements is not None:
        (directory / storage.HISTOGRAMS_FILE).write_bytes(storage.encode_histograms(found or histograms()))
        (directory / storage.TIMELINE_FILE).write_bytes(storage.encode_timeline(seconds or timeline()))
    return directory


def run_data(
    made: RunRecord | None = None, found: Histograms | None = None, seconds: list[Second] | None = None
) -> RunData:
    """What verdicts are computed from, without files: of a good run unless set otherwise."""
    made = made or record()
    assert made.measurements is not None
    return RunData(
        record=made,
        measured=made.measurements,
        histograms=found or histograms(),
        timeline=tuple(timeline() if seconds is None else seconds),
    )


def run(made: RunRecord, found: Histograms | None = None, distrusted: tuple[str, ...] = ()) -> Run:
    """A run as it is after reading, without files, as its record says that it ended."""
    return Run(
        directory=Path(),
        record=made,
        values=metrics.derive(made, found or histograms()),
        outcome=made.outcome,
        reasons=made.reasons,
        disturbances=(False,) * len(made.reasons),
        distrusted=distrusted,
        bound=bottleneck.verdict(run_data(made, found)) if made.measurements else None,
    )


def campaign(
    releases: Sequence[str], rounds: int, figures: Mapping[str, Sequence[Sequence[float | None]]] | None = None, *,
    name: str = "c0ffee123456", flow: str = "static_async", profile: str = "compare", first: int = 1,
) -> list[Run]:  # fmt: skip
    """The runs of interleaved rounds: an arm a release. `figures`: by metric, for each arm one figure a round.

    A metric without figures is the same in all runs. Round `first` tells one campaign's runs from another's.
    """
    found = []
    for number, (arm, release) in itertools.product(range(rounds), enumerate(releases, 1)):
        turn = -arm if number % 2 else arm  # every other round backwards
        made = record(release=release, flow=flow, profile=profile, number=100 * (first + number) + turn)
        place = {"campaign": name, "round_id": f"round-{first + number:03}", "arm": arm, "round": number + 1}
        made = dataclasses.replace(
            made,
            requested=dataclasses.replace(made.requested, **place),  # type: ignore[arg-type]
            digests=dataclasses.replace(made.digests, lock=release.encode().hex().ljust(64, "0")),
        )
        told = {metric: arms[arm - 1][number] for metric, arms in (figures or {}).items()}
        one = run(made)
        found.append(dataclasses.replace(one, values=one.values | told))
    return found


def on_machines(runs: Sequence[Run], identities: Sequence[str]) -> list[Run]:
    """The runs, with each round made by the next of these machines."""
    rounds = sorted({run.record.requested.round_id for run in runs})

    def placed(run: Run) -> Run:
        identity = identities[rounds.index(run.record.requested.round_id) % len(identities)]
        machine = dataclasses.replace(run.record.machine, identity=identity)
        return dataclasses.replace(run, record=dataclasses.replace(run.record, machine=machine))

    return [placed(run) for run in runs]


def on_python(one: Run, python: str) -> Run:
    """The run, had another Python served it."""
    requested = dataclasses.replace(one.record.requested, python=python)
    return dataclasses.replace(
        one, record=dataclasses.replace(one.record, requested=requested, python=f"{python}.9")
    )  # fmt: skip


def campaign_of_pythons(
    release: str, pythons: Sequence[str], rounds: int,
    figures: Mapping[str, Sequence[Sequence[float | None]]] | None = None, *,
    name: str = "c0ffee123456", flow: str = "static_async", profile: str = "compare", first: int = 1,
) -> list[Run]:  # fmt: skip
    """A campaign that compares a release with itself: an arm a Python, all on one lock; the rest as of `campaign`."""
    labels = [python_label.with_python(release, python) for python in pythons]
    found = []
    for one in campaign(labels, rounds, figures, name=name, flow=flow, profile=profile, first=first):
        moved = on_python(one, pythons[one.record.requested.arm - 1])
        digests = dataclasses.replace(moved.record.digests, lock=release.encode().hex().ljust(64, "0"))
        found.append(dataclasses.replace(moved, record=dataclasses.replace(moved.record, digests=digests)))
    return found


def spoilt(one: Run, outcome: Outcome = "invalid", reasons: tuple[str, ...] = ("something else ran",)) -> Run:
    """The run as it is when its figures do not count."""
    return dataclasses.replace(one, outcome=outcome, reasons=reasons)
