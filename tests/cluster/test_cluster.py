"""A cluster over network namespaces, which stand for machines: three workers on fake rounds that take a second.

One campaign sees all faults: a worker is killed in mid-round, another one's network is cut for 20 s, a third is of
another commit, and a stranger without certificates knocks. A second campaign is interrupted.
"""

from __future__ import annotations

import contextlib
import functools
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import pytest

from scripts.cluster import certificates
from scripts.host.process import RealSystem
from scripts.selftest import namespaces
from scripts.selftest.namespaces import Namespaces
from tests.cluster.fakes import drive

pytestmark = [
    pytest.mark.process,
    pytest.mark.fault,
    pytest.mark.skipif(
        bool(namespaces.why_not()) and os.environ.get("CI") != "true",
        reason=namespaces.why_not(),
    ),
]
PORT = 8786
WORKERS = (1, 2, 3)
KILLED, CUT, STEADY = WORKERS
ROUNDS = 34  # TCP tries again ever more rarely: 6 s after a cut of 20 s
CUT_S = 20.0
WAIT_S = 40.0
_LISTENS = "0A"  # linux/tcp_states.h, as net/tcp writes it


@dataclass(kw_only=True, slots=True)
class Network:
    """The central namespace has scheduler and coordinator, and each other one a worker."""

    at: Path
    machines: Namespaces
    processes: dict[str, ForkProcess] = field(default_factory=dict)

    def remove(self) -> None:
        """End what still runs in the namespaces, and remove them."""
        for process in self.processes.values():
            process.kill()
            process.join()
        self.machines.remove()

    def start(self, name: str, place: int, role: str, *options: str) -> None:
        """Start a role in a namespace, with a log of its own."""
        host = "0.0.0.0" if role == "scheduler" else self.machines.centre_of(place or STEADY)  # noqa: S104 - of a namespace
        argv = [role, f"tls://{host}:{PORT}", str(self.at / "certificates"), str(self.at / name), *options]
        (self.at / name).mkdir()
        logs = (self.at / f"{name}.out", self.at / f"{name}.err")
        for log in logs:
            log.touch()
        process = multiprocessing.get_context("fork").Process(
            target=drive.play, args=(self.machines.name(place), *logs, argv)
        )
        process.start()  # a fork: it need not import all of this again
        self.processes[name] = process

    def out(self, name: str) -> str:
        """What it has said so far."""
        return (self.at / f"{name}.out").read_text(encoding="utf-8")

    def err(self, name: str) -> str:
        """Its messages so far."""
        return (self.at / f"{name}.err").read_text(encoding="utf-8")

    def says(self, name: str, words: str) -> bool:
        """Whether it has said so."""
        return words in self.out(name)

    def times(self, name: str, word: str) -> list[float]:
        """When it said so."""
        return [float(line.split()[0]) for line in self.out(name).splitlines() if line.endswith(f" {word}")]

    def listening(self, place: int) -> set[int]:
        """The ports that are open in a namespace."""
        ports = set()
        for table in ("tcp", "tcp6"):
            command = self.machines.command(place, ["cat", f"/proc/net/{table}"])
            rows = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[1:]
            ports |= {int(row.split()[1].rpartition(":")[2], 16) for row in rows if row.split()[3] == _LISTENS}
        return ports


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """What has happened."""

    network: Network
    code: int  # of the first campaign
    loads: int  # that workers began for it
    result: dict[str, Any]
    joined_again: float  # when the cut ended
    open_ports: dict[int, set[int]]  # by namespace
    stranger: str  # what became of its connection
    interrupted_at: float  # the second campaign
    interrupted_code: int


def _until(met: Callable[[], object], network: Network, name: str) -> None:
    """Wait until something is so, for which a role is to blame."""
    deadline = time.monotonic() + WAIT_S
    while not met():
        assert time.monotonic() < deadline, f"{name}: {network.out(name)}{network.err(name)}"
        time.sleep(0.05)


def _ended(network: Network, name: str) -> int:
    """The exit code of a role that ends by itself."""
    process = network.processes[name]
    process.join(WAIT_S)
    assert process.exitcode is not None, f"{name}: {network.out(name)}{network.err(name)}"
    return process.exitcode


def _knock(network: Network) -> str:
    """Connect to the scheduler as somebody who has no certificate, and ask for something."""
    code = (
        "import socket, ssl\n"
        "context = ssl.create_default_context(); context.check_hostname = False\n"
        "context.verify_mode = ssl.CERT_NONE\n"
        f"raw = socket.create_connection(({network.machines.centre_of(STEADY)!r}, {PORT}), timeout=5)\n"
        "try:\n"
        "    with context.wrap_socket(raw) as stream:\n"
        "        stream.sendall(b'hello'); print('answered' if stream.recv(1) else 'closed')\n"
        "except (ssl.SSLError, ConnectionError) as error:\n"
        "    print(type(error).__name__)\n"
    )
    command = network.machines.command(STEADY, [sys.executable, "-c", code])
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


