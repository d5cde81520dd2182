"""A small world to break: a flow, a release that is a fake, and sessions in processes of their own.

What it starts carries a marker of its own, so that tests, and a real measurement, do not meet.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from scripts.config.matrix import ROOT
from scripts.host import machine
from scripts.host.telemetry import MARKER
from scripts.records import storage
from scripts.records.schema import RunRecord
from scripts.records.storage import UNFINISHED
from tests.faults.fakes import drive

FAKES = Path(__file__).resolve().parent / "fakes"
WAIT_S = 40.0
_TEMPLATE = Path("lib/python3.11/site-packages/promptflow/_sdk/data/docker/runit/promptflow-serve/run.jinja2")
_SERVER_SCRIPT = """#! /bin/bash
CONDA_ENV_PATH="$(conda info --base)/envs/{{env.conda_env_name}}"
export PATH="$CONDA_ENV_PATH/bin:$PATH"
WORKER_NUM=${PROMPTFLOW_WORKER_NUM:-"8"}
WORKER_THREADS=${PROMPTFLOW_WORKER_THREADS:-"1"}
gunicorn_app="promptflow.core._serving.app:create_app(engine='${PROMPTFLOW_SERVING_ENGINE}')"
cd /flow
echo "start promptflow serving with worker_num: ${WORKER_NUM}"
gunicorn -w ${WORKER_NUM} --threads ${WORKER_THREADS} -b "0.0.0.0:8080" --timeout 300 ${gunicorn_app}
"""
_EARLIER = Path("runs/report/1.0.0/flask-static_sync/20240101T000000Z-abcdef/record.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A command that runs."""

    popen: subprocess.Popen[str]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it alone; its children have groups of their own, as under a terminal."""
        self.popen.send_signal(number)

    def runs_on(self, seconds: float) -> bool:
        """Whether it still runs after so long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(seconds)
        return self.popen.poll() is None

    def wait_until(self, met: Callable[[], bool]) -> None:
        """Wait for a condition that comes while it runs."""
        deadline = time.monotonic() + WAIT_S
        while not met():
            assert self.popen.poll() is None, self.end()
            assert time.monotonic() < deadline, f"not within {WAIT_S:g} s"
            time.sleep(0.02)

    def end(self) -> Ended:
        """Wait until it ends."""
        out, err = self.popen.communicate(timeout=WAIT_S)
        return Ended(code=self.popen.returncode, out=out, err=err)


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """Everything of one test."""

    at: Path

    @property
    def results(self) -> Path:
        """The directory of the records."""
        return self.at / "results"

    @property
    def lock(self) -> Path:
        """The machine's lock of this world."""
        return self.at / "machine.lock"

    def build(self) -> None:
        """Write the flow, the fake release and an earlier record."""
        flow, environment = self.at / "flow", self.at / "environment"
        flow.mkdir()
        (flow / "flow.dag.yaml").write_text("inputs: {}\n", encoding="utf-8")
        (flow / "request.json").write_text('{"question": "?"}\n', encoding="utf-8")
        (flow / "bench.toml").write_text('answer_in = "answer"\n[answer]\ntype = "fake"\n', encoding="utf-8")
        self.behave()
        (environment / _TEMPLATE).parent.mkdir(parents=True)
        (environment / _TEMPLATE).write_text(_SERVER_SCRIPT, encoding="utf-8")
        gunicorn = environment / "bin" / "gunicorn"
        gunicorn.parent.mkdir()
        script = f"import runpy\nrunpy.run_path({str(FAKES / 'gunicorn.py')!r}, run_name='__main__')\n"
        gunicorn.write_text(f"#!{sys.executable} -IS\n{script}", encoding="utf-8")
        gunicorn.chmod(0o755)
        self.plant_earlier_record()

    def plant_earlier_record(self) -> None:
        """Put a record there that no later run may touch."""
        (self.results / _EARLIER).parent.mkdir(parents=True, exist_ok=True)
        (self.results / _EARLIER).write_bytes(b'{"schema_version": 1, "kept": true}\n')

    def behave(self, **settings: str) -> None:
        """Say how the fake release behaves: boot, answer, load, sigterm, strays, version, fail_at_request."""
        usual = {
            "boot": "ok",
            "answer": "ok",
            "load": "ok",
            "fail_at_request": "10",  # of one worker; the first verifies
            "sigterm": "ok",
            "strays": "none",
            "version": drive.RELEASE,
            "events": str(self.at / "events.txt"),
        }
        assert settings.keys() <= usual.keys()
        (self.at / "flow" / "behaviour.json").write_text(json.dumps(usual | settings), encoding="utf-8")

    def start(self, *options: str, first: str = "", **variables: str) -> Session:
        """Start a session; `first` is a command that its shell runs before, e.g. `ulimit`."""
        argv = [sys.executable, "-m", "tests.faults.fakes.drive", "--at", str(self.at), *options]
        if first:
            argv = ["bash", "-c", f"{first} && exec {shlex.join(argv)}"]
        return started(argv, ROOT, {"PROMPTFLOW_SERVE_BENCH_LOCK": str(self.lock), **variables})

    def run(self, *options: str, first: str = "") -> Ended:
        """Make a session from start to end."""
        return self.start(*options, first=first).end()

    def processes(self, word: str = "") -> list[psutil.Process]:
        """What carries this world's marker, and the word in its command line."""
        found: list[psutil.Process] = []
        if not self.lock.exists():
            return found
        marker = machine.marker(self.lock)
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                marked = process.environ().get(MARKER) == marker
                if marked and process.status() != psutil.STATUS_ZOMBIE and word in shlex.join(process.cmdline()):
                    found.append(process)
        return found

    def came_to(self, event: str) -> bool:
        """Whether the fake release has come to `boot` or `score`."""
        events = self.at / "events.txt"
        return events.is_file() and event in events.read_text(encoding="utf-8").split()

    def strays(self) -> list[psutil.Process]:
        """The processes that left the fake release's session, and still run."""
        events = self.at / "events.txt"
        words = events.read_text(encoding="utf-8").split() if events.is_file() else []
        found = []
        for pid in [int(word.removeprefix("stray:")) for word in words if word.startswith("stray:")]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE and process.name() == "sleep":
                    found.append(process)
        return found

    def folders(self) -> list[str]:
        """The runs' folders in scratch."""
        return sorted(path.name for path in self.at.glob("scratch/*"))

    def loads(self) -> bool:
        """Whether users ask."""
        return any(f.read_text().count("\n") > 1 for f in self.at.glob("scratch/*/recorded/progress.csv"))

    def records(self) -> list[RunRecord]:
        """The records of the runs here, oldest first."""
        found = sorted(self.results.glob("runs/fault/*/*/*/record.json"))
        return [storage.read_record(path.parent) for path in found if path.parent.suffix != UNFINISHED]

    def record_bytes(self) -> dict[str, bytes]:
        """Every file of those runs."""
        files = (path for path in self.results.glob("runs/fault/**/*") if path.is_file())
        return {str(path.relative_to(self.results)): path.read_bytes() for path in sorted(files)}

    def left(self) -> list[str]:
        """What should not be there after a session: processes, unfinished records, a changed earlier record."""
        left = [f"process {process.cmdline()}" for process in (*self.processes(), *self.strays())]
        left += [f"unfinished {path.name}" for path in self.results.rglob(f"*{UNFINISHED}")]
        earlier = self.results / _EARLIER
        if not earlier.is_file() or earlier.read_bytes() != b'{"schema_version": 1, "kept": true}\n':
            left.append("the earlier record has changed")
        return left


def started(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Session:
    """Start a command with this environment beside the test's own."""
    whole = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(cwd), **env}
    popen = subprocess.Popen(
        list(argv),
        cwd=cwd,
        env=whole,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - tests in the background ignore it
    )
    return Session(popen=popen)


@contextlib.contextmanager
def small_disk(at: Path, kibibytes: int) -> Iterator[None]:
    """Mount a disk of that size; PermissionError where this user may not."""
    at.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k", "tmpfs", str(at)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PermissionError(done.stderr.strip())
    try:
        yield
    finally:
        unmount = ["umount", "--lazy", str(at)]
        subprocess.run(unmount, check=True)


def make_read_only(disk: Path) -> None:
    """Let nothing more be written to a small disk."""
    mount = ["mount", "-o", "remount,ro", str(disk)]
    subprocess.run(mount, check=True)


def fill(disk: Path) -> None:
    """Leave no room on a small disk."""
    with (disk / "filler").open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(b"x" * 4096)
