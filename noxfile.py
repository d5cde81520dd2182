"""Sessions of the promptflow serving benchmark. Options come after `--`: `nox -s bench-1.12.0-fastapi -- --help`."""

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
tools_bin: list[Path] = []  # the folder of the tools, once their session has run
# Dask is installed only where a cluster is used: its options come after `--`, and sessions are chosen before they run.
TOOLS = "cluster" if any(word.partition("=")[0] == "--cluster" for word in sys.argv) else "tools"


def install_locked(session: nox.Session, lock: str) -> None:
    """Install one of the suite's own locks, hashes required."""
    compiled = ["--compile-bytecode"] if session.venv_backend == "uv" else []
    session.install("--quiet", "--require-hashes", "--no-deps", *compiled, "-r", f"locks/{lock}.txt")


def call(session: nox.Session, verb: str, *args: str, python: str | None = None, install: bool = False) -> None:
    """Call `python -m scripts <verb>`; its exit code reaches the shell when this is the only requested session."""
    run = session.run_install if install else session.run
    command = (python or str(tools_bin[-1] / "python"), "-m", "scripts", verb, *args, *session.posargs)
    try:
        run(*command, external=True, log=False, interrupt_timeout=STOP_S, terminate_timeout=STOP_S)
    except CommandFailed as failure:
        requested = session._runner.manifest  # noqa: SLF001 - nox has no public way
        alone = len(requested) - sum(name in requested for name in ("tools", "cluster")) == 1
        if alone and failure.return_code is not None:
            raise SystemExit(failure.return_code) from failure
        raise


def provide(session: nox.Session, lock: str) -> None:
    """Install one of the suite's own locks, by which the verbs are then called."""
    install_locked(session, lock)
    tools_bin.append(Path(session.bin).resolve())


@nox.session(python=MATRIX.tools.python, reuse_venv=True, default=False)
def tools(session: nox.Session) -> None:
    """Install the suite's own tools from locks/tools.txt; other sessions do this by themselves."""
    provide(session, "tools")


@nox.session(python=MATRIX.tools.python, reuse_venv=True, default=False)
def cluster(session: nox.Session) -> None:
    """Install the tools with Dask from locks/cluster.txt; sessions that need it do this by themselves."""
    provide(session, "cluster")


@nox.session(python=MATRIX.tools.python, reuse_venv=True)
def lint(session: nox.Session) -> None:
    """Check format, style, types and imports of the suite's code, and the workflows."""
    install_locked(session, "dev")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("lint-imports", "--no-cache")
    workflows = [str(path) for path in sorted(ROOT.glob("*/workflows/*.yml"))]
    session.run("actionlint", "-shellcheck=", "-pyflakes=", *workflows)
    session.run("zizmor", "--offline", "--no-progress", "--strict-collection", "action.yml", *workflows)


@nox.session(python=MATRIX.tools.python, reuse_venv=True)
def tests(session: nox.Session) -> None:
    """Run the tests, with a short real benchmark of promptflow; quick: `-- -m "not e2e"`."""
    install_locked(session, "dev")
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.run("pytest", "-n", "logical", "--dist", "worksteal", "-m", "not serial")
    session.run("pytest", "-m", "serial")


@nox.session(python=MATRIX.tools.python, reuse_venv=True, default=False)
def report(session: nox.Session) -> None:
    """Write results/report.html, to sort, filter and compare all that is recorded; `-- --open` shows it."""
    install_locked(session, "report")
    call(session, "report", python=str(Path(session.bin).resolve() / "python"))


@nox.session(venv_backend="none")
def lock(session: nox.Session) -> None:
    """Resolve a release's dependencies again and write its lock: `-- 1.18.5`; verify all: `-- --check`."""
    call(session, "lock", python=sys.executable)


def of_verb(name: str, purpose: str, *args: str, tags: Sequence[str] = (), needs: str = TOOLS) -> None:
    """Register a session that only calls a verb."""

    def run(session: nox.Session) -> None:
        verb = args[0] if args else name
        call(session, verb, *args[1:])

    run.__doc__ = purpose
    nox.session(name=name, venv_backend="none", requires=[needs], tags=list(tags))(run)


