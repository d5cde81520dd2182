"""The recording of one test: every request exactly, how fit the generator was, and locust's own rows.

`Recording` lives from test_start to test_stop; what it writes into its directory:
  progress.csv  one row a second while the test runs, for whoever watches (counts since the start)
  requests.csv  one row for each finished request, in order of completion
  load.json     everything else; written last, so where it lies the recording is complete
Times are seconds of time.monotonic() where a name ends in `_s`. Imports `answers`, and of locust only types.
"""

from __future__ import annotations

import csv
import importlib.metadata
import io
import json
import math
import os
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import gevent  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from locust.runners import Runner
    from locust.stats import RequestStats, StatsEntry

    from locustfiles import answers
else:
    import answers  # locust puts this folder on sys.path

LOAD_FILE, REQUESTS_FILE, PROGRESS_FILE = "load.json", "requests.csv", "progress.csv"
REQUEST_COLUMNS = (
    "start_s",
    "response_time_ms",
    "outcome",
    "response_bytes",
    "backend_s",
    "node_s",
    "idle_s",
    "user",
    "port",
)
Row = tuple[float, float, str, int, float | None, float | None, float | None, int, int | None]  # as REQUEST_COLUMNS

PERCENTILES = (0.50, 0.66, 0.75, 0.80, 0.90, 0.95, 0.98, 0.99, 0.999, 0.9999, 1.0)  # of locust's own csv
_LAG_EVERY_S = 0.05  # 1200 looks a minute tell a p99; more would cost what they measure
_PROGRESS_EVERY_S = 1.0
_PROGRESS_WINDOW = 5  # rows of progress.csv that its p95 looks back
_MOST_MESSAGES = 20
_SCHEDSTAT = Path("/proc/self/schedstat")


