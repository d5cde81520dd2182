"""Valgrind's tool callgrind: its command line, orders to a running process, and what a dump says.

A dump also sets the counters to zero. vgdb carries the orders, so callgrind_control and its Perl are not needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.config.errors import InvalidMeasurementError, ServerError, ValgrindError, quoted
from scripts.host.process import Child, System, wait_until

# glibc chooses its string functions by the CPU. Without these features all x86-64 machines use the same ones. The names
# ending in _Usable are those of glibc before 2.33; a name that a glibc does not know does nothing.
_FEATURES = (
    "AVX2", "AVX2_Usable", "AVX512F", "AVX512F_Usable", "AVX512VL", "AVX512BW", "BMI2", "ERMS", "RTM", "SSE4_2",
)  # fmt: skip
_TUNABLES = "glibc.cpu.hwcaps=" + ",".join(f"-{feature}" for feature in _FEATURES)
_FIXED_LAYOUT = ("setarch", "-R")
_INSTRUCTIONS, _SYSTEM_CALLS = "Ir", "sysCount"  # events of a dump
_NAME = re.compile(r"c?fn=\((\d+)\)(?: (.+))?")
_COLLECTION = "gc_collect_main"  # of CPython's Modules/gcmodule.c: one garbage collection of any generation
_FULL_COLLECTION = re.compile(r"_Py\w+ClearFreeLists?")  # CPython 3.9 to 3.12 empties free lists in full ones only
_ORDER_S = 60.0  # an order takes 0.1 to 0.4 s
_TRIAL_S = 10.0
_PACKAGE = "apt-get install valgrind, then repeat this command"


@dataclass(frozen=True, kw_only=True, slots=True)
class Valgrind:
    """The valgrind of this machine."""

    version: str
    fixed_layout: bool  # whether this machine lets a process switch address randomisation off

    @property
    def pinned(self) -> tuple[str, ...]:
        """What is held constant, in words."""
        layout = ("address layout (setarch -R)",) if self.fixed_layout else ()
        return (
            "hash seed 0",
            *layout,
            "string functions of glibc, as on a CPU without AVX2",
            "variables of the environment",
            "path of the virtualenv within the run's folder",
        )

    def command(self, scratch: Path, *, from_start: bool = False) -> tuple[str, ...]:
        """What stands before the counted command; nothing is counted before an order says so, or else all."""
        return (
            *(_FIXED_LAYOUT if self.fixed_layout else ()),
            *("valgrind", "--tool=callgrind", f"--instr-atstart={'yes' if from_start else 'no'}"),
            *("--trace-children=yes", "--dump-line=no"),
            "--collect-systime=yes",  # milliseconds, the cheapest clock: only the number of system calls is used
            f"--vgdb-prefix={_prefix(scratch)}",
            f"--callgrind-out-file={scratch}/dump.%p",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Dump:
    """What was executed since the dump before."""

    instructions: int
    system_calls: int
    collections: int  # garbage collections of any generation; 0 also where the Python has no symbols
    full_collections: int
    collection_instructions: int  # of all of them, with what they called


def pinned_environment() -> dict[str, str]:
    """Variables that hold constant what is no code of promptflow's."""
    return {
        "GLIBC_TUNABLES": _TUNABLES,
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONHASHSEED": "0",
    }


def require(system: System, env: Mapping[str, str], scratch: Path) -> Valgrind:
    """The valgrind of this machine, tried on a process that waits; ValgrindError when it cannot count."""
    try:
        said = system.run(["valgrind", "--version"], env=env, cwd=scratch, timeout_s=_TRIAL_S)
        layout = system.run([*_FIXED_LAYOUT, "true"], env=env, cwd=scratch, timeout_s=_TRIAL_S)
    except FileNotFoundError as error:
        raise ValgrindError(
            f"counting work needs {error.filename}, and it is not installed",
            then=_PACKAGE if error.filename == "valgrind" else "apt-get install util-linux, then repeat this command",
        ) from error
    if said.code:
        raise ValgrindError(f"valgrind --version fails:\n{quoted(said.output)}", then=_PACKAGE)
    found = Valgrind(version=said.output.strip().removeprefix("valgrind-"), fixed_layout=layout.code == 0)
    log = scratch / "trial.log"
    child = system.start("valgrind", [*found.command(scratch), "sleep", "60"], env=env, cwd=scratch, log=log)
    try:
        _try(system, child, env, scratch)
    except (TimeoutError, ServerError) as error:
        text = log.read_text(errors="replace") if log.is_file() else ""
        raise ValgrindError(
            f"valgrind {found.version} cannot count here: {error}; its last lines:\n{quoted(text)}",
            then="install valgrind 3.17 or newer, and let processes use ptrace "
            "(in a container, add the capability SYS_PTRACE), then repeat this command",
        ) from error
    finally:
        child.stop(0.0)
    return found