def _told(network: Network) -> Story:
    network.start("scheduler", 0, "scheduler")
    for worker in WORKERS:
        network.start(f"w{worker}", worker, "worker", "--name", f"w{worker}")
    network.start("other", STEADY, "worker", "--name", "other", "--commit", "another")
    for name in ("w1", "w2", "w3", "other"):
        _until(functools.partial(network.says, name, "is ready for"), network, name)
    network.start("campaign", 0, "campaign", "--rounds", str(ROUNDS))
    for worker in WORKERS:
        _until(functools.partial(network.times, f"w{worker}", drive.MAKES), network, "campaign")
    network.processes[f"w{KILLED}"].kill()
    network.machines.set_link(CUT, "down")
    cut_at = time.monotonic()
    open_ports = {place: network.listening(place) for place in (0, CUT)}
    stranger = _knock(network)
    time.sleep(max(0.0, cut_at + CUT_S - time.monotonic()))
    network.machines.set_link(CUT, "up")
    joined_again = time.time()
    code = _ended(network, "campaign")
    result = json.loads(network.out("campaign").splitlines()[-1])
    loads = sum(len(network.times(f"w{worker}", drive.MAKES)) for worker in WORKERS)
    (network.at / drive.LONG).touch()  # so that Ctrl-C reaches a busy machine before the round is over
    network.start("again", 0, "campaign", "--rounds", str(ROUNDS))
    before = len(network.times(f"w{STEADY}", drive.MAKES))
    _until(lambda: len(network.times(f"w{STEADY}", drive.MAKES)) > before, network, "again")
    interrupted_at = time.time()
    os.kill(network.processes["again"].pid or 0, signal.SIGINT)
    interrupted_code = _ended(network, "again")
    _until(functools.partial(network.times, f"w{STEADY}", drive.STOPPED), network, f"w{STEADY}")
    return Story(
        network=network, code=code, loads=loads, result=result, joined_again=joined_again, open_ports=open_ports,
        stranger=stranger, interrupted_at=interrupted_at, interrupted_code=interrupted_code,
    )  # fmt: skip


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The two campaigns, told once for all tests."""
    machines = Namespaces(prefix=f"bench{os.getpid()}", number=len(WORKERS), system=RealSystem())
    network = Network(at=tmp_path_factory.mktemp("cluster"), machines=machines)
    certificates.make(network.at / "certificates", datetime.now(UTC))
    with contextlib.ExitStack() as stack:
        stack.callback(network.remove)
        machines.build()
        yield _told(network)


def test_worker_that_is_killed_costs_one_round(story: Story) -> None:
    """A worker killed in mid-round costs that round once more; every other is made once, and the command ends well."""
    assert story.code == 0, story.network.err("campaign")
    assert story.result["rounds"] == ROUNDS
    assert story.result["placed"] == [[number, arm] for number in range(1, ROUNDS + 1) for arm in (1, 2)]
    assert 2 * ROUNDS < story.loads <= 2 * ROUNDS + 2  # the killed one was in the first or the second load of a round


def test_network_that_is_cut_comes_back(story: Story) -> None:
    """A worker whose network is cut for 20 s goes on after it."""
    made_at = story.network.times(f"w{CUT}", drive.MAKES)
    assert any(at > story.joined_again for at in made_at)
    assert "waiting for one" not in story.network.out(f"w{CUT}")
    assert f"worker w{CUT} has gone" not in story.network.err("campaign")


def test_worker_of_another_commit_is_refused(story: Story) -> None:
    """A worker of another commit makes nothing, and the coordinator names it."""
    assert "worker other is refused: it is of another commit" in story.network.err("campaign").replace("\n", " ")
    assert story.network.times("other", drive.MAKES) == []


def test_stranger_gets_no_connection(story: Story) -> None:
    """Whoever shows no certificate is not answered."""
    assert story.stranger in ("closed", "SSLError", "ConnectionResetError", "SSLEOFError")


def test_nothing_else_is_open(story: Story) -> None:
    """A scheduler listens on one port and a worker on one, and neither answers HTTP."""
    assert story.open_ports[0] == {PORT}
    assert len(story.open_ports[CUT]) == 1


def test_interrupted_coordinator_stops_the_workers(story: Story) -> None:
    """After Ctrl-C at the coordinator, workers stop what they make within 5 s."""
    assert story.interrupted_code == 130, story.network.err("again")
    (stopped_at,) = story.network.times(f"w{STEADY}", drive.STOPPED)
    assert stopped_at - story.interrupted_at < 5.0
