"""Capacity: `nox -s capacity-1.12.0-fastapi` finds the highest throughput that meets an objective.

`nox -s capacity -- 1.18.5 1.17.2` searches for releases on all of their engines, and without names for the last release
of each minor line.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import itertools
import math
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scripts.analysis import run_reader
from scripts.analysis.run_reader import Run
from scripts.campaign import existing_searches, request
from scripts.campaign.existing_searches import Begun
from scripts.commands import cli, output, target_options
from scripts.config import matrix_file
from scripts.config.errors import InvalidMeasurementError, SuiteError, UsageError
from scripts.config.load_profiles import CAPACITY, Capacity
from scripts.config.matrix import Suite
from scripts.config.plan import Plan, RunSpec
from scripts.environments.locks import Lock
from scripts.host import machine
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.host.progress import Progress
from scripts.host.quiet import Quiet
from scripts.inference import capacity_runs, capacity_search
from scripts.inference.capacity_runs import CapacitySearch
from scripts.inference.capacity_search import Trial
from scripts.measure import session
from scripts.measure.run import RunContext
from scripts.measure.session import Options, Prepare
from scripts.records.schema import Machine
from scripts.report import documents
from scripts.report.pages import capacity_page
from scripts.report.tables import capacity_table

_SHOWN_LOADS = 8  # the first ones, in a dry run

MakeRun = Callable[[RunSpec, str], tuple[Run, SuiteError | None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class CompletedSearch:
    """The search of one scenario, to its end."""

    search: CapacitySearch
    error: SuiteError | None  # of its last run that failed


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """The searches of a session."""

    plan: Plan  # one run for each search
    locks: Mapping[str, Lock]  # by release
    settings: Capacity
    known: Sequence[CapacitySearch]  # that are recorded already, the newest last
    here: Machine
    resumes: bool = False  # whether an interrupted search goes on

    def missing(self) -> Wanted:
        """Where searches go on, those without a result on a machine like `here`; else all."""
        if not self.resumes:
            return self
        runs = existing_searches.missing(self.known, self.plan.runs, self.locks, self.here, self.settings)
        return dataclasses.replace(self, plan=Plan(runs=tuple(runs)))

    def begin(self, spec: RunSpec, made: Sequence[CapacitySearch] = ()) -> Begun:
        """Where the search of a run starts, after those that this session has made."""
        lock = self.locks[spec.release]
        return existing_searches.begin(
            [*self.known, *made], spec, lock, self.here, self.settings, resumes=self.resumes
        )  # fmt: skip


def main(argv: list[str]) -> int:
    """Plan and check everything; then build, search, confirm and print the result."""
    args = _arguments(argv)
    suite, system = matrix_file.load(), RealSystem()
    settings = _settings(suite, args)
    wanted = _wanted(suite, args, settings, system)
    cluster = None if args.dry_run else cli.cluster(args)
    if cluster is None:
        wanted = wanted.missing()
    if not wanted.plan.runs:
        return _nothing_is_missing(settings, as_json=args.json)
    if args.dry_run:
        output.show_plan(_describe(wanted), _usual_and_most_s(wanted)[0], as_json=args.json)
        return 0
    terminate_as_exception()
    progress, prepare = Progress(time.monotonic), session.prepare_from(wanted.locks)
    if args.install_only:
        session.prepare_all(suite, wanted.plan.runs, system, progress, prepare)
        return 0
    options = Options(
        results=args.results.resolve(), keep_logs=args.keep_logs, quiet=Quiet(wait_s=args.wait_quiet), cluster=cluster
    )
    cli.say(_time(wanted))
    searches = make(suite, wanted, options, system, progress, prepare)
    if not searches:
        return _nothing_is_missing(settings, as_json=args.json)
    found = [completed.search for completed in searches]
    page = capacity_page.of_session(suite, settings, found, _command(args))
    output.show(page, documents.capacity(capacity_page.answer(found), settings, found), as_json=args.json)
    return _verdict(searches)


def _nothing_is_missing(settings: Capacity, *, as_json: bool) -> int:
    answer = "nothing is missing: every search has a result under this machine's conditions"
    output.show("", documents.capacity(answer, settings, []), as_json=as_json)
    return 0


def _arguments(argv: list[str]) -> argparse.Namespace:
    description = "Find the highest throughput of a release that still meets an objective."
    parser = target_options.parser(
        CAPACITY, description, argv, what="what to search", default="the last release of each minor line"
    )
    parser.add_argument(
        "--max-overhead-p99", type=float, metavar="MS",
        help="the overhead p99 that the objective allows (default: overhead_p99_max_ms of suite.toml's [capacity])",
    )  # fmt: skip
    parser.add_argument(
        "--missing", action="store_true",
        help="skip what has a result under this machine's conditions, and go on with a search that was interrupted",
    )  # fmt: skip
    cli.add_flow_options(parser)
    cli.add_cluster_options(parser)
    cli.add_session_options(parser)
    cli.add_json_option(parser)
    args = parser.parse_args(argv)
    if args.cluster and args.install_only:
        parser.error("--install-only is of this machine: leave it out, or leave out --cluster")
    return args


def _settings(suite: Suite, args: argparse.Namespace) -> Capacity:
    """The search as suite.toml says, with another objective if one is given."""
    limit_ms: float | None = args.max_overhead_p99
    if limit_ms is None:
        return suite.capacity
    if not 0 < limit_ms < math.inf:
        usual = f"--max-overhead-p99 {suite.capacity.overhead_p99_max_ms:g}"
        raise UsageError(
            f"--max-overhead-p99 {limit_ms:g} is not a finite number above 0",
            then=f"repeat this command with {usual}",
        )
    return dataclasses.replace(suite.capacity, overhead_p99_max_ms=limit_ms)


def _wanted(suite: Suite, args: argparse.Namespace, settings: Capacity, system: System) -> Wanted:
    """The searches that were asked for."""
    wanted = target_options.selection(args, CAPACITY)
    engines = [suite.engine(name) for name in wanted.engines] or suite.engines
    names = args.target or [
        release.version
        for release in suite.last_of_minors
        if any(suite.has_engine(release, engine) for engine in engines)
    ]
    chosen, locked = request.session(suite, wanted, args.release, names, system)
    here = machine.describe()
    known = existing_searches.read(args.results.resolve(), suite.capacity)
    return Wanted(plan=chosen, locks=locked, settings=settings, known=known, here=here, resumes=args.missing)


def make(
    suite: Suite, wanted: Wanted, options: Options, system: System, progress: Progress, prepare: Prepare
) -> list[CompletedSearch]:  # fmt: skip
    """Search for each scenario; every run is recorded."""
    if options.cluster is not None:
        return _on_workers(wanted, options, system, progress)
    specs = wanted.plan.runs
    with session.opened(options, wanted.settings.max_users, system, progress) as opened:
        of_release = {spec.release: spec for spec in specs}
        prepared = {release: prepare(suite, spec, system, progress) for release, spec in of_release.items()}
        made: list[CompletedSearch] = []
        for number, spec in enumerate(specs, 1):
            context = dataclasses.replace(opened, prepared=prepared[spec.release])
            begun = wanted.begin(spec, [completed.search for completed in made])
            made.append(_search(progress, functools.partial(_run, context), spec, begun, f"{number}/{len(specs)}"))
        return made


def _run(context: RunContext, load: RunSpec, label: str) -> tuple[Run, SuiteError | None]:
    """Make a run here; its error, if it failed."""
    done = session.one(context, load, f"[{label}]")
    return run_reader.read_run(done.directory), done.error


def _on_workers(wanted: Wanted, options: Options, system: System, progress: Progress) -> list[CompletedSearch]:
    """The same on a cluster, each search on one machine; the error of the first that was lost, after all others."""
    from scripts.campaign import coordinator  # noqa: PLC0415 - what it needs is there for a cluster alone

    most = [dataclasses.replace(spec, profile=spec.profile.at(wanted.settings.max_users)) for spec in wanted.plan.runs]
    with coordinator.opened(most, wanted.locks, options, system, progress) as workers:
        workers.slots()  # waits for the first
        wanted = dataclasses.replace(wanted, here=workers.first.machine).missing()
        made: list[CompletedSearch] = []

        def search(number: int, spec: RunSpec, worker: str) -> CompletedSearch:
            begun = wanted.begin(spec, [completed.search for completed in made])
            one = _search(progress, functools.partial(workers.run, worker), spec, begun, f"{number}/{len(jobs)}")
            made.append(one)
            return one

        jobs = [functools.partial(search, number, spec) for number, spec in enumerate(wanted.plan.runs, 1)]
        return workers.each(jobs)


def _search(progress: Progress, make_run: MakeRun, spec: RunSpec, begun: Begun, number: str) -> CompletedSearch:
    """One scenario's search."""
    errors: list[SuiteError] = []
    settings = begun.identity.settings
    if begun.runs:
        progress.note(f"goes on after {len(begun.runs)} runs that are recorded already")

    def one(trial: Trial) -> Run:
        usual = capacity_search.usual_runs(settings)
        left_s = max(1, usual - trial.number + 1) * spec.expected_s
        progress.head(f"{number}, {spec.release} {spec.flow}: run {trial.number} of about {usual}", left_s)
        load = dataclasses.replace(
            spec, profile=spec.profile.at(trial.users), round=trial.number, search=begun.identity
        )
        run, error = make_run(load, f"{number}, {trial.phase} {trial.number}, {trial.users} users")
        if error is not None:
            errors.append(error)
        progress.note(capacity_table.progress_line(run, capacity_runs.judge(run, settings)))
        return run

    search = capacity_runs.carried_out(settings, begun.runs, one)
    progress.note(f"{spec.release} {spec.engine} {spec.flow}: {capacity_table.result(search)}")
    return CompletedSearch(search=search, error=errors[-1] if errors else None)


