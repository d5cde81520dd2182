"""The run record: what was requested, what was observed, where, how it ended, and what was measured.

The only thing that the measuring and the reporting half share; `storage` writes and reads it.

Schema history
  1  the first.
  2  adds the place in a campaign, the warm-up of a profile, the first answers and the requests of each worker, the
     harness's own CPU time, suspension, clock changes, and each distribution's own number of significant digits. Its
     values are stored as increments. Version 1 is still read: what it lacks has the default given here.
  3  stores distributions in HdrHistogram's own packed form.
  4  renames `asked` to `requested` and `ran` to `observed`; adds to Load the impossible times, to Server
     the workers at the end, to Backend the largest stall. Older versions are still read, and what a record lacks has
     the default given here.
  5  adds the counts of a run that counts work (measurements are then missing), with the garbage collections of each
     window and the requests that the backend received; and to Generator the requests of all arms where it loaded two
     at once. Older versions are still read.
  6  adds the capacity search that a run belongs to, with its settings. Older versions are still read.
  7  adds how many processes made the load, and how fit each was; and which machine it was of several of one kind.
     Older versions are still read: there it was one process.
  8  adds to Measurements the samples of a soak. Older versions are still read.
  9  compresses the distributions. Older versions are still read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scripts.config.load_profiles import Profile, SearchIdentity

SCHEMA_VERSION = 9
READABLE = (1, 2, 3, 4, 5, 6, 7, 8, 9)
RENAMED = {"asked": "requested", "ran": "observed"}
RENAMED_IN = 4  # the fields above had the old names before

Window = Literal["ramp", "steady", "drain"]
"""Before the last user had started and the warm-up was over; from then until the load was stopped; after that."""

Outcome = Literal["ok", "invalid", "failed", "verify-failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestedConfig:
    """What the run was to do."""

    release: str  # or "mock"
    engine: str
    flow: str
    profile: Profile
    python: str  # e.g. "3.11"
    round: int  # from 1
    seed: int  # of think times and of the backend's waits
    campaign: str = ""  # of interleaved rounds; empty: measured by itself
    round_id: str = ""  # runs of one round of a campaign may be paired
    arm: int = 0  # from 1, the baseline; its number among the runs of its round
    search: SearchIdentity | None = None  # None: of no capacity search, or of one before schema 6
    load_processes: int = 1  # that made the load together
    load_workers: int = 0  # how many of them were started elsewhere: all or none


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedConfig:
    """What really ran, read back from the live server and its virtualenv."""

    promptflow: str  # as the live server's /version says
    command: tuple[str, ...]  # the server's, without the virtualenv's path; the port is written PORT
    environment: dict[str, str]  # all variables of the server; a path of this machine is written as PATH
    workers: int  # children of the live master process
    threads: int  # of each worker, as the live command line says
    distributions: dict[str, str]  # installed, name to version
    bytecode: bool  # promptflow's modules lie compiled in the virtualenv


@dataclass(frozen=True, kw_only=True, slots=True)
class Digests:
    """sha256 of everything that decides the numbers; two rows of one table agree in all but lock."""

    lock: str
    flow: str
    locustfile: str
    mock_api: str
    profile: str
    tools: str  # versions of everything that makes the load: locust, the mock's fastapi and uvicorn, and their needs


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
    loop_before_ms: float  # CPU time of a fixed piece of work just before the start: how fast the cores were
    open_files_limit: int
    identity: str = ""  # drawn at random once, and kept on the machine; empty: not known


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
    impossible_times: int | None = None  # good answers whose times of the backend cannot be; None: not counted


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadProcess:
    """How fit one of several processes of the load generator was, and its part of the load."""

    users: int  # most at a time
    requests: int  # recorded
    lag_p50_ms: float  # as in Generator, like all of the following
    lag_p99_ms: float
    lag_max_ms: float
    cpu_s: float
    run_queue_wait_s: float | None
    clock_error_s: float  # by how much its times may be off on the timeline's clock; 0 on the same machine


@dataclass(frozen=True, kw_only=True, slots=True)
class Generator:
    """How fit the load generator itself was; of several processes the latest lag, and the sum of times."""

    locust: str  # version
    user_class: str  # e.g. "FastHttpUser"
    options: dict[str, str]  # the effective options that matter
    lag_p50_ms: float  # how late the event loop woke a sleeper
    lag_p99_ms: float
    lag_max_ms: float
    cpu_s: float  # of the generator's process, from the first user to the stop
    run_queue_wait_s: float | None  # runnable but waiting for a core; None where the kernel does not report it
    exceptions: int  # raised in the locustfile's own code
    recorded_in_all: int | None = None  # requests of both arms, where it loaded two at once; None: of this run alone
    processes: tuple[LoadProcess, ...] = ()  # each, where several made the load together


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """What the server's process tree used."""

    ready_s: float  # start of the process to the first good /health
    settled_s: float  # start of the process until every worker had started and was idle
    cpu_s: float  # user and system, whole tree, over the steady window
    window_s: tuple[float, float]  # that window on the timeline's clock
    completed: int  # requests completed in that window, failures included
    worker_cpu_s: tuple[float, ...]  # the same for each worker, in order of process id
    workers_lost: int  # that ended within the window; their CPU time is in no figure
    memory_start_bytes: int  # PSS of the tree, verified and idle
    memory_end_bytes: int  # PSS of the tree after the load
    memory_kind: str  # "pss", or "rss" where the system has no PSS
    threads_seen: int  # most threads of any worker process after the load
    first_answer_s: float | None = None  # of the server, cold, on an idle machine: the verification
    first_answers_s: tuple[float | None, ...] = ()  # each worker's first under load; None: unknown
    worker_requests: tuple[int, ...] = ()  # each worker's successes in the steady window, as first_answers_s
    workers_at_end: int | None = None  # children of the live master process after the load; None: not counted


