"""Boots what a run needs: the mock API, and a release's server beside it. Each on its own loopback port.

A port that is taken between choice and bind is answered by another port, a few times.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.config import flows
from scripts.config.errors import ServerError
from scripts.config.load_profiles import LOOPBACK
from scripts.config.matrix import ROOT
from scripts.config.plan import RunSpec
from scripts.environments.virtualenvs import Environment
from scripts.host import telemetry
from scripts.host.process import Child, System, shielded, wait_until
from scripts.serving import server_command

_PORT_TRIES = 3
_PORT_TAKEN = ("Address already in use", "Connection in use", "address already in use")
# From SIGTERM to SIGKILL. Everything was measured before, so killing loses nothing. gunicorn and uvicorn answer the
# requests in flight first, which takes as long as those take (2.9 s of 3 s in a trial); gunicorn's threads close idle
# connections after 1.1 s; without either both end within 0.2 to 0.4 s.
_STOP_GRACE_S = 0.4
_IDLE_SAMPLE_S = 0.25
_IDLE_CPU_S = 0.02  # what an idle tree of 8 workers may use meanwhile
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "TZ")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Deadlines, in seconds."""

    boot_s: float = 180.0
    verify_s: float = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Booted:
    """A server that answers."""

    child: Child
    port: int
    ready_s: float  # start of the process to the first good /health
    started_s: float  # monotonic
    address: str = LOOPBACK  # where it listens
    launched: bool = False  # by a child that stays its parent, and not by the child itself

    @property
    def root(self) -> int:
        """The process id of the server's master, whose children are the workers."""
        children = telemetry.children(self.child.pid) if self.launched else ()
        return children[0] if children else self.child.pid

    @property
    def base(self) -> str:
        """Its URL without a path."""
        return f"http://{self.address}:{self.port}"


def child_environment(outer: Mapping[str, str], home: Path, marker: str) -> dict[str, str]:
    """What every child gets: an allow-list of the user's environment, and a home of its own."""
    passed = {name: outer[name] for name in _PASSED_ON if name in outer}
    return {**passed, "HOME": str(home), telemetry.MARKER: marker}


def counted_environment(home: Path, marker: str, pinned: Mapping[str, str]) -> dict[str, str]:
    """What the children of a count get: nothing of the user's environment, whose length would move what is counted."""
    return {**pinned, "HOME": str(home), telemetry.MARKER: marker}


def boot_mock(
    system: System,
    stack: ExitStack,
    spec: RunSpec,
    env: Mapping[str, str],
    limits: Limits,
    scratch: Path,
    name: str = "mock",
) -> Booted:
    """Start the mock API, seeded, in the tools' virtualenv, and wait until it answers."""
    variables = {**env, **mock_settings(spec)}
    address = spec.generators.address if spec.target is None else LOOPBACK  # of a release, only its server asks it

    def command(port: int) -> tuple[str, ...]:
        return mock_command(port, address)

    return _boot(system, stack, command, variables, ROOT, scratch / f"{name}.log", limits, address)


def mock_command(port: int | str, address: str = LOOPBACK) -> tuple[str, ...]:
    """The mock API's command line."""
    app = "scripts.measure.mock_api_app:app"
    options = ("--no-access-log", "--timeout-keep-alive", "75", "--loop", "uvloop", "--http", "httptools")
    return (sys.executable, "-m", "uvicorn", app, "--host", address, "--port", str(port), *options)


def mock_settings(spec: RunSpec) -> dict[str, str]:
    """The variables of the mock API."""
    return {
        "MIN_WAIT_TIME_SEC": str(spec.profile.backend_wait_min_s),
        "MAX_WAIT_TIME_SEC": str(spec.profile.backend_wait_max_s),
        "MOCK_SEED": str(spec.seed),
    }