class Recording:
    """What happened in one test. Users call `add`, `fail` and `cut_off`; locust's events the rest."""

    def __init__(self, directory: Path, runner: Runner) -> None:
        """Begin: forget an earlier recording in the directory, and start watching."""
        self._directory = directory
        self._runner = runner
        self._rows: list[Row] = []
        self._failures: Counter[tuple[str, str]] = Counter()
        self._cut_off_ms: list[float] = []
        self._lags_ms = array("d")
        self._users_by_second: list[int] = []
        self._users_reached = 0
        self._all_users_at_s: float | None = None
        self._stopped_s: float | None = None
        directory.mkdir(parents=True, exist_ok=True)
        for name in (LOAD_FILE, REQUESTS_FILE):
            (directory / name).unlink(missing_ok=True)
        self._progress: TextIO = (directory / PROGRESS_FILE).open("w", encoding="utf-8", newline="")
        self._progress.write("t_s,users,requests,failures,p95_ms\n")
        self._cpu_s = time.process_time()
        self._run_queue_wait_s = run_queue_wait_s()
        self._started_s = time.monotonic()
        self._watchers = [gevent.spawn(self._watch_lag), gevent.spawn(self._watch_progress)]

    def add(self, row: Row) -> None:
        """Note a finished request."""
        self._rows.append(row)

    def fail(self, kind: str, message: str) -> None:
        """Count a failure; kinds of message beyond the twentieth are counted together."""
        key = (kind, message)
        if key not in self._failures and len(self._failures) >= _MOST_MESSAGES:
            key = (kind, "other messages")
        self._failures[key] += 1

    def cut_off(self, age_ms: float) -> None:
        """Note a request that was still in flight when its user was stopped."""
        self._cut_off_ms.append(age_ms)

    def all_users_started(self) -> None:
        """Note when the ramp ended; a change of the number of users by hand does not move it."""
        self._note_users()
        if self._all_users_at_s is None:
            self._all_users_at_s = time.monotonic()

    def stop(self) -> None:
        """Note that the load ends; requests in flight may still finish while locust drains."""
        self._stopped_s = time.monotonic()
        gevent.killall(self._watchers)
        users = self._note_users()
        if len(self._users_by_second) < round(self._stopped_s - self._started_s):
            self._users_by_second.append(users)
        self._cpu_s = time.process_time() - self._cpu_s
        before, after = self._run_queue_wait_s, run_queue_wait_s()
        self._run_queue_wait_s = None if before is None or after is None else after - before
        self._progress.close()

    def write(self, *, user_class: str, options: Mapping[str, str]) -> None:
        """Write what was recorded; call once, after all users have stopped."""
        write_atomically(self._directory / REQUESTS_FILE, requests_csv(self._rows))
        load = {
            "locust": importlib.metadata.version("locust"),
            "user_class": user_class,
            "options": dict(options),
            "started_s": self._started_s,
            "all_users_at_s": self._all_users_at_s,
            "stopped_s": self._stopped_s,
            "users_reached": self._users_reached,
            "in_flight_at_stop": len(self._cut_off_ms),
            "in_flight_age_ms": sorted(self._cut_off_ms),
            "failures": [
                {"kind": kind, "message": message, "count": count}
                for (kind, message), count in sorted(self._failures.items())
            ],
            "locust_rows": locust_rows(self._runner.stats),
            "lag_ms": {
                name: percentile(sorted(self._lags_ms), share) or 0.0
                for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
            },
            "cpu_s": self._cpu_s,
            "run_queue_wait_s": self._run_queue_wait_s,
            "exceptions": sum(row["count"] for row in self._runner.exceptions.values()),
            "users_by_second": self._users_by_second,
        }
        write_atomically(self._directory / LOAD_FILE, json.dumps(load, indent=1) + "\n")

    def _note_users(self) -> int:
        users = self._runner.user_count
        self._users_reached = max(self._users_reached, users)
        return users

    def _watch_lag(self) -> None:
        while True:
            asleep = time.perf_counter()
            gevent.sleep(_LAG_EVERY_S)
            self._lags_ms.append(max(0.0, (time.perf_counter() - asleep - _LAG_EVERY_S) * 1000))

    def _watch_progress(self) -> None:
        seen = [0]  # how many rows there were, at each of the last looks
        for elapsed_s in self._seconds():
            users = self._note_users()
            self._users_by_second.append(users)
            recent = sorted(row[1] for row in self._rows[seen[0] :] if row[2] == answers.OK)
            seen = [*seen, len(self._rows)][-_PROGRESS_WINDOW:]
            p95 = percentile(recent, 0.95)
            self._progress.write(
                f"{elapsed_s:.1f},{users},{len(self._rows)},{self._failures.total()},"
                f"{'' if p95 is None else round(p95, 1)}\n"
            )
            self._progress.flush()

    def _seconds(self) -> Iterator[float]:
        """Come back after each full second since the start, without drifting."""
        due_s = self._started_s
        while True:
            due_s += _PROGRESS_EVERY_S
            gevent.sleep(max(0.0, due_s - time.monotonic()))
            yield due_s - self._started_s


def percentile(ascending: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile; None of nothing."""
    return ascending[max(0, math.ceil(len(ascending) * share) - 1)] if ascending else None


def run_queue_wait_s() -> float | None:
    """How long the main thread was runnable but waited for a core; None where /proc does not tell."""
    try:
        return int(_SCHEDSTAT.read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def requests_csv(rows: Sequence[Row]) -> str:
    """The request log, floats in full precision; an empty cell: not known."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(REQUEST_COLUMNS)
    writer.writerows(rows)
    return out.getvalue()


def locust_rows(stats: RequestStats) -> list[dict[str, object]]:
    """What locust itself would print: a row for each kind of request, then all of them together."""
    entries = [stats.entries[key] for key in sorted(stats.entries)]
    return [_locust_row(entry) for entry in (*entries, stats.total)]


def _locust_row(entry: StatsEntry) -> dict[str, object]:
    percentiles = [int(entry.get_response_time_percentile(share) or 0) for share in PERCENTILES]
    return {
        "type": entry.method,
        "name": entry.name,
        "request_count": entry.num_requests,
        "failure_count": entry.num_failures,
        "median_response_time": entry.median_response_time,
        "average_response_time": entry.avg_response_time,
        "min_response_time": entry.min_response_time or 0,
        "max_response_time": entry.max_response_time,
        "average_content_size": entry.avg_content_length,
        "requests_per_s": entry.total_rps,
        "failures_per_s": entry.total_fail_per_sec,
        "percentiles": percentiles if entry.num_requests else [],
    }


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)  # noqa: PTH105 - Path.replace is the same call; this one names the promise
