"""Real promptflow, real gunicorn, real locust: a whole `smoke` run of 1.12.0 on each engine, and what it recorded."""

from __future__ import annotations

import getpass
import gzip
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from scripts.analysis import run_reader
from scripts.config import matrix_file
from scripts.config.matrix import ROOT
from scripts.environments import locks, virtualenvs
from scripts.environments.virtualenvs import Environment
from scripts.host import machine, telemetry
from scripts.records.schema import RunRecord
from scripts.records.storage import RECORD_FILE, read_histograms, read_record, read_timeline

pytestmark = pytest.mark.e2e

RELEASE = "1.12.0"
FLOWS = {"flask": ("static_sync", "flex_async"), "fastapi": ("static_async", "flex_async")}
SHIPPED = Path("promptflow/_sdk/data/docker/runit/promptflow-serve/run.jinja2")


@pytest.fixture(scope="module", params=sorted(FLOWS))
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, str]:
    """A bench session on one engine: the engine, its results directory, and both outputs."""
    engine, results = str(request.param), tmp_path_factory.mktemp("results")
    flows = [word for flow in FLOWS[engine] for word in ("--flow", flow)]
    done = bench("--release", RELEASE, "--engine", engine, "--profile", "smoke", *flows, "--results", str(results))
    assert done.returncode in (0, 6), done.stdout + done.stderr  # 6: this machine is too busy for the generator
    return engine, results, f"{done.stdout}\n{done.stderr}"


def bench(*args: str) -> subprocess.CompletedProcess[str]:
    """Call the verb as nox does, with a lock of its own so that a measurement elsewhere does not forbid it."""
    env = {**os.environ, "PROMPTFLOW_SERVE_BENCH_LOCK": str(lock_file())}
    command = [sys.executable, "-m", "scripts", "bench", *args]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600, check=False)


def lock_file() -> Path:
    """Names the processes of these tests, too."""
    return ROOT / ".scratch" / f"end-to-end-{os.getpid()}.lock"


@pytest.fixture(scope="module", autouse=True)
def _scratch() -> Iterator[None]:
    lock_file().parent.mkdir(exist_ok=True)
    yield
    lock_file().unlink(missing_ok=True)


def records(results: Path) -> list[RunRecord]:
    """All records, oldest first."""
    return [read_record(path.parent) for path in sorted(results.rglob(RECORD_FILE), key=lambda path: path.parent.name)]


def virtualenv() -> Environment:
    """The release's virtualenv, which the session has built."""
    suite = matrix_file.load()
    path = virtualenvs.directory(RELEASE, locks.read(locks.of_release(suite, suite.release(RELEASE))), suite.python)
    site_packages = next((path / "lib").glob("python3.*/site-packages"))
    return Environment(path=path, python="", site_packages=site_packages, distributions={}, built=False)


def test_every_flow_is_recorded(session: tuple[str, Path, str]) -> None:
    """Each flow that was asked for ends in a record that is ok, or invalid only because the machine was busy."""
    engine, results, output = session
    found = records(results)
    assert [record.requested.flow for record in found] == list(FLOWS[engine])
    assert [record.outcome for record in found] == ["ok", "ok"]
    runs = [run_reader.read_run(path.parent) for path in results.rglob(RECORD_FILE)]
    reasons = [found for run in runs for found in zip(run.reasons, run.disturbances, strict=True)]
    assert [reason for reason, is_disturbance in reasons if not is_disturbance] == []
    assert re.search(r"\| Published figure +\| +POST /score \|", output)
    assert len(re.findall(rf"^\[\d/2\] {RELEASE} {engine} \w+  \d+\.\d s  \d+ requests$", output, re.MULTILINE)) == 2


def test_what_ran_is_read_back(session: tuple[str, Path, str]) -> None:
    """The record holds the release that answered, its live workers, and every installed distribution."""
    engine, results, _ = session
    for record in records(results):
        assert record.observed is not None
        assert (record.observed.promptflow, record.observed.workers) == (RELEASE, 2)
        assert record.observed.threads == (2 if engine == "flask" else 1)
        assert record.observed.distributions["promptflow-core"] == RELEASE
        assert record.observed.distributions["gunicorn"] == "20.1.0"


