"""The machine: one measurement at a time, enough open files, and what is recorded about it."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.config.errors import UsageError
from scripts.config.matrix import ROOT
from scripts.host import machine

HOLD = """
import sys, time
from pathlib import Path
from scripts.host import machine
with machine.exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_holder_is_refused(tmp_path: Path) -> None:
    """While one measurement holds the machine, another is refused with the advice to wait."""
    with (
        machine.exclusive(tmp_path / "lock"),
        pytest.raises(UsageError, match="another measurement runs on this machine") as caught,
        machine.exclusive(tmp_path / "lock"),
    ):
        pytest.fail("held twice")
    assert "wait until it has ended" in caught.value.then


def test_refused_one_does_not_drop_the_lock(tmp_path: Path) -> None:
    """A holder that was disturbed by a second one still holds the machine against a third."""
    with machine.exclusive(tmp_path / "lock"):
        for _ in range(2):
            with pytest.raises(UsageError), machine.exclusive(tmp_path / "lock"):
                pytest.fail("held twice")


def test_lock_is_dropped_at_the_end(tmp_path: Path) -> None:
    """A measurement that has ended, well or not, leaves the machine to the next."""
    with pytest.raises(KeyboardInterrupt), machine.exclusive(tmp_path / "lock"):
        raise KeyboardInterrupt
    with machine.exclusive(tmp_path / "lock"):
        assert (tmp_path / "lock").exists()


@pytest.mark.process
def test_lock_is_dropped_on_death(tmp_path: Path) -> None:
    """A harness that is killed drops the lock: nobody has to remove a file."""
    argv = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError), machine.exclusive(tmp_path / "lock"):
            pytest.fail("held twice")
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with machine.exclusive(tmp_path / "lock"):
        assert (tmp_path / "lock").exists()


def test_lock_of_another_user(tmp_path: Path) -> None:
    """Whoever makes the lock file, with whatever umask, everybody can hold it, also who may only read it."""
    before = os.umask(0o077)
    try:
        with machine.exclusive(tmp_path / "lock"):
            assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o666
    finally:
        os.umask(before)
    (tmp_path / "lock").chmod(0o444)
    with machine.exclusive(tmp_path / "lock"), pytest.raises(UsageError), machine.exclusive(tmp_path / "lock"):
        pytest.fail("held twice")


def test_link_in_the_place_of_the_lock(tmp_path: Path) -> None:
    """A link is not followed: nothing is made or changed where it points."""
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="lock"), machine.exclusive(tmp_path / "lock"):
        pytest.fail("held")
    assert not (tmp_path / "elsewhere").exists()


def test_lock_in_no_directory(tmp_path: Path) -> None:
    """A lock file that cannot be made is named by the system's own error."""
    with pytest.raises(FileNotFoundError, match="missing"), machine.exclusive(tmp_path / "missing" / "lock"):
        pytest.fail("held")


def test_lock_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everybody on the machine shares a lock, wherever TMPDIR points, unless the environment names another."""
    monkeypatch.delenv("PROMPTFLOW_SERVE_BENCH_LOCK", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert machine.lock_file() == Path("/tmp/promptflow-serve-bench.lock")  # noqa: S108 - only named
    monkeypatch.setenv("PROMPTFLOW_SERVE_BENCH_LOCK", str(tmp_path / "mine"))
    assert machine.lock_file() == tmp_path / "mine"


@pytest.mark.fault
def test_lock_of_another_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A lock that is named relatively is the file in the working directory, whatever link leads there."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    for name in ("real/lock", "link/lock", str(tmp_path / "link" / "lock"), "real/../real/lock"):
        monkeypatch.setenv("PROMPTFLOW_SERVE_BENCH_LOCK", name)
        assert machine.lock_file() == (tmp_path / "real" / "lock").resolve()


@pytest.mark.fault
@pytest.mark.parametrize("name", ["", " "])
def test_lock_that_names_nothing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An empty name of the lock is refused with what to do, and does not mean the working directory."""
    monkeypatch.setenv("PROMPTFLOW_SERVE_BENCH_LOCK", name)
    with pytest.raises(UsageError, match="PROMPTFLOW_SERVE_BENCH_LOCK is set, and names no file") as caught:
        machine.lock_file()
    assert "unset PROMPTFLOW_SERVE_BENCH_LOCK" in caught.value.then


@pytest.mark.fault
def test_locks_have_markers_of_their_own(tmp_path: Path) -> None:
    """Two locks never share a marker, and a lock that two names lead to has one."""
    (tmp_path / "link").symlink_to(tmp_path)
    with machine.exclusive(tmp_path / "a") as first, machine.exclusive(tmp_path / "b") as second:
        assert first != second
        assert first == machine.marker(tmp_path / "link" / "a")
    with machine.exclusive(tmp_path / "link" / "a") as again:
        assert again == first


Limits = tuple[int, int]
UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limits", "after"),
    [
        ((1024, 4096), None),
        ((628, 628), None),
        ((UNLIMITED, UNLIMITED), None),
        ((256, 4096), (628, 4096)),
        ((256, UNLIMITED), (628, UNLIMITED)),
    ],
)
def test_open_files(monkeypatch: pytest.MonkeyPatch, limits: Limits, after: Limits | None) -> None:
    """The limit of open files is raised as far as the users need it, and never lowered."""
    changes: list[Limits] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, wanted: changes.append(wanted))
    machine.raise_open_files(500)
    assert changes == ([] if after is None else [after])


def test_too_few_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hard limit that is too low is refused with how many are needed and how to raise it."""
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (256, 512))
    with pytest.raises(UsageError, match="500 users need 628 open files, and this system allows 512") as caught:
        machine.raise_open_files(500)
    assert "ulimit -Hn 628" in caught.value.then


def test_described(monkeypatch: pytest.MonkeyPatch) -> None:
    """The description of a machine can be compared, and names neither host nor user."""
    monkeypatch.setattr(machine, "_CPU_SAMPLE_S", 0.01)
    found = machine.describe()
    assert found.cpu_model
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert found.memory_bytes > 2**20
    assert 0 <= found.cpu_busy_before <= 1
    assert found.open_files_limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert os.uname().nodename not in (found.system, found.kernel, found.cpu_model)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine that has no identity yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    machine.identity.cache_clear()
    yield tmp_path
    machine.identity.cache_clear()


def test_identity_is_kept(state: Path) -> None:
    """A machine has one identity from its first measurement on, and two machines have two."""
    first = machine.identity()
    machine.identity.cache_clear()
    assert machine.identity() == first
    (state / "promptflow-serve-bench" / "machine").unlink()
    machine.identity.cache_clear()
    assert re.fullmatch(r"[0-9a-f]{12}", first)
    assert machine.identity() != first


@pytest.mark.parametrize("content", [b"a-host-name!", b"x" * 100, b""])
def test_what_is_no_identity_is_not_recorded(state: Path, content: bytes) -> None:
    """A file that somebody else has written there gets into no record."""
    (state / "promptflow-serve-bench").mkdir()
    (state / "promptflow-serve-bench" / "machine").write_bytes(content)
    assert machine.identity() == ""


def test_identity_that_cannot_be_kept(state: Path) -> None:
    """Where nothing can be written, the machine has none, and is measured all the same."""
    (state / "promptflow-serve-bench").touch()
    assert machine.identity() == ""