def _verdict(searches: list[CompletedSearch]) -> int:
    """0 when every scenario has a confirmed figure; else raise why one has none."""
    without = [completed for completed in searches if completed.search.users is None]
    if not without:
        return 0
    last = without[-1]
    requested, found = last.search.requested, last.search.found
    limit = found.limit if found is not None else None
    where = f"{requested.release} {requested.engine} {requested.flow}"
    if last.error is not None and limit is not None and limit.verdict == "invalid":
        raise last.error
    if limit is not None and limit.verdict == "missed":
        raise InvalidMeasurementError(
            f"{where}: no load was found that meets the objective reliably; {limit.users} users miss it",
            then="repeat this command with a higher --max-overhead-p99, or on a faster machine",
        )
    raise InvalidMeasurementError(
        f"{where}: no load was found whose runs are valid and meet the objective; the table says why",
        then="repeat this command with --wait-quiet 5m, or close other programs first",
    )


def _describe(wanted: Wanted) -> str:
    """The searches that would be made, and the time that they take."""
    settings = wanted.settings
    return "\n".join(
        [
            *(_first_loads(spec, wanted.begin(spec)) for spec in wanted.plan.runs),
            f"objective: {capacity_table.objective(settings)}",
            f"until a load misses it; then loads between, to within {settings.precision * 100:g} %",
            f"confirmed by {settings.confirm_runs} more runs, or by as many at a lower load",
            _time(wanted),
        ]
    )