def test_the_command_is_the_release_s_own(session: tuple[str, Path, str]) -> None:
    """What was started equals the gunicorn line of the installed template, but for the address."""
    engine, results, _ = session
    script = (virtualenv().site_packages / SHIPPED).read_text(encoding="utf-8")
    lines = [line.split() for line in script.splitlines() if line.strip().startswith("gunicorn ")]
    app = f"promptflow.core._serving.app:create_app(engine='{engine}')"
    says = {"${WORKER_NUM}": "2", "${WORKER_THREADS}": "2", '"0.0.0.0:8080"': "127.0.0.1:PORT", "${gunicorn_app}": app}
    expected = [tuple(says.get(word, word) for word in line) for line in lines]
    by_engine = dict(zip(("flask", "fastapi"), expected, strict=True))
    assert {record.observed.command for record in records(results) if record.observed} == {by_engine[engine]}


def test_the_books_balance(session: tuple[str, Path, str]) -> None:
    """The one request of the verification, those recorded and those in flight are what the backend received."""
    _, results, _ = session
    for record in records(results):
        assert record.measurements is not None
        load, backend = record.measurements.load, record.measurements.backend
        failed = sum(failure.count for failure in load.failures)
        given = 1 + load.recorded - failed
        assert given <= backend.received <= given + failed + load.in_flight_at_stop


def test_the_small_files_agree_with_the_record(session: tuple[str, Path, str]) -> None:
    """Histograms and timeline hold each recorded request once, and no success is faster than its ideal time."""
    _, results, _ = session
    for path in sorted(results.rglob(RECORD_FILE)):
        record, windows = read_record(path.parent), read_histograms(path.parent).windows
        assert record.measurements is not None
        held = [sum(kinds[kind].counts) for kinds in windows.values() for kind in ("ok", "failed") if kind in kinds]
        assert sum(held) == record.measurements.load.recorded
        assert sum(second.requests for second in read_timeline(path.parent)) == record.measurements.load.recorded
        assert windows["steady"]["ok"].min_us >= 450_000  # 0.25 s of the flow and 0.2 s of the backend


def test_records_are_public(session: tuple[str, Path, str]) -> None:
    """No host name, user name, machine path or port is in any kept file."""
    _, results, _ = session
    private = [str(ROOT), str(Path.home()), str(Path(sys.prefix)), socket.gethostname(), f'"{getpass.getuser()}"']
    for path in [path for path in results.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        assert [word for word in private if len(word) > 2 and re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text)] == []
        assert re.findall(r"127\.0\.0\.1:\d+", text) == []


def test_nothing_is_left(session: tuple[str, Path, str]) -> None:
    """No process of the session outlives it, and the flow's own directory is as it was."""
    left = []
    marker = machine.marker(lock_file())
    for process in psutil.process_iter():
        try:
            if process.environ().get(telemetry.MARKER) == marker:
                left.append(process.name())
        except (psutil.Error, OSError):
            continue
    assert left == []
    assert session[1].is_dir()
    assert not list((ROOT / "flows").rglob(".promptflow"))


def test_dry_run_starts_nothing() -> None:
    """`--dry-run` prints the plan, the exact commands and the time, and makes no record."""
    done = bench("--release", RELEASE, "--engine", "fastapi", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "UvicornWorker -w 8 -b 127.0.0.1:PORT" in done.stdout or "--install-only" in done.stdout
    assert "--users 500 --spawn-rate 50 --run-time 60s" in done.stdout
    assert "2 run(s), about 2." in done.stdout


def test_your_own_flow(tmp_path: Path) -> None:
    """A flow directory of one's own, without a bench.toml, is served, verified and recorded under its name."""
    mine = tmp_path / "my_flow"
    mine.mkdir()
    for name in ("flow.dag.yaml", "guard.py", "ask_backend.py"):
        (mine / name).write_bytes((ROOT / "flows" / "static_async" / name).read_bytes())
    (mine / "request.json").write_text(json.dumps({"question": "mine", "chat_history": []}), encoding="utf-8")
    results = tmp_path / "results"
    done = bench(
        *("--release", RELEASE, "--engine", "fastapi", "--profile", "smoke", "--flow", str(mine)),
        *("--results", str(results)),
    )
    assert done.returncode in (0, 6), done.stdout + done.stderr
    (record,) = records(results)
    assert (record.requested.flow, record.outcome, record.own_wait_s) == ("my_flow", "ok", None)
