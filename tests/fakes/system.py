"""A fake outside: its own clock, children that do as scripted, scripted replies, and a log of all that was done.

`FakeSystem` stands for `scripts.host.process.System`, and for the samples that `telemetry` takes of process trees.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from scripts.host.process import Finished, Reply
from scripts.host.telemetry import MachineSample, MemorySample, Shape, TreeSample
from tests.fakes import values

COMMAND = ("gunicorn", "--worker-class", "uvicorn.workers.UvicornWorker", "-w", "2", "-b", "0.0.0.0:8080", "app")
SHELL = Finished(code=0, output="\0".join(COMMAND) + "\0\n")  # as the shell prints the command
MEMORY_BYTES = 200 * 2**20
_REQUEST_S = 0.01
_PROGRESS = "t_s,users,requests,failures,p95_ms\n"
_LOCUST_STARTS_S = 0.5  # until the load begins


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """What a child does. Times are seconds since its start."""

    ready_s: float = 1.0  # when /health begins to answer; math.inf: never
    ends_s: float = math.inf  # when it ends by itself
    code: int = 1  # its exit code then
    says: str = "starting\n"  # goes to its log at once
    workers: int = 2
    ignores_sigterm: bool = False
    stranger: bool = False  # somebody else has its port, and answers there


class FakeChild:
    """A child as scripted."""

    def __init__(self, system: FakeSystem, name: str, argv: tuple[str, ...], log: Path, script: Script) -> None:
        self.name = name
        self.log = log
        self.pid = 1000 + 100 * len(system.children)
        self.argv = argv
        self.script = script
        self.started_s = system.now
        self.stopped = False
        self._system = system
        log.write_text(log.read_text(encoding="utf-8") + script.says if log.exists() else script.says, encoding="utf-8")

    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self.script.code if self.stopped or self._system.now >= self.started_s + self.script.ends_s else None

    def stop(self, grace_s: float) -> None:
        """End it: at once, or when it ignores SIGTERM only after the grace."""
        self._system.events.append(f"stop {self.name}")
        if self.script.ignores_sigterm:
            self._system.now += grace_s
            self._system.events.append(f"kill {self.name}")
        self.stopped = True

    def has_port(self, port: int | None) -> bool:
        """Whether it is set to listen there."""
        return any(word == str(port) or (word.endswith(f":{port}") and "/" not in word) for word in self.argv)

    def answers(self) -> bool:
        """Whether something answers on its port."""
        return self.script.stranger or (
            self.code() is None and self._system.now >= self.started_s + self.script.ready_s
        )


@dataclass(kw_only=True, slots=True)
class FakeSystem:
    """The fake outside. Change what it does before use, and read `events` after."""

    now: float = 100.0
    events: list[str] = field(default_factory=list)
    children: list[FakeChild] = field(default_factory=list)
    scripts: dict[str, list[Script]] = field(default_factory=dict)  # by child: first start, second ..., the last stays
    replies: dict[str, Reply | None] = field(default_factory=dict)  # by "child /path", instead of a good one
    raises: dict[str, BaseException] = field(default_factory=dict)  # when an event happens
    shell: Finished | None = SHELL  # what `run` answers; None: it does not end in time
    records: bool = True  # whether locust leaves a recording
    ramp_ends: bool = True  # whether all users come to start
    lost: str = ""  # what a master of several processes says of those that it has lost
    commands: list[tuple[str, ...]] = field(default_factory=list)  # what `run` was given
    _ports: int = 40000

    def start(self, name: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> FakeChild:
        """Start a child as scripted; locust runs for its run time, and then leaves a recording."""
        assert env["HOME"]
        assert cwd.is_dir()
        self._note(f"start {name}")
        scripts = self.scripts.get(name) or [self._locust(argv) if name == "locust" else Script()]
        script = scripts[min(len([child for child in self.children if child.name == name]), len(scripts) - 1)]
        child = FakeChild(self, name, tuple(argv), log, script)
        self.children.append(child)
        if name == "locust":
            into, run_time_s = Path(_option(argv, "--record-to")), float(_option(argv, "--run-time").rstrip("s"))
            users = _option(argv, "--users")
            (into / "progress.csv").write_text(f"{_PROGRESS}1.0,{users},1,0,1300.0\n", encoding="utf-8")
            for one in _recordings(into, argv):
                self._record(one, run_time_s)
            if self.lost:
                (into / "failed.txt").write_text(f"{self.lost}\n", encoding="utf-8")
        return child

    def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout_s: float) -> Finished:
        """Answer as `shell` says."""
        assert cwd.is_dir()
        assert all(isinstance(value, str) for value in env.values())
        self.commands.append(tuple(argv))
        self._note(f"run {Path(argv[0]).name}")
        if self.shell is None:
            raise TimeoutError(f"{Path(argv[0]).name} did not end within {timeout_s:g} s")
        return self.shell

    def free_port(self) -> int:
        """Another port each time."""
        self._ports += 1
        return self._ports

    def request(self, url: str, *, body: bytes | None = None, timeout_s: float = 5.0) -> Reply | None:
        """The scripted reply, or a good one."""
        assert timeout_s > 0
        parts = urlsplit(url)
        if parts.path == "/health" and any(one.name == "locust" and one.code() is None for one in self.children):
            return _good(parts.path)  # a probe under load: no event, and no time
        self.now += _REQUEST_S
        child = next(child for child in reversed(self.children) if child.has_port(parts.port))
        if parts.path == "/health" and not child.answers():
            return None
        self._note(f"{'GET' if body is None else 'POST'} {child.name} {parts.path}")
        requested = f"{child.name} {parts.path}"
        return self.replies[requested] if requested in self.replies else _good(parts.path)

    def monotonic(self) -> float:
        """The fake clock."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move the clock; the first second under load is an event."""
        self.now += seconds
        locust = next((child for child in self.children if child.name == "locust"), None)
        if locust is not None and self.now > locust.started_s + 1 and "under load" not in self.events:
            self._note("under load")

    def sample(self, root: int, at_s: float) -> TreeSample:
        """A master that does nothing, and two workers that use 10 ms a second under load."""
        used_s = 0.5 + self._loaded_s(at_s) / 100
        return TreeSample(at_s=at_s, cpu_s={root: 0.1, root + 1: used_s, root + 2: used_s})

    def machine_sample(self, at_s: float) -> MachineSample:
        """A machine that is busy for 100 ms a second under load, 10 ms of it in this process, and loses 5 ms."""
        loaded_s = self._loaded_s(at_s)
        return MachineSample(at_s=at_s, busy_s=loaded_s / 10, stolen_s=loaded_s / 200, own_s=loaded_s / 100)

    def memory(self, root: int) -> tuple[int, Literal["pss", "rss"]]:
        """The same at any time."""
        assert root
        return MEMORY_BYTES, "pss"

    def memory_sample(self, root: int, at_s: float) -> MemorySample:
        """The same, half of it the master's, a quarter each of two workers."""
        half = self.memory(root)[0] // 2
        return MemorySample(at_s=at_s, sizes=(half, half // 2, half // 2))

    def shape(self, root: int) -> Shape:
        """As many workers as scripted."""
        child = next(child for child in self.children if child.pid == root)
        return Shape(children=child.script.workers, command=child.argv, threads=5)

    def listens(self, root: int, port: int) -> bool:
        """Whether the child has the port to itself."""
        assert port
        return not next(child for child in self.children if child.pid == root).script.stranger

    def _loaded_s(self, at_s: float) -> float:
        locust = next((child for child in self.children if child.name == "locust"), None)
        return 0.0 if locust is None else at_s - locust.started_s

    def _note(self, event: str) -> None:
        self.events.append(event)
        if event in self.raises:
            raise self.raises[event]

    def _locust(self, argv: Sequence[str]) -> Script:
        return Script(ends_s=_LOCUST_STARTS_S + float(_option(argv, "--run-time").rstrip("s")) + 1, code=0)

    def _record(self, into: Path, run_time_s: float) -> None:
        if not self.records:
            return
        began = self.now + _LOCUST_STARTS_S
        all_users_at_s = began + 1 if self.ramp_ends else None
        recorded = dataclasses.replace(
            values.RECORDED, started_s=began, all_users_at_s=all_users_at_s, stopped_s=began + run_time_s
        )
        requests = [values.request(began + s, ms) for s, ms in ((0.5, 1255.0), (2.0, 1260.0), (3.0, 1270.0))]
        values.write_recording(into, recorded, requests)
        if into.name.startswith("worker-"):
            (into / "clock.json").write_text('{"offset_s": 0.0, "error_s": 0.0}', encoding="utf-8")


def reply(fields: dict[str, object], *, elapsed_s: float = 1.3) -> Reply:
    """A JSON reply."""
    return Reply(status=200, body=json.dumps(fields).encode(), elapsed_s=elapsed_s)


def _good(path: str) -> Reply:
    fields: dict[str, dict[str, object]] = {
        "/health": {"status": "Healthy"},
        "/version": {"version": values.RELEASE.version},
        "/score": {"answer": values.ANSWER},
        "/counts": {"received": 4, "answered": 3},
    }
    return reply(fields[path])


def _recordings(into: Path, argv: Sequence[str]) -> list[Path]:
    """Where locust records: in one folder, or besides in one of each host or of each worker."""
    if "--second-host" in argv:
        return [into / "first", into / "second"]
    workers = int(_option(argv, "--expect-workers")) if "--master" in argv else 0
    return [into, *(into / f"worker-{number}" for number in range(1, workers + 1))]


def _option(argv: Sequence[str], name: str) -> str:
    return argv[list(argv).index(name) + 1]