@dataclass(frozen=True, kw_only=True, slots=True)
class Backend:
    """What the mock API counted."""

    received: int
    answered: int
    cpu_s: float  # over the steady window
    stall_max_s: float | None = None  # the longest that it left an immediate answer undone; None: not measured


@dataclass(frozen=True, kw_only=True, slots=True)
class Disturbance:
    """What else the machine did in the steady window, in CPU seconds of all cores."""

    window_s: float  # length of the window
    cores: int  # of the whole machine
    busy_s: float  # everything
    other_s: float  # what was neither the servers', nor the generator's, nor the harness's; below 0: clock ticks
    stolen_s: float  # taken by the hypervisor; 0 where the system does not report it
    loop_after_ms: float  # as `loop_before_ms`, after the load
    harness_s: float | None = None  # used by the harness itself: telemetry, progress
    suspended_s: float = 0.0  # for which the machine slept during the load; 0 where the system does not report it
    clock_step_s: float = 0.0  # by which somebody set the wall clock during the load


@dataclass(frozen=True, kw_only=True, slots=True)
class SoakSample:
    """The server at one moment of a soak, and its answers since the sample before."""

    at_s: float  # on the timeline's clock
    requests: int  # completed since the load began, failures included
    memory_bytes: tuple[int, ...]  # of each process of its tree, the root first; as `memory_kind` says
    overhead_p50_ms: float | None  # median of the successes since the sample before; None: none that tells it


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurements:
    """Everything that was measured, raw enough to derive new metrics later."""

    load: Load
    generator: Generator
    server: Server | None  # None for the mock API alone
    backend: Backend
    disturbance: Disturbance
    soak: tuple[SoakSample, ...] = ()  # in order of time; none of a run whose memory was not sampled under load


@dataclass(frozen=True, kw_only=True, slots=True)
class CountedWindow:
    """Work of the server's worker over some requests, one after the other."""

    requests: int
    instructions: int  # executed in user space
    system_calls: int
    full_collections: int | None = None  # garbage collections of all generations; None: the Python has no symbols
    collection_instructions: int | None = None  # of its instructions, those of garbage collections of any generation


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What valgrind counted of the server with one worker, under requests one after the other."""

    valgrind: str  # version
    pinned: tuple[str, ...]  # what was held constant, in words
    start_up_instructions: int | None  # of the server's processes until the first good /health; None: not counted
    first_request_instructions: int | None  # None: not counted
    warm_up_requests: int  # served before the first window, the first request included
    windows: tuple[CountedWindow, ...]  # one after the other
    backend_received: int | None = None  # requests that the mock API received; None: not counted


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """One run."""

    schema_version: int
    run_id: str
    started_at: str  # UTC, ISO 8601
    requested: RequestedConfig
    observed: ObservedConfig | None  # None: it never came to that
    digests: Digests
    machine: Machine
    python: str  # of the release's virtualenv, with patch version; of the tools' for the mock API
    own_wait_s: float | None  # the flow's declared ideal time without its backend; None: not declared
    outcome: Outcome
    reasons: tuple[str, ...]  # why the outcome is not ok
    phases_s: dict[str, float]  # wall time of each phase
    measurements: Measurements | None
    counts: Counts | None = None  # of a run that counts work instead of measuring time


Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HistogramCounts:
    """An HdrHistogram: recorded values and how often each occurred."""

    values_us: Integers  # ascending; lowest equivalent value of the bucket
    counts: Integers  # as many
    total_us: int  # exact sum, for exact means
    max_us: int  # exact
    min_us: int  # exact; a difference can be negative, and counts as 1 in `values_us`
    significant_digits: int = 4  # of the buckets

    def __eq__(self, other: object) -> bool:
        """Whether all of it is the same."""
        if not isinstance(other, HistogramCounts):
            return NotImplemented
        return (self._exact, *map(bytes, self._arrays)) == (other._exact, *map(bytes, other._arrays))

    def __hash__(self) -> int:
        """Of what is exact."""
        return hash(self._exact)

    @property
    def _arrays(self) -> tuple[Integers, Integers]:
        return self.values_us, self.counts

    @property
    def _exact(self) -> tuple[int, int, int, int]:
        return self.total_us, self.max_us, self.min_us, self.significant_digits


@dataclass(frozen=True, kw_only=True, slots=True)
class Histograms:
    """Distributions by the window that a request completed in."""

    windows: dict[Window, dict[str, HistogramCounts]]


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