def boot_release(  # noqa: PLR0913 - all that a start needs, and nothing else starts a release
    system: System,
    stack: ExitStack,
    shipped: tuple[str, ...],
    environment: Environment,
    flow_copy: Path,
    variables: Mapping[str, str],
    limits: Limits,
    log: Path,
    *,
    under: tuple[str, ...] = (),
    launched: bool = False,
    address: str = LOOPBACK,
) -> Booted:
    """Start a release's own server command in a copy of the flow, and wait until it answers; named as its log is.

    `under`: the command that runs it, if it is not to be run by itself; `launched`: and stays its parent. `address`: of
    this machine, where it listens.
    """

    def command(port: int) -> tuple[str, ...]:
        _, *rest = server_command.at(shipped, port, address)
        return (*under, str(environment.command("gunicorn")), *rest)

    path = f"{environment.path / 'bin'}{os.pathsep}{variables.get('PATH', os.defpath)}"
    try:
        booted = _boot(system, stack, command, {**variables, "PATH": path}, flow_copy, log, limits, address)
        return replace(booted, launched=launched)
    except OSError as error:
        script = environment.command("gunicorn")
        if error.filename != str(script):
            raise
        place = os.path.relpath(environment.path, ROOT)
        raise ServerError(
            f"the virtualenv is damaged: bin/{script.name} cannot be started: {error.strerror}",
            then=f"rm -r {place}, then repeat this command",
        ) from error


def copy_flow(flow: flows.Flow, into: Path) -> Path:
    """A copy to serve from, so that nothing the server writes lands in the flow's own directory."""
    for file in flows.files(flow.path):
        target = into / file.relative_to(flow.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return into


def settle(system: System, booted: Booted, workers: int, limits: Limits) -> float:
    """Wait until every worker has started and the tree is idle; return the seconds since the start.

    A good /health comes from the first worker; the others may still be importing, and would share the
    cores with the first seconds of the load.
    """

    def idle() -> bool:
        server_command.require_alive(booted.child)
        if telemetry.shape(booted.root).children < workers:
            return False
        before = telemetry.sample(booted.root, system.monotonic())
        system.sleep(_IDLE_SAMPLE_S)
        after = telemetry.sample(booted.root, system.monotonic())
        return after.total_cpu_s - before.total_cpu_s <= _IDLE_CPU_S

    try:
        wait_until(system, f"{workers} workers that have started", met=idle, deadline_s=limits.boot_s)
    except TimeoutError as error:
        raise _never_ready(booted.child, error) from error
    return system.monotonic() - booted.started_s


def _boot(
    system: System,
    stack: ExitStack,
    command: Callable[[int], tuple[str, ...]],
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    limits: Limits,
    address: str,
) -> Booted:
    """Start a server, named as its log is, and wait until it answers."""
    for attempt in range(1, _PORT_TRIES + 1):
        port = system.free_port()
        began = system.monotonic()
        child = start(system, stack, command(port), env=env, cwd=cwd, log=log)
        try:
            wait_until(system, "/health", met=_answering(system, child, address, port), deadline_s=limits.boot_s)
        except TimeoutError as error:
            raise _never_ready(child, error) from error
        except ServerError:
            taken = any(text in server_command.last_lines(log, 40) for text in _PORT_TAKEN)
            if not taken or attempt == _PORT_TRIES:
                raise
            log.write_text("", encoding="utf-8")
            continue
        return Booted(child=child, port=port, ready_s=system.monotonic() - began, started_s=began, address=address)
    raise AssertionError("unreachable")  # the last attempt returns or raises


def _answering(system: System, child: Child, address: str, port: int) -> Callable[[], bool]:
    def met() -> bool:
        server_command.require_alive(child)
        reply = system.request(f"http://{address}:{port}/health", timeout_s=2.0)
        good = reply is not None and reply.status == 200  # noqa: PLR2004 - HTTP's OK
        return good and telemetry.listens(child.pid, port)  # not somebody else who has taken the port

    return met


def _never_ready(child: Child, error: TimeoutError) -> ServerError:
    return ServerError(
        f"{child.name} never became ready: {error}; its last lines:\n{server_command.last_lines(child.log)}",
        then=server_command.advice(child.log),
    )


def start(
    system: System, stack: ExitStack, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path
) -> Child:  # fmt: skip
    """Start a child, named as its log is, that the stack stops."""
    with shielded():  # Ctrl-C between the two would leave a process that nothing stops
        child = system.start(log.stem, argv, env=env, cwd=cwd, log=log)
        stack.callback(stop, child)
    return child


def stop(child: Child) -> None:
    """End a child and its group, undisturbed by Ctrl-C."""
    with shielded():
        child.stop(_STOP_GRACE_S)
