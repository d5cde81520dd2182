"""Measure the suite itself: `python -m scripts bench-self` prints a table and keeps it in results/self.md.

What a person waits for: the overhead of a bench session over its load, building a virtualenv, listing sessions,
and collating 20, 200 and 2000 records (copies of the committed ones under other releases). Nothing else may run.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scripts.analysis import operational_laws, run_reader
from scripts.commands import cli
from scripts.config import matrix, matrix_file, plan
from scripts.config.errors import NothingMeasuredError, SuiteError, quoted
from scripts.config.matrix import ROOT
from scripts.environments import locks, virtualenvs
from scripts.host import machine
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.records.storage import RECORD_FILE, encode_record, read_record, run_directories, run_path
from scripts.report.tables import markdown
from scripts.selftest import recorder_cost

RELEASE, ENGINE, PROFILE = "1.12.0", "fastapi", "report"
IDEAL_S = 1.25  # of the published flows
RECORDER_ROUNDS = 2
COLLATE_SIZES = (20, 200, 2000)
RUNS_A_RELEASE = 6
_TIMEOUT_S = 1800.0
_MIB = 1024**2


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One figure, and what it should be."""

    what: str
    measured: str
    wanted: str


def main(argv: list[str]) -> int:
    """Measure everything, print it, and write results/self.md."""
    parser = cli.parser("bench_self", "Measure the suite itself; nothing else may run meanwhile. About 13 minutes.")
    parser.add_argument("--skip-load", action="store_true", help="leave the bench session out (it takes 2.5 minutes)")
    parser.add_argument(
        "--nox-python", default=sys.executable, metavar="PATH", help="the Python that nox runs on (default: this one)"
    )
    args = parser.parse_args(argv)
    terminate_as_exception()
    system, suite, before = RealSystem(), matrix_file.load(), machine.describe()
    with tempfile.TemporaryDirectory(prefix="promptflow-serve-bench-") as name:
        rows = _own_steps(suite, system, args.nox_python, Path(name))
        if not args.skip_load:  # the session takes the machine for itself
            rows += _shown(_session(system, args.nox_python, Path(name)))
    table = markdown.markdown(("What", "Measured", "Wanted"), [(row.what, row.measured, row.wanted) for row in rows])
    text = (
        "# The suite itself\n\nWhat a person waits for, measured by `nox -s bench-self` on "
        f"{before.cores} cores ({before.cpu_model}), Python {before.tools_python}, "
        f"{datetime.now(UTC):%Y-%m-%d}; {before.cpu_busy_before:.0%} of the cores were busy before.\n\n{table}\n"
    )
    if not args.skip_load:
        (ROOT / "results" / "self.md").write_text(text, encoding="utf-8")
        print("wrote results/self.md")
    return 0


def _own_steps(suite: matrix.Suite, system: System, nox_python: str, scratch: Path) -> list[Row]:
    """All but the bench session, while no measurement can run beside them."""
    with machine.exclusive(machine.lock_file()):
        return [
            *_shown(_listing(system, nox_python)),
            *_shown(_collating(system, scratch)),
            *_shown(_collating_committed(system)),
            *_shown(_building(suite, system, scratch)),
            *_shown(_building_all(suite, system, scratch)),
            *_shown(_recording(suite, system, scratch)),
        ]


def _recording(suite: matrix.Suite, system: System, scratch: Path) -> Iterator[Row]:
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
    cost_ms, rate_rps = (
        statistics.median(differences),
        operational_laws.closed_loop_rps(spec.profile.users, IDEAL_S, operational_laws.think_s(spec.profile)),
    )
    share = cost_ms / 1000 * rate_rps / (os.cpu_count() or 1)
    each = ", ".join(f"{difference * 1000:+.0f}" for difference in differences)
    yield Row(
        what=f"recorder at {rate_rps:.0f} requests/s, share of the box's CPU against a load without it",
        measured=f"{share:.2%} ({each} us a request)",
        wanted="< 1 % with the telemetry",
    )


def _shown(rows: Iterable[Row]) -> list[Row]:
    """The rows, each printed as soon as it is measured."""
    found = []
    for row in rows:
        print(f"{row.what}: {row.measured}", flush=True)
        found.append(row)
    return found


def _listing(system: System, nox_python: str) -> Iterator[Row]:
    took = statistics.median(_timed(system, [nox_python, "-m", "nox", "-l"]) for _ in range(5))
    yield Row(what="`nox -l`, median of 5", measured=f"{took:.2f} s", wanted="<= 1.5 s")


def _collating(system: System, scratch: Path) -> Iterator[Row]:
    found = [(path, read_record(path)) for path in run_directories(ROOT / "results", profile="report")]
    templates = [path for path, record in found if record.outcome == "ok"]
    if not templates:
        raise NothingMeasuredError("there are no records to copy", then=f"nox -s bench-{RELEASE}-{ENGINE}")
    for size in COLLATE_SIZES:
        results = scratch / f"collate-{size}"
        _copies(templates, results, size)
        took = _timed(system, [sys.executable, "-m", "scripts", "collate", "--results", str(results)])
        most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _rss_unit() / _MIB
        wanted = "<= 10 s, <= 400 MB" if size == 200 else "linear"  # noqa: PLR2004 - the stated size
        yield Row(what=f"collate of {size} records", measured=f"{took:.1f} s, {most:.0f} MiB", wanted=wanted)