of_verb("collate", "Write every table, chart and page in results/ again from the records; verify: `-- --check`.")
of_verb("bench", "Measure a release on all of its engines, or on one: `-- 1.12.0 --engine fastapi`, `-- latest`.")
of_verb("add-release", "Bring a new release into suite.toml, locks, records and all pages, resumable: `-- 1.18.6`.")
of_verb("count", "Count the work of releases and candidates, all releases by default: `-- 1.18.5 dist/`.")
of_verb("capacity", "Find the highest throughput, of the last release of each minor line by default: `-- 1.18.5`.")
of_verb("soak", "Load releases for half an hour, and say whether memory grows or overhead drifts: `-- 1.18.5`.")
of_verb("compare", "Compare releases in interleaved rounds and report what changed: `-- 1.12.0 1.18.5`.")
of_verb("gate", "Judge a candidate by the exit code: `-- --baseline 1.18.4 --candidate 1.18.5`.")
of_verb("comment", "Write a gate's report as a comment on the pull request of a GitHub job: `-- gate.md`.")
of_verb("attribute", "Separate promptflow's effect from its dependencies': `-- 1.12.0 --as-of DAY --as-of DAY`.")
of_verb("explain", "Say which packages and functions made a release slower or faster: `-- 1.17.0 1.17.1`.")
of_verb("find", "Find where a metric changed: `-- --metric cpu_per_request --flow static_async 1.10.0..1.18.5`.")
of_verb("load-worker", "Make a part of the load of a session on another machine: `-- HOST`.")
of_verb("show", "Print what the recorded campaigns say of two releases; measures nothing: `-- 1.17.0 1.18.5`.")
of_verb("list", "Print the releases, flows, profiles, metrics or engines: `-- releases`.")
of_verb("campaign", "Make everything that is missing of the suite on this machine; plan: `-- --dry-run`.")
of_verb("status", "Print what the bench sessions measure, what is measured already, and how long the rest takes.")
of_verb("scheduler", "Join the workers of several machines to a cluster, until Ctrl-C.", needs="cluster")
of_verb("worker", "Make runs on this machine for a cluster, until Ctrl-C: `-- tls://HOST:8786`.", needs="cluster")
of_verb("certificates", "Make the certificates of a cluster, to be copied to its machines: `-- DIR`.", needs="cluster")
of_verb("self-test", "Show by known slowdowns and A/A comparisons how far verdicts can be trusted; hours, resumable.")
of_verb("gate-trials", "Show what a gate catches and calls wrongly, on known candidates; hours, resumable.")
of_verb("explain-trials", "Show what explanations name of known slowdowns, and of noise; hours, resumable.")
of_verb(
    "bench-self", "Measure the suite itself: overhead of a bench session, install, listing, collating, a cluster.",
    "bench-self", "--nox-python", sys.executable, needs="cluster",
)  # fmt: skip
of_verb(
    "bench-mock", "Measure the mock API alone: the most that load generator and mock API can do.",
    "bench", "--mock", tags=["bench"],
)  # fmt: skip


def of_target(verb: str, release: matrix.Release, engine: matrix.Engine, purpose: str) -> None:
    """Register a session that measures one target."""

    def run(session: nox.Session) -> None:
        options = ("--release", release.version, "--engine", engine.name)
        if session._runner.global_config.install_only:  # noqa: SLF001 - nox has no public way
            call(session, verb, *options, "--install-only", install=True)
        else:
            call(session, verb, *options)

    flows = ", ".join(MATRIX.scenario_flows(release, engine))
    run.__doc__ = f"{purpose} promptflow {release.version} on {engine.title}: {flows}."
    nox.session(
        name=matrix.session_name(release, engine, verb),
        venv_backend="none",
        requires=[TOOLS],
        tags=[verb, release.version, engine.name],
    )(run)


for target in MATRIX.targets():
    of_target("bench", *target, "Measure")
    of_target("count", *target, "Count the instructions of")
    of_target("capacity", *target, "Find the highest throughput of")