def _try(system: System, child: Child, env: Mapping[str, str], scratch: Path) -> None:
    def answers() -> bool:
        if child.code() is not None:
            raise ServerError(f"it ended with exit code {child.code()}")
        return any(scratch.glob(f"vgdb*{child.pid}*"))

    wait_until(system, "valgrind's start", met=answers, deadline_s=_TRIAL_S)
    order(system, child.pid, ("dump",), env=env, scratch=scratch, limit_s=_TRIAL_S)


def order(
    system: System, pid: int, words: Iterable[str], *, env: Mapping[str, str], scratch: Path, limit_s: float = _ORDER_S
) -> None:
    """Let a process that runs under callgrind do something; ServerError when it does not."""
    text = " ".join(words)
    argv = ["vgdb", f"--vgdb-prefix={_prefix(scratch)}", f"--pid={pid}", *text.split()]
    try:
        done = system.run(argv, env=env, cwd=scratch, timeout_s=limit_s)
    except TimeoutError as error:
        raise ServerError(f"the counted process does not react to {text!r}: {error}", then=f"see {scratch}") from error
    if done.code:
        raise ServerError(f"vgdb {text} fails:\n{quoted(done.output)}", then=f"see {scratch}")


def dump(system: System, pid: int, number: int, *, env: Mapping[str, str], scratch: Path) -> Dump:
    """The counters of a process since its dump before; its dumps are numbered from 1."""
    order(system, pid, ("dump",), env=env, scratch=scratch)
    return _taken(scratch / f"dump.{pid}.{number}")


def dump_all(system: System, pids: Iterable[int], *, env: Mapping[str, str], scratch: Path) -> int:
    """The instructions of these processes, and of those that have ended, since their start; each has its first dump."""
    for pid in pids:
        order(system, pid, ("dump",), env=env, scratch=scratch)
    files = [file for file in sorted(scratch.glob("dump.*")) if file.stat().st_size]  # empty: of one that still runs
    return sum(_taken(file).instructions for file in files)


def _taken(file: Path) -> Dump:
    """A dump, which is removed."""
    try:
        found = parsed(file.read_text(encoding="utf-8", errors="replace").splitlines())
    except (OSError, ValueError) as error:
        raise InvalidMeasurementError(
            f"callgrind's dump {file.name} cannot be read: {error}", then=f"see {file.parent}"
        ) from error
    file.unlink()
    return found


def parsed(lines: Iterable[str]) -> Dump:
    """A dump in callgrind's format (https://valgrind.org/docs/manual/cl-format.html); ValueError when it is none."""
    events: list[str] = []
    totals: dict[str, int] = {}
    names: dict[str, str] = {}
    full: dict[str, int] = {}
    collections = instructions = 0
    rows = iter(lines)
    for line in rows:
        if line.startswith("events:"):
            events = line.split()[1:]
        elif line.startswith(("summary:", "totals:")):
            totals = dict(zip(events, map(int, line.split()[1:]), strict=False))  # zeros at the end are left out
        elif match := _NAME.fullmatch(line):
            number, name = match[1], match[2]
            if name:
                names[number] = name
            called = names.get(number, "")
            if line.startswith("cfn=") and (called.startswith(_COLLECTION) or _FULL_COLLECTION.match(called)):
                times, cost = _call(rows)
                if called.startswith(_COLLECTION):
                    collections, instructions = collections + times, instructions + cost
                else:
                    full[called] = full.get(called, 0) + times
    if _INSTRUCTIONS not in totals or _SYSTEM_CALLS not in events:
        raise ValueError(f"it has no sums of {_INSTRUCTIONS} and {_SYSTEM_CALLS}")
    return Dump(
        instructions=totals[_INSTRUCTIONS],
        system_calls=totals.get(_SYSTEM_CALLS, 0),
        collections=collections,
        full_collections=max(full.values(), default=0),
        collection_instructions=instructions,
    )


def _call(rows: Iterable[str]) -> tuple[int, int]:
    """How often a function was called from one place, and the instructions in it: the two lines after its name."""
    calls, cost = next(iter(rows)), next(iter(rows))
    return int(calls.removeprefix("calls=").split()[0]), int(cost.split()[1])


def _prefix(scratch: Path) -> Path:
    return scratch / "vgdb"
