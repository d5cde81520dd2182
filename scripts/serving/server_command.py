"""A release's server: the command that the release itself ships, started on loopback, ready and verified.

The command is not ours. Each release ships `run.jinja2`, the shell script that its exported image runs. The
script is rendered, and read by a restricted shell that can run no program and write no file; in it `gunicorn`
prints its arguments. So what we start is what the script would have started, with two replacements: the address
it listens on, and gunicorn's path.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from scripts.config.errors import ServerError, VerificationError, quoted
from scripts.config.flows import CLOCK_SLACK_S, Flow
from scripts.config.load_profiles import LOOPBACK
from scripts.environments import virtualenvs
from scripts.host.process import Child, Reply, System

_TEMPLATE = Path("promptflow/_sdk/data/docker/runit/promptflow-serve/run.jinja2")
_EXPAND_S = 20
_CONDA_ENVIRONMENT = "promptflow-serve"  # a name for the template; nothing uses it
_NO_MORE_PROCESSES = ("Resource temporarily unavailable", "can't start new thread")  # as fork and threading say it
_QUOTED_BYTES = 65_536  # of the end of a log: after half an hour of load, all of it may have 400 MB
NOT_BUILT = "(the release's own command; shown here once the virtualenv is built: --install-only)"
_INERT_SHELL = """
PATH=/nonexistent; readonly PATH
echo() { :; }; ls() { :; }; cd() { :; }; pf() { :; }; conda() { :; }
gunicorn() { printf '%s\\0' gunicorn "$@"; printf '\\n'; }
set -r
"""


def template(site_packages: Path) -> str:
    """The server script that the installed release ships."""
    path = site_packages / _TEMPLATE
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ServerError(
            f"the release ships no server command ({_TEMPLATE})", then="choose another release: nox -l"
        ) from error


def shipped_command(script: str, settings: Mapping[str, str], system: System, cwd: Path) -> tuple[str, ...]:
    """The gunicorn command line that the script would run under these settings; else ServerError."""
    try:
        rendered = (
            SandboxedEnvironment()
            .from_string(script)
            .render(env={"conda_env_name": _CONDA_ENVIRONMENT}, connection_yaml_paths=[], show_comment=False)
        )
    except jinja2.TemplateError as error:
        raise ServerError(
            f"the release's server script cannot be rendered: {error}", then=f"see {_TEMPLATE} in its wheel"
        ) from error
    # Text, not a file: bash reads the function definitions first, then the release's own lines.
    argv = ["bash", "--noprofile", "--norc", "-c", _INERT_SHELL + rendered]
    try:
        done = system.run(argv, env=dict(settings), cwd=cwd, timeout_s=_EXPAND_S)
    except TimeoutError as error:
        raise ServerError(
            f"the release's server script does not end: {error}", then=f"see {_TEMPLATE} in its wheel"
        ) from error
    commands = [tuple(line.split("\0")[:-1]) for line in done.output.splitlines() if line.startswith("gunicorn\0")]
    if len(commands) != 1 or any(commands[0].count(option) != 1 for option in ("-b", "-w")):
        raise ServerError(
            f"the release's server script starts {len(commands)} gunicorn commands, not 1 with one -b and one -w:\n"
            f"    {done.output.strip()[:500]}",
            then=f"see {_TEMPLATE} in its wheel",
        )
    return commands[0]


def of_environment(path: Path, requested: Mapping[str, str], system: System) -> tuple[str, ...] | None:
    """The command of a virtualenv, at a port that is not chosen yet; None before it is built, and while it is."""
    if not virtualenvs.is_built(path):
        return None
    site_packages = virtualenvs.site_packages_of(path)
    return at(shipped_command(template(site_packages), requested, system, path), "PORT")


def at(command: Sequence[str], port: int | str, address: str = LOOPBACK) -> tuple[str, ...]:
    """The command, listening at the port of an address of this machine, by default on loopback."""
    place = command.index("-b") + 1
    return (*command[:place], f"{address}:{port}", *command[place + 1 :])


def with_one_worker(command: Sequence[str]) -> tuple[str, ...]:
    """The command with one worker in place of its own number."""
    number = command.index("-w") + 1
    return (*command[:number], "1", *command[number + 1 :])


def workers_of(command: Sequence[str]) -> int:
    """How many workers a gunicorn command line requests."""
    return int(command[command.index("-w") + 1])


def threads_of(command: Sequence[str]) -> int:
    """How many threads each worker of a gunicorn command line has; 1 where it names none."""
    return int(command[command.index("--threads") + 1]) if "--threads" in command else 1


def settings(engine: str, workers: int, threads: int) -> dict[str, str]:
    """The variables that a release's server script understands."""
    return {
        "PROMPTFLOW_SERVING_ENGINE": engine,
        "PROMPTFLOW_WORKER_NUM": str(workers),
        "PROMPTFLOW_WORKER_THREADS": str(threads),
    }


