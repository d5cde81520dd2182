"""What the suite itself costs a person: listing, collating, building, the load's overhead; each beside its limit."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scripts.analysis import operational_laws, run_reader
from scripts.config import matrix, plan
from scripts.config.bounded_files import MIB
from scripts.config.errors import NothingMeasuredError, SuiteError, quoted
from scripts.config.matrix import ROOT
from scripts.environments import locks, virtualenvs
from scripts.host import machine, telemetry
from scripts.host.process import System
from scripts.records.schema import RunRecord
from scripts.records.storage import RECORD_FILE, encode_record, read_record, run_directories, run_path
from scripts.selftest import recorder_cost

RELEASE, ENGINE, PROFILE = "1.12.0", "fastapi", "report"
IDEAL_S = 1.25  # of the published flows
RECORDER_ROUNDS = 2
COLLATE_SIZES = (100, 1000, 10_000)
_TIMEOUT_S = 1800.0
_SAMPLE_S = 0.2  # between two samples of a command's memory


@dataclass(frozen=True, kw_only=True, slots=True)
class CostLimit:
    """What a figure must not exceed."""

    most: float
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One measured figure."""

    text: str
    value: float = 0.0  # in the limit's unit
    limit: CostLimit | None = None

    @property
    def is_met(self) -> bool:
        """Whether it is within its limit; without one it is."""
        return self.limit is None or self.value <= self.limit.most


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What was measured together."""

    what: str
    figures: tuple[Figure, ...]

    @property
    def measured(self) -> str:
        """The figures for people."""
        return ", ".join(figure.text for figure in self.figures)

    @property
    def wanted(self) -> str:
        """Their limits; empty without one."""
        return ", ".join(figure.limit.text for figure in self.figures if figure.limit)

    @property
    def is_met(self) -> bool:
        """Whether all of them are within their limits."""
        return all(figure.is_met for figure in self.figures)


def listing(system: System, nox_python: str) -> Iterator[Cost]:
    """`nox -l`, as often typed as anything."""
    took = statistics.median(_timed(system, [nox_python, "-m", "nox", "-l"]) for _ in range(5))
    figure = Figure(text=f"{took:.2f} s", value=took, limit=CostLimit(most=0.3, text="<= 0.3 s"))
    yield Cost(what="`nox -l`, median of 5", figures=(figure,))


def collating(system: System, scratch: Path) -> Iterator[Cost]:
    """Collating results from nothing, with every picture to draw; ever more records must take no more than their share.

    The records are the committed ones, in copies that are campaigns of their own.
    """
    limits = {1000: ("<= 8 s", 8.0), 10_000: ("<= 30 s", 30.0)}
    before: float | None = None
    for size in COLLATE_SIZES:
        results = scratch / f"collate-{size}"
        copies(ROOT / "results", results, size)
        took, memory = _peak(system, [sys.executable, "-m", "scripts", "collate", "--results", str(results)], scratch)
        limit = CostLimit(most=limits[size][1], text=limits[size][0]) if size in limits else None
        figures = [Figure(text=f"{took:.1f} s", value=took, limit=limit)]
        figures.append(Figure(text=f"{memory / MIB:.0f} MiB", value=memory, limit=CostLimit(most=1e9, text="<= 1 GB")))
        if before is not None:
            growth = took / before
            linear = CostLimit(most=11.0, text="<= 11 times")
            figures.append(Figure(text=f"{growth:.1f} times the row above", value=growth, limit=linear))
        before = took
        yield Cost(what=f"collate of {size} records, nothing derived before", figures=tuple(figures))


def collating_committed(system: System) -> Iterator[Cost]:
    """`collate --check`, as CI calls it; and how large what it checks is."""
    results = ROOT / "results"
    took = _timed(system, [sys.executable, "-m", "scripts", "collate", "--check"])
    committed = (path for path in results.rglob("*") if path.is_file() and path.suffix != ".html")  # not the explorer
    size = sum(path.stat().st_size for path in committed)
    yield Cost(
        what=f"collate --check of the {len(run_directories(results))} records in results/",
        figures=(
            Figure(text=f"{took:.1f} s", value=took, limit=CostLimit(most=8.0, text="<= 8 s")),
            Figure(text=f"{size / MIB:.1f} MiB", value=size / 1e6, limit=CostLimit(most=40.0, text="<= 40 MB")),
        ),
    )


def copies(committed: Path, results: Path, size: int) -> None:
    """Write so many records: those that are committed, single runs first, then again as campaigns of their own."""
    found = [(directory, read_record(directory)) for directory in run_directories(committed)]
    found = [(directory, record) for directory, record in found if record.requested.profile.reported]
    if not found:
        raise NothingMeasuredError("there are no records to copy", then=f"nox -s bench-{RELEASE}-{ENGINE}")
    found.sort(key=lambda one: (one[1].requested.campaign, one[1].run_id))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    endless = itertools.chain.from_iterable(zip(itertools.repeat(copy), found) for copy in itertools.count())
    for number, (copy, (directory, record)) in enumerate(itertools.islice(endless, size)):
        again = _again(record, copy, f"{start + timedelta(minutes=number):%Y%m%dT%H%M%SZ}-{number:06x}")
        place = results / run_path(again)
        place.mkdir(parents=True)
        (place / RECORD_FILE).write_bytes(encode_record(again))
        for file in directory.iterdir():
            if file.name != RECORD_FILE:
                (place / file.name).write_bytes(file.read_bytes())


def _again(record: RunRecord, copy: int, run_id: str) -> RunRecord:
    requested = record.requested
    if requested.campaign and copy:
        campaign = hashlib.sha256(f"{requested.campaign} {copy}".encode()).hexdigest()[:12]
        requested = dataclasses.replace(requested, campaign=campaign)
    return dataclasses.replace(record, run_id=run_id, requested=requested)


def building(suite: matrix.Suite, system: System, scratch: Path) -> Iterator[Cost]:
    """Build a release's virtualenv twice; the first fills uv's cache, the second counts."""
    lock = locks.read(locks.of_release(suite, suite.release(RELEASE)))
    took, built = 0.0, list[Path]()
    for label in ("self-cold", "self-warm"):
        began = system.monotonic()
        uv, log = virtualenvs.find_uv(), scratch / "install.log"
        built.append(virtualenvs.build(label, lock, suite.python, uv=uv, system=system, log=log).path)
        took = system.monotonic() - began
    virtualenvs.remove(built)
    figure = Figure(text=f"{took:.1f} s", value=took, limit=CostLimit(most=10.0, text="<= 10 s"))
    yield Cost(what=f"virtualenv of {RELEASE} from a warm cache", figures=(figure,))


def building_all(suite: matrix.Suite, system: System, scratch: Path) -> Iterator[Cost]:
    """Build every release's virtualenv twice; the first fills uv's cache, the second counts."""
    for warm in (False, True):
        began = system.monotonic()
        built = [_build(suite, release, system, scratch) for release in suite.releases]
        took = system.monotonic() - began
        used = disk_bytes(built)
        virtualenvs.remove(built)
        if warm:
            yield Cost(
                what=f"virtualenvs of all {len(built)} releases from a warm cache, files that they share counted once",
                figures=(
                    Figure(text=f"{took:.0f} s", value=took, limit=CostLimit(most=300.0, text="<= 300 s")),
                    Figure(text=f"{used / 1e9:.2f} GB", value=used, limit=CostLimit(most=4e9, text="<= 4 GB")),
                ),
            )


def _build(suite: matrix.Suite, release: matrix.Release, system: System, scratch: Path) -> Path:
    lock = locks.read(locks.of_release(suite, release))
    label, uv = f"self-{release.version}", virtualenvs.find_uv()
    return virtualenvs.build(label, lock, suite.python, uv=uv, system=system, log=scratch / "install.log").path


def disk_bytes(folders: Iterable[Path]) -> int:
    """What folders take on a disk; a file that has several names in them is counted once."""
    files = {
        (found.st_dev, found.st_ino): found.st_blocks * 512  # POSIX counts blocks of 512 bytes
        for folder in folders
        for path in folder.rglob("*")
        if (found := path.lstat()) is not None
    }
    return sum(files.values())


def recording(suite: matrix.Suite, system: System, scratch: Path) -> Iterator[Cost]:
    """The recorder's share of the box at the report profile's rate, against the same load without it."""
    spec = plan.make_mock(suite, profile=PROFILE, rounds=1).runs[0]
    differences = []
    for number in range(RECORDER_ROUNDS):
        order = (True, False) if number % 2 else (False, True)
        places = {recorded: scratch / f"recorder-{number}-{recorded}" for recorded in order}
        found = {
            recorded: recorder_cost.cpu_per_request_ms(system, spec, place, recorded=recorded)
            for recorded, place in places.items()
        }
        differences.append(found[True] - found[False])
    cost_ms = statistics.median(differences)
    rate_rps = operational_laws.closed_loop_rps(spec.profile.users, IDEAL_S, operational_laws.think_s(spec.profile))
    share = cost_ms / 1000 * rate_rps / (os.cpu_count() or 1)
    each = ", ".join(f"{difference * 1000:+.0f}" for difference in differences)
    yield Cost(
        what=f"recorder at {rate_rps:.0f} requests/s, share of the machine's CPU against a load without it",
        figures=(
            Figure(
                text=f"{share:.2%} ({each} us a request)", value=share, limit=CostLimit(most=0.003, text="<= 0.3 %")
            ),
        ),
    )


def session(system: System, nox_python: str, scratch: Path) -> Iterator[Cost]:
    """A whole bench session on the report profile, as a person types it, and its parts."""
    results = scratch / "session"
    argv = [nox_python, "-m", "nox", "-s", f"bench-{RELEASE}-{ENGINE}"]
    _timed(system, [*argv, "--install-only"])  # the virtualenv has a row of its own
    took = _timed(system, [*argv, "--", "--results", str(results)])
    directories = run_directories(results)
    records = [read_record(path) for path in directories]
    load = sum(record.requested.profile.run_time_s for record in records)
    if not load:
        raise NothingMeasuredError("the session recorded nothing", then=f"nox -s bench-{RELEASE}-{ENGINE}")
    ratio = took / load
    yield Cost(
        what=f"wall time of `nox -s bench-{RELEASE}-{ENGINE}` over its load",
        figures=(
            Figure(
                text=f"{took:.1f} s / {load} s = {ratio:.3f}", value=ratio, limit=CostLimit(most=1.2, text="<= 1.2")
            ),
        ),
    )
    for phase in records[0].phases_s:
        seconds = " + ".join(f"{record.phases_s.get(phase, 0.0):.1f}" for record in records)
        yield Cost(what=f"of it, phase {phase}", figures=(Figure(text=f"{seconds} s"),))
    shares = [run_reader.read_run(directory).values["harness_cpu_ratio"] or 0.0 for directory in directories]
    text = " and ".join(f"{share:.2%}" for share in shares)
    figure = Figure(text=text, value=max(shares), limit=CostLimit(most=0.007, text="<= 0.7 %"))
    yield Cost(what="telemetry and progress, share of the machine's CPU", figures=(figure,))
    rest = took - sum(sum(record.phases_s.values()) for record in records)
    yield Cost(what="of it, nox, imports, looking at the machine, tables", figures=(Figure(text=f"{rest:.1f} s"),))


def bench(system: System, folder: Path, *options: str) -> tuple[list[Path], str]:
    """Make bench runs while this process holds the machine: where they are recorded, and what the session printed.

    An invalid run is no error here.
    """
    folder.mkdir()
    argv = [sys.executable, "-m", "scripts", "bench", *options, "--results", str(folder / "results")]
    env = _environment(os.environ) | {machine.LOCK_VARIABLE: str(folder / "lock")}
    done = system.run(argv, env=env, cwd=ROOT, timeout_s=_TIMEOUT_S)
    return run_directories(folder / "results"), done.output


def _timed(system: System, argv: Sequence[str]) -> float:
    """Wall time of a command; SuiteError when it fails."""
    began = system.monotonic()
    done = system.run(argv, env=_environment(os.environ), cwd=ROOT, timeout_s=_TIMEOUT_S)
    if done.code != 0:
        raise _failed(argv, done.code, done.output)
    return system.monotonic() - began


def _peak(system: System, argv: Sequence[str], scratch: Path) -> tuple[float, int]:
    """Wall time of a command, and the most memory that its process tree had, in bytes; SuiteError when it fails."""
    began, log, most = system.monotonic(), scratch / "command.log", 0
    child = system.start("command", argv, env=_environment(os.environ), cwd=ROOT, log=log)
    try:
        while (code := child.code()) is None:
            most = max(most, telemetry.memory(child.pid)[0])
            system.sleep(_SAMPLE_S)
    finally:
        child.stop(0.0)
    if code != 0:
        raise _failed(argv, code, log.read_text(encoding="utf-8", errors="replace"))
    return system.monotonic() - began, most


def _failed(argv: Sequence[str], code: int, output: str) -> SuiteError:
    return SuiteError(f"{' '.join(argv[:4])} ... ended with {code}:\n{quoted(output)}", then="nox -s bench-self")


def _environment(outer: Mapping[str, str]) -> dict[str, str]:
    """What a user's shell has, without what this nox session has put there."""
    return {key: value for key, value in outer.items() if not key.startswith("NOX_")}
