"""A cluster on this machine alone, to try it: a scheduler and workers as processes, with certificates of their own.

Each worker has its own lock in the place of the machine's, which this process holds. Under load they disturb one
another, so their times say nothing; counts are as good as ever.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from scripts.cluster import certificates
from scripts.config.cluster_address import ClusterAddress
from scripts.config.load_profiles import LOOPBACK
from scripts.config.matrix import ROOT
from scripts.host import machine
from scripts.host.process import Child, System, shielded

_STOP_S = 10.0  # for a worker to stop its servers


@contextlib.contextmanager
def started(number: int, scratch: Path, system: System) -> Iterator[ClusterAddress]:
    """Hold this machine, and have so many workers on it; UsageError when another measurement runs."""
    scratch.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(machine.exclusive(machine.lock_file()))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=scratch, prefix="cluster-")))
        certificates.make(folder / "certificates", datetime.now(UTC))
        address = ClusterAddress(
            url=f"tls://{LOOPBACK}:{system.free_port()}", certificates=folder / "certificates"
        )  # fmt: skip
        _start("scheduler", folder, address, system, stack)
        for worker in range(1, number + 1):
            _start("worker", folder, address, system, stack, "--name", f"local-{worker}")
        yield address


def _start(
    verb: str, folder: Path, address: ClusterAddress, system: System, stack: contextlib.ExitStack, *options: str
) -> None:  # fmt: skip
    name = "-".join([verb, *options[1:]])
    argv = [
        *(sys.executable, "-m", "scripts", verb, address.url),
        *("--certificates", str(address.certificates), *options),
    ]
    start(name, argv, folder, system, stack)


def start(name: str, argv: Sequence[str], folder: Path, system: System, stack: contextlib.ExitStack) -> Child:
    """Start a process with a lock of its own in the place of the machine's, which the stack stops."""
    env = {**os.environ, machine.LOCK_VARIABLE: str(folder / f"{name}.lock")}
    with shielded():  # Ctrl-C between the two would leave a process that nothing stops
        child = system.start(name, argv, env=env, cwd=ROOT, log=folder / f"{name}.log")
        stack.callback(child.stop, _STOP_S)
    return child