def require_alive(child: Child) -> None:
    """ServerError with the last lines of its log when the process has ended."""
    code = child.code()
    if code is not None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise ServerError(f"{child.name} {how}; its last lines:\n{last_lines(child.log)}", then=advice(child.log))


def last_lines(log: Path, lines: int = 12) -> str:
    """The end of a log, indented."""
    with contextlib.suppress(OSError), log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _QUOTED_BYTES))
        return quoted(stream.read().decode(errors="replace"), lines)
    return "    (no log)"


def advice(log: Path) -> str:
    """What to do about a server that does not serve: see its log, unless that says what the system refused it."""
    if any(words in last_lines(log, 40) for words in _NO_MORE_PROCESSES):
        return (
            f"raise the limit of processes (ulimit -u, or pids.max of the container), then repeat this command; {log}"
        )
    return f"see {log}"


def require_version(live: str, requested: str, log: Path) -> None:
    """VerificationError when the server is not the requested release, or does not say what it is."""
    if not live:
        raise VerificationError(
            f"the server does not answer /version; its last lines:\n{last_lines(log)}", then=advice(log)
        )
    if live != requested:
        raise VerificationError(
            f"the server says that it is promptflow {live}, not {requested}",
            then=f"nox -s lock -- {requested}, then repeat this command",
        )


def verify(system: System, base: str, flow: Flow, backend_wait_s: float, limit_s: float) -> float:
    """Send one request before any load, and return the seconds that the first answer took.

    VerificationError says how the answer differs from a good one.
    """
    reply = system.request(f"{base}/score", body=flow.request, timeout_s=limit_s)
    wrong = _what_is_wrong(reply, flow, backend_wait_s)
    if wrong or reply is None:
        raise VerificationError(f"{flow.name} does not verify: {wrong}", then=f"correct {flow.path} or its bench.toml")
    return reply.elapsed_s


def live_version(system: System, base: str) -> str:
    """Promptflow's version as the live server reports it; empty when it does not."""
    reply = system.request(f"{base}/version")
    if reply is None or reply.status != 200:  # noqa: PLR2004 - HTTP's OK
        return ""
    try:
        answer = json.loads(reply.body)
    except ValueError:
        return ""
    return str(answer.get("version", "")) if isinstance(answer, dict) else ""


def _what_is_wrong(reply: Reply | None, flow: Flow, backend_wait_s: float) -> str:
    """How a reply differs from a good answer; empty when it does not."""
    if reply is None:
        return "no answer"
    text = reply.body.decode(errors="replace")[:300]
    if reply.status != 200:  # noqa: PLR2004 - HTTP's OK
        return f"HTTP status {reply.status}: {text}"
    try:
        answer = json.loads(reply.body)
    except ValueError:
        answer = None
    if flow.answer_in is not None:
        answer = answer.get(flow.answer_in) if isinstance(answer, dict) else None
    if not isinstance(answer, dict):
        return f"the reply is not the JSON object that {flow.name} should answer: {text}"
    differing = [key for key, value in flow.answer.items() if answer.get(key) != value]
    if differing:
        return f"{differing[0]} is {answer.get(differing[0])!r}, not {flow.answer[differing[0]]!r}"
    floor_s = flow.own_wait_s + backend_wait_s if flow.own_wait_s is not None else 0.0
    if reply.elapsed_s < floor_s - CLOCK_SLACK_S:
        return f"it answered in {reply.elapsed_s:.3f} s, faster than its ideal time of {floor_s:g} s"
    return ""