def _collating_committed(system: System) -> Iterator[Row]:
    results = ROOT / "results"
    records = len(run_directories(results))
    took = _timed(system, [sys.executable, "-m", "scripts", "collate", "--check"])
    size = sum(path.stat().st_size for path in results.rglob("*") if path.is_file())
    yield Row(
        what=f"collate --check of the {records} records in results/, which are {size / _MIB:.1f} MiB",
        measured=f"{took:.1f} s",
        wanted="<= 30 s, <= 25 MiB",
    )


def _copies(templates: Sequence[Path], results: Path, size: int) -> None:
    """Write `size` records like the templates: every release has six, under its own name."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(size):
        template = templates[number % len(templates)]
        record = read_record(template)
        record = dataclasses.replace(
            record,
            run_id=f"{start + timedelta(minutes=number):%Y%m%dT%H%M%SZ}-{number:06x}",
            requested=dataclasses.replace(record.requested, release=f"{number // RUNS_A_RELEASE + 1}.0.0"),
        )
        place = results / run_path(record)
        shutil.copytree(template, place)
        (place / RECORD_FILE).write_bytes(encode_record(record))


def _building(suite: matrix.Suite, system: System, scratch: Path) -> Iterator[Row]:
    """Build a release's virtualenv twice; the first fills uv's cache, the second counts."""
    lock = locks.read(locks.of_release(suite, suite.release(RELEASE)))
    took, built = 0.0, list[Path]()
    for label in ("self-cold", "self-warm"):
        began = system.monotonic()
        uv, log = virtualenvs.find_uv(), scratch / "install.log"
        built.append(virtualenvs.build(label, lock, suite.python, uv=uv, system=system, log=log).path)
        took = system.monotonic() - began
    virtualenvs.remove(built)
    yield Row(what=f"virtualenv of {RELEASE} from a warm cache", measured=f"{took:.1f} s", wanted="<= 10 s")


def _building_all(suite: matrix.Suite, system: System, scratch: Path) -> Iterator[Row]:
    """Build every release's virtualenv twice; the first fills uv's cache, the second counts."""
    took, built = 0.0, list[Path]()
    for warm in (False, True):
        began = system.monotonic()
        built = [_build(suite, release, system, scratch) for release in suite.releases]
        took = system.monotonic() - began
        used = disk_bytes(built)
        virtualenvs.remove(built)
        if warm:
            yield Row(
                what=f"virtualenvs of all {len(built)} releases from a warm cache, files that they share counted once",
                measured=f"{took:.0f} s, {used / 1e9:.2f} GB",
                wanted="<= 300 s, <= 4 GB",
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


def _session(system: System, nox_python: str, scratch: Path) -> Iterator[Row]:
    """A whole bench session on the report profile, as a person types it, and its parts."""
    results = scratch / "session"
    argv = [nox_python, "-m", "nox", "-s", f"bench-{RELEASE}-{ENGINE}"]
    _timed(system, [*argv, "--install-only"])  # the virtualenv has a row of its own
    took = _timed(system, [*argv, "--", "--results", str(results)])
    directories = [path.parent for path in sorted(results.rglob(RECORD_FILE))]
    records = [read_record(path) for path in directories]
    load = sum(record.requested.profile.run_time_s for record in records)
    if not load:
        raise NothingMeasuredError("the session recorded nothing", then=f"nox -s bench-{RELEASE}-{ENGINE}")
    yield Row(
        what=f"wall time of `nox -s bench-{RELEASE}-{ENGINE}` over its load",
        measured=f"{took:.1f} s / {load} s = {took / load:.3f}",
        wanted="<= 1.2",
    )
    for phase in records[0].phases_s:
        seconds = [record.phases_s.get(phase, 0.0) for record in records]
        yield Row(
            what=f"of it, phase {phase}", measured=" + ".join(f"{value:.1f}" for value in seconds) + " s", wanted=""
        )
    harness = [run_reader.read_run(directory).values["harness_cpu_ratio"] or 0.0 for directory in directories]
    yield Row(
        what="telemetry and progress, share of the box's CPU",
        measured=" and ".join(f"{share:.2%}" for share in harness),
        wanted="< 1 % with the recorder",
    )
    rest = took - sum(sum(record.phases_s.values()) for record in records)
    yield Row(what="of it, nox, imports, looking at the machine, tables", measured=f"{rest:.1f} s", wanted="")


def _timed(system: System, argv: Sequence[str]) -> float:
    """Wall time of a command; SuiteError when it fails."""
    began = system.monotonic()
    done = system.run(argv, env=_environment(os.environ), cwd=ROOT, timeout_s=_TIMEOUT_S)
    if done.code != 0:
        raise SuiteError(
            f"{' '.join(argv[:4])} ... ended with {done.code}:\n{quoted(done.output)}", then="nox -s bench-self"
        )
    return system.monotonic() - began


def _environment(outer: Mapping[str, str]) -> dict[str, str]:
    """What a user's shell has, without what this nox session has put there."""
    return {key: value for key, value in outer.items() if not key.startswith("NOX_")}


def _rss_unit() -> int:
    """Bytes in a unit of ru_maxrss: Linux counts in KiB, macOS in bytes."""
    return 1 if sys.platform == "darwin" else 1024
