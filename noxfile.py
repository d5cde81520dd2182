"""Sessions: what a person can ask for. Each installs what it needs and calls `python -m scripts <verb>`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import nox
from nox.command import CommandFailed

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # nox does not put the project's root there

from scripts.config import matrix, matrix_file  # noqa: E402 - needs the line above
from scripts.config.errors import SuiteError  # noqa: E402

nox.needs_version = ">=2026.10.20"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "tests"]
nox.options.error_on_missing_interpreters = True

try:
    MATRIX = matrix_file.load()
except SuiteError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(error.exit_code)

STOP_S = 30.0  # nox's default of 0.3 s after Ctrl-C is too short to stop servers
tools_bin: list[Path] = []  # where the tools are, once their session has run


def install_locked(session: nox.Session, lock: str) -> None:
    """Install one of the harness's locks, hashes required."""
    compiled = ["--compile-bytecode"] if session.venv_backend == "uv" else []
    session.install("--quiet", "--require-hashes", "--no-deps", *compiled, "-r", f"locks/{lock}.txt")


def call(session: nox.Session, verb: str, *args: str, python: str | None = None, install: bool = False) -> None:
    """Call `python -m scripts <verb>`; its exit code reaches the shell when this is the only session asked for."""
    run = session.run_install if install else session.run
    command = (python or str(tools_bin[-1] / "python"), "-m", "scripts", verb, *args, *session.posargs)
    try:
        run(*command, external=True, log=False, interrupt_timeout=STOP_S, terminate_timeout=STOP_S)
    except CommandFailed as failure:
        asked = session._runner.manifest  # noqa: SLF001 - nox has no public way
        alone = len(asked) - ("tools" in asked) == 1
        if alone and failure.return_code is not None:
            raise SystemExit(failure.return_code) from failure
        raise


@nox.session(python=MATRIX.tools.python, reuse_venv=True, default=False)
def tools(session: nox.Session) -> None:
    """Build the virtualenv of the harness itself, from locks/tools.txt; other sessions need it."""
    install_locked(session, "tools")
    tools_bin.append(Path(session.bin).resolve())


@nox.session(python=MATRIX.tools.python, reuse_venv=True)
def lint(session: nox.Session) -> None:
    """Check format, style, types and who may import whom."""
    install_locked(session, "dev")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("lint-imports", "--no-cache")


@nox.session(python=MATRIX.tools.python, reuse_venv=True)
def tests(session: nox.Session) -> None:
    """Run the tests, one real benchmark of promptflow among them; `-- -m "not e2e"` leaves the slow ones out."""
    install_locked(session, "dev")
    session.run("pytest", *session.posargs)


@nox.session(venv_backend="none")
def lock(session: nox.Session) -> None:
    """Write a release's lock again: `-- 1.18.5`, `-- tools`, `-- --all`; `-- --check` only looks."""
    call(session, "lock", python=sys.executable)


def of_verb(name: str, purpose: str, *args: str, tags: Sequence[str] = ()) -> None:
    """Register a session that only calls a verb."""

    def run(session: nox.Session) -> None:
        verb = args[0] if args else name
        call(session, verb, *args[1:])

    run.__doc__ = purpose
    nox.session(name=name, venv_backend="none", requires=["tools"], tags=list(tags))(run)


of_verb("collate", "Write everything derived in results/ again from the records; `-- --check` only compares.")
of_verb(
    "compare", "Measure releases in interleaved rounds: `-- 1.12.0 1.18.5`, `-- 1.10.0..1.18.5`; noise: `1.12.0 --aa`."
)
of_verb("gate", "Compare, and let the exit code decide: `-- --baseline 1.18.4 --candidate 1.18.5 [--junit FILE]`.")
of_verb("attribute", "Measure a release on two locks: what is its dependencies'; `-- 1.12.0 --as-of DAY --as-of DAY`.")
of_verb("find", "Find where a metric stepped: `-- --metric cpu_per_request --flow static_async 1.10.0..1.18.5`.")
of_verb("status", "Print what the bench sessions would measure, how long it takes, and what is measured already.")
of_verb("self-test", "Show by injected slowdowns and A/A runs how far verdicts can be trusted (hours; resumable).")
of_verb(
    "bench-self", "Measure the suite itself: overhead of a bench session, install, listing, collating.",
    "bench-self", "--nox-python", sys.executable,
)  # fmt: skip
of_verb(
    "bench-mock", "Load the mock API alone, the ceiling of generator and mock; `-- --help` for options.",
    "bench", "--mock", tags=["bench"],
)  # fmt: skip


def of_target(verb: str, release: matrix.Release, engine: matrix.Engine, purpose: str) -> None:
    """Register a session that measures one target."""

    def run(session: nox.Session) -> None:
        named = ("--release", release.version, "--engine", engine.name)
        if session._runner.global_config.install_only:  # noqa: SLF001 - nox has no public way
            call(session, verb, *named, "--install-only", install=True)
        else:
            call(session, verb, *named)

    flows = ", ".join(MATRIX.scenario_flows(release, engine))
    run.__doc__ = f"{purpose} promptflow {release.version} on {engine.title}: {flows}; `-- --help` for options."
    nox.session(
        name=matrix.session_name(release, engine, verb),
        venv_backend="none",
        requires=["tools"],
        tags=[verb, release.version, engine.name],
    )(run)


for target in MATRIX.targets():
    of_target("bench", *target, "Measure")
    of_target("capacity", *target, "Find the capacity of")
