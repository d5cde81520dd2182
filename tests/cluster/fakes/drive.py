"""The roles of a cluster, each for a process of its own, on a stage whose rounds take a second.

`play` is what a forked process does: it enters a network namespace, and ends with the exit codes of a verb.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import json
import platform
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.campaign import runner
from scripts.campaign.stopping_rule import StoppingRule
from scripts.campaign.worker import Worker
from scripts.cluster import dask_cluster
from scripts.commands import cli
from scripts.config import cluster_address, matrix_file
from scripts.config.cluster_address import ClusterAddress
from scripts.environments import virtualenvs
from scripts.host.process import RealSystem, terminate_as_exception
from scripts.host.progress import Progress
from scripts.measure import digests, session
from tests.fakes import stage as stages
from tests.fakes import values, workers
from tests.fakes.stage import FakeArms, Stage
from tests.fakes.system import FakeChild

MAKES, STOPPED = "makes", "stopped"  # what a worker says, with the time
LOAD_S, LONG_S = 0.5, 2.0  # of the two of a round; long ones, while there is a file of this name beside the folders
LONG = "long"
_CLONE_NEWNET = 0x4000_0000  # linux/sched.h
_NAMESPACES = Path("/run/netns")


@dataclass(kw_only=True, slots=True)
class SlowArms(FakeArms):
    """An outside whose loads take a while, and say so."""

    long: Path  # while there is such a file, loads are long

    def start(self, name: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> FakeChild:
        """Start a child; a load takes its time."""
        child = FakeArms.start(self, name, argv, env=env, cwd=cwd, log=log)
        if name == "locust":
            _say(MAKES)
            time.sleep(LONG_S if self.long.exists() else LOAD_S)
        return child


def play(namespace: str, out: Path, err: Path, argv: Sequence[str]) -> None:
    """Play the role that `argv` names, in a namespace; leaves the process."""
    with (_NAMESPACES / namespace).open() as entered:
        if ctypes.CDLL(None, use_errno=True).setns(entered.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    sys.stdout, sys.stderr, sys.argv = out.open("w", buffering=1), err.open("w", buffering=1), ["drive", *argv]
    cli.run(main)


def main(argv: list[str]) -> int:
    """Play the role."""
    parser = argparse.ArgumentParser()
    for name in ("role", "address", "certificates", "folder"):
        parser.add_argument(name)
    parser.add_argument("--name", default="worker")
    parser.add_argument("--commit", default="")
    parser.add_argument("--rounds", type=int, default=4)
    args = parser.parse_args(argv)
    address = cluster_address.parse(args.address, Path(args.certificates), insecure=False)
    terminate_as_exception()
    if args.role == "scheduler":
        raise dask_cluster.serve_scheduler(address, _say)
    patch = pytest.MonkeyPatch()
    stage = stages.built(Path(args.folder), patch, SlowArms(long=Path(args.folder).parent / LONG))
    stage.machine = dataclasses.replace(values.MACHINE, tools_python=platform.python_version())
    patch.setattr(virtualenvs, "ENVIRONMENTS", stage.at / "environments")
    if args.commit:
        patch.setattr(digests, "of_checkout", lambda: args.commit)
    if args.role == "worker":
        raise _work(stage, address, args.name)
    return _coordinate(stage, address, args.rounds)


def _work(stage: Stage, address: ClusterAddress, name: str) -> BaseException:
    with session.opened(stage.options(), 0, stage.outside, Progress(time.monotonic)) as context:
        worker = Worker(name, matrix_file.load(), context, stage.at / "received")
        call = worker.call

        def said(text: str, stopped: threading.Event) -> str:
            try:
                return call(text, stopped)
            finally:
                if stopped.is_set():
                    _say(STOPPED)

        worker.call = said  # type: ignore[method-assign]
        return dask_cluster.serve_worker(address, name, 0, worker, _say)


def _coordinate(stage: Stage, address: ClusterAddress, rounds: int) -> int:
    options = dataclasses.replace(stage.options(), cluster=address)
    requested = workers.campaign(stage)
    found = runner.measure(requested, StoppingRule(rounds=rounds), options, RealSystem())
    placed = [(record.requested.round, record.requested.arm) for record in stage.records()]
    sys.stdout.write(f"{json.dumps({'rounds': len(found.paired[0].rounds), 'placed': sorted(placed)})}\n")
    runner.require_whole(requested, found)
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{time.time():.2f} {text}\n")
