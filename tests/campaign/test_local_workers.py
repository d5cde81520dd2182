"""A cluster on one machine: what is started for it, and what is stopped when it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.campaign import local_workers
from scripts.config.errors import UsageError
from scripts.host import machine
from scripts.host.machine import LOCK_VARIABLE
from tests.fakes.system import FakeSystem


@pytest.fixture(autouse=True)
def own_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that nobody else measures on."""
    monkeypatch.setenv(LOCK_VARIABLE, str(tmp_path / "lock"))


def test_scheduler_and_workers(tmp_path: Path, outside: FakeSystem) -> None:
    """Each role gets the address and the certificates, the machine is held, and in the end all of it is gone."""
    with local_workers.started(2, tmp_path / "scratch", outside) as address:
        names = [child.name for child in outside.children]
        assert names == ["scheduler", "worker-local-1", "worker-local-2"]
        for child in outside.children:
            assert address.url in child.argv
            assert str(address.certificates) in child.argv
        assert address.encrypted
        with pytest.raises(UsageError, match="another measurement runs"), machine.exclusive(machine.lock_file()):
            pytest.fail("held twice")
    assert all(child.stopped for child in outside.children)
    assert not list((tmp_path / "scratch").iterdir())
    with machine.exclusive(machine.lock_file()):
        pass


def test_every_worker_has_a_lock_of_its_own(
    tmp_path: Path, outside: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers on one machine do not refuse each other."""
    locks: list[str] = []
    start = FakeSystem.start

    def watched(self: FakeSystem, name: str, argv: list[str], *, env: dict[str, str], cwd: Path, log: Path) -> object:
        locks.append(env[LOCK_VARIABLE])
        return start(self, name, argv, env=env, cwd=cwd, log=log)

    monkeypatch.setattr(FakeSystem, "start", watched)
    with local_workers.started(2, tmp_path, outside):
        pass
    assert len({*locks, str(machine.lock_file())}) == 4


def test_machine_that_is_measured_on(tmp_path: Path, outside: FakeSystem) -> None:
    """While another session measures here, no worker is started."""
    with (
        machine.exclusive(machine.lock_file()),
        pytest.raises(UsageError, match="another measurement runs"),
        local_workers.started(2, tmp_path, outside),
    ):
        pytest.fail("held twice")
    assert outside.children == []
