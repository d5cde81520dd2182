"""What process trees use: CPU time, memory, threads, ports. Read through psutil.

Starts nothing, and ends nothing.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

MARKER = "PROMPTFLOW_SERVE_BENCH"  # set in the environment of every child
_LOOPS, _LOOP_LENGTH = 15, 150_000  # about 10 ms each
_ESTABLISHED = "01"  # linux/tcp_states.h, as net/tcp writes it
_GONE = (psutil.NoSuchProcess, psutil.AccessDenied)
MemoryKind = Literal["pss", "rss"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeSample:
    """A sample of a process and all of its descendants."""

    at_s: float  # monotonic
    cpu_s: dict[int, float]  # user and system seconds since each process started, by process id

    @property
    def total_cpu_s(self) -> float:
        """CPU seconds of the whole tree."""
        return sum(self.cpu_s.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineSample:
    """A sample of the whole machine, in CPU seconds since it was booted."""

    at_s: float  # monotonic
    busy_s: float  # of all cores, not idle and not waiting for a disk
    stolen_s: float  # taken by the hypervisor; 0 where the system does not say
    own_s: float  # used by this process


@dataclass(frozen=True, kw_only=True, slots=True)
class MemorySample:
    """A sample of the memory of a process and all of its descendants."""

    at_s: float  # monotonic
    sizes: tuple[int, ...]  # bytes of each process, the root first

    @property
    def total(self) -> int:
        """Bytes of the whole tree."""
        return sum(self.sizes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Clocks:
    """A sample of the clocks of the machine."""

    monotonic_s: float  # stands still while the machine sleeps, on Linux
    boot_s: float  # as monotonic, but goes on then
    wall_s: float  # can be set by anybody

    def suspended_s(self, before: Clocks) -> float:
        """For how long the machine has slept since."""
        return (self.boot_s - before.boot_s) - (self.monotonic_s - before.monotonic_s)

    def step_s(self, before: Clocks) -> float:
        """By how much the wall clock has been set since."""
        return (self.wall_s - before.wall_s) - (self.boot_s - before.boot_s)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Processes and threads of a live tree."""

    children: int  # of the root: gunicorn's workers
    command: tuple[str, ...]  # the root's, as the kernel has it
    threads: int  # most threads of any child


def sample(root: int, at_s: float) -> TreeSample:
    """CPU time of the tree; a process that ends meanwhile is left out."""
    return TreeSample(at_s=at_s, cpu_s={process.pid: cpu for process, cpu in _cpu(_tree(root))})


def machine_sample(at_s: float) -> MachineSample:
    """CPU time of the whole machine."""
    times = psutil.cpu_times()
    kinds = ("user", "nice", "system", "irq", "softirq")
    return MachineSample(
        at_s=at_s,
        busy_s=sum(getattr(times, kind, 0.0) for kind in kinds),
        stolen_s=getattr(times, "steal", 0.0),
        own_s=time.process_time(),
    )


def cpu_by_process() -> dict[int, tuple[str, float]]:
    """Name and CPU seconds of every other process that can be seen, by process id."""
    found: dict[int, tuple[str, float]] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(*_GONE):
            times = process.cpu_times()
            name = "".join(letter for letter in process.name() if letter.isprintable())
            found[process.pid] = (name, times.user + times.system)
    found.pop(os.getpid(), None)
    return found


def reference_loop_ms() -> float:
    """CPU time of a fixed piece of pure Python, median of 15: on shared cores, how fast they are just now."""
    took = []
    for _ in range(_LOOPS):
        began = time.process_time_ns()
        total = 0
        for number in range(_LOOP_LENGTH):
            total += number * number
        took.append((time.process_time_ns() - began) / 1e6)
    return round(statistics.median(took), 3)


def memory(root: int) -> tuple[int, MemoryKind]:
    """Memory of the tree in bytes: PSS, which counts shared pages once, or RSS where there is none."""
    sizes, kind = _memory(root)
    return sum(sizes), kind


def memory_sample(root: int, at_s: float) -> MemorySample:
    """The same of each process."""
    return MemorySample(at_s=at_s, sizes=tuple(_memory(root)[0]))


def _memory(root: int) -> tuple[list[int], MemoryKind]:
    kind: MemoryKind = "pss"
    sizes = []
    for process in _tree(root):
        with contextlib.suppress(*_GONE):
            info = process.memory_full_info()
            if not hasattr(info, "pss"):
                kind = "rss"
            sizes.append(getattr(info, "pss", info.rss))
    return sizes, kind


def shape(root: int) -> Shape:
    """The tree as it stands."""
    processes = _tree(root)
    if not processes:
        return Shape(children=0, command=(), threads=0)
    threads = [0]
    for process in processes[1:]:
        with contextlib.suppress(*_GONE):
            threads.append(process.num_threads())
    try:
        command = tuple(processes[0].cmdline())
        children = len(processes[0].children())
    except _GONE:
        command, children = (), 0
    return Shape(children=children, command=command, threads=max(threads))


def children(root: int) -> tuple[int, ...]:
    """The process ids of the root's children: gunicorn's workers."""
    try:
        return tuple(sorted(child.pid for child in psutil.Process(root).children()))
    except _GONE:
        return ()


def listens(root: int, port: int) -> bool:
    """Whether a process of the tree listens on the port; True where the system does not say."""
    for process in _tree(root):
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied:
            return True
        if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections):
            return True
    return False


def owners(root: int) -> dict[int, int]:
    """Which process of the tree holds the connection to each port of a client; Linux only, else nothing.

    Reads the table of connections once for all processes; psutil would read it anew for each.
    """
    inodes = {inode: port for process in _tree(root)[:1] for inode, port in _connections(process.pid)}
    owner_of: dict[int, int] = {}
    for process in _tree(root)[1:]:
        with contextlib.suppress(OSError):
            for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    inode = str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]")
                    if inode in inodes:
                        owner_of[inodes[inode]] = process.pid
    return owner_of


def _connections(pid: int) -> Iterator[tuple[str, int]]:
    """Inode and the other end's port of every established TCP connection (proc(5), net/tcp)."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == _ESTABLISHED:
                yield fields[9], int(fields[2].rpartition(":")[2], 16)


def clocks() -> Clocks:
    """The system's clocks now."""
    boot = time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
    return Clocks(monotonic_s=time.monotonic(), boot_s=boot, wall_s=time.time())


def _tree(root: int) -> list[psutil.Process]:
    try:
        top = psutil.Process(root)
        return [top, *sorted(top.children(recursive=True), key=lambda process: process.pid)]
    except _GONE:
        return []


def _cpu(processes: Iterable[psutil.Process]) -> Iterable[tuple[psutil.Process, float]]:
    for process in processes:
        with contextlib.suppress(*_GONE):
            times = process.cpu_times()
            yield process, times.user + times.system