def _first_loads(spec: RunSpec, begun: Begun) -> str:
    """What one search tries first."""
    settings = begun.identity.settings
    loads = list(itertools.islice(capacity_search.steps_up(settings), _SHOWN_LOADS))
    growing = ", ".join(map(str, loads)) + (f", ... {settings.max_users}" if loads[-1] < settings.max_users else "")
    started = f"; goes on after {len(begun.runs)} runs" if begun.runs else ""
    return f"{spec.release} {spec.engine} {spec.flow}: users {growing}{started}"


def _time(wanted: Wanted) -> str:
    """About how long it takes, and at most."""
    number = len(wanted.plan.runs)
    usual, most = (math.ceil(seconds / 60) for seconds in _usual_and_most_s(wanted))
    searches = "1 search" if number == 1 else f"{number} searches"
    return f"{searches}, about {usual} minutes, at most {most}; and virtualenvs that are not built"


def _usual_and_most_s(wanted: Wanted) -> tuple[float, float]:
    usual_s = most_s = 0.0
    for spec in wanted.plan.runs:
        begun = wanted.begin(spec)
        settings, done = begun.identity.settings, len(begun.runs)
        usual_s += begun.usual_s(spec)
        most_s += max(1, capacity_search.most_runs(settings) - done) * (spec.expected_s + spec.profile.drain_s)
    return usual_s, most_s


def _command(args: argparse.Namespace) -> str:
    """The session that does the same again."""
    words = ["nox", "-s", f"{CAPACITY}-{args.release}-{args.engine}" if args.release else CAPACITY]
    options = [] if args.release else [*args.target, *(word for name in args.engine for word in ("--engine", name))]
    options += [word for flow in args.flow for word in ("--flow", flow)]
    options += ["--python", args.python] if args.python else []
    options += ["--max-overhead-p99", f"{args.max_overhead_p99:g}"] if args.max_overhead_p99 else []
    return shlex.join([*words, *(["--", *options] if options else [])])
