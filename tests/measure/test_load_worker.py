"""A load worker: takes part in one load after the other, and ends where it would make another load."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from scripts.config.errors import InvalidMeasurementError, NotComparableError, UsageError
from scripts.host import machine
from scripts.host.progress import Progress
from scripts.measure import load_worker
from tests.fakes.system import FakeSystem, Script, _option

HOST, PORT = "192.0.2.7", 5557
REFUSED = Script(ends_s=1.0, code=22, says="the master refused this worker: its locustfiles differ\n")


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a machine of its own."""
    monkeypatch.setenv("PROMPTFLOW_SERVE_BENCH_LOCK", str(tmp_path / "lock"))
    return tmp_path / "scratch"


def serve(outside: FakeSystem, scratch: Path) -> str:
    """Take part until an error ends it; give what was said."""
    out = io.StringIO()
    try:
        load_worker.serve(HOST, PORT, outside, Progress(outside.monotonic, Console(file=out, width=200)), scratch)
    finally:
        assert list(scratch.iterdir()) == []
    return out.getvalue()


def test_it_takes_part_in_one_load_after_the_other(outside: FakeSystem, scratch: Path) -> None:
    """After each load a new worker waits for the next, with a folder of its own; nothing is left of it."""
    outside.scripts["load-worker"] = [Script(ends_s=5.0, code=0), Script(ends_s=5.0, code=0), REFUSED]
    with pytest.raises(NotComparableError):
        serve(outside, scratch)
    assert outside.events == ["start load-worker", "stop load-worker"] * 3
    first, second, _ = (child.argv for child in outside.children)
    assert (_option(first, "--master-host"), _option(first, "--master-port")) == (HOST, str(PORT))
    assert _option(first, "--record-to") != _option(second, "--record-to")


def test_it_waits_for_a_session_that_comes_later(outside: FakeSystem, scratch: Path) -> None:
    """That no session has come for five minutes is no error."""
    outside.scripts["load-worker"] = [Script(ends_s=300.0, code=255), REFUSED]
    with pytest.raises(NotComparableError):
        serve(outside, scratch)
    assert outside.events.count("start load-worker") == 2


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        (REFUSED, NotComparableError, "the master refused this worker: its locustfiles differ"),
        (Script(ends_s=1.0, code=-9), InvalidMeasurementError, "the load worker was killed by signal 9"),
        (Script(ends_s=1.0, code=2, says="no such option\n"), InvalidMeasurementError, "no such option"),
    ],
)
def test_it_ends_where_it_cannot_go_on(
    outside: FakeSystem, scratch: Path, script: Script, error: type[Exception], message: str
) -> None:
    """A worker that is refused, killed or broken ends with the reason."""
    outside.scripts["load-worker"] = [script]
    with pytest.raises(error, match=message):
        serve(outside, scratch)


def test_it_holds_its_machine(outside: FakeSystem, scratch: Path) -> None:
    """Nothing else is measured on a machine that makes load."""
    scratch.mkdir()
    with machine.exclusive(machine.lock_file()), pytest.raises(UsageError, match="another measurement runs"):
        serve(outside, scratch)
