"""Soak: `nox -s soak -- 1.12.0` loads a release for half an hour, and says whether memory grows or overhead drifts.

The users are a share of those that its capacity was found with on this machine. Without names it takes the releases of
suite.toml's `[soak]`.
"""

from __future__ import annotations

import argparse
import math
import shlex
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from scripts.analysis import run_reader
from scripts.campaign import existing_runs, existing_searches, request
from scripts.commands import bench, cli, load_options, output, target_options
from scripts.config import matrix_file
from scripts.config.errors import NothingMeasuredError, UsageError
from scripts.config.load_profiles import CAPACITY, SOAK, Profile
from scripts.config.matrix import ROOT, Suite
from scripts.config.plan import Plan, RunSpec
from scripts.environments.locks import Lock
from scripts.host import machine
from scripts.host.process import RealSystem, terminate_as_exception
from scripts.host.progress import Progress
from scripts.host.quiet import Quiet
from scripts.inference import soaks
from scripts.inference.capacity_runs import CapacitySearch
from scripts.measure import session
from scripts.records.schema import Machine
from scripts.report import documents
from scripts.report.pages import soak_session

_MOST_MINUTES = 600
_MINUTE_S = 60


def main(argv: list[str]) -> int:
    """Plan and check everything; then build, soak, record and print what it shows."""
    args = _arguments(argv)
    suite, system, here = matrix_file.load(), RealSystem(), machine.describe()
    results, names = args.results.resolve(), args.target or suite.soak.releases
    requested, locked = request.session(suite, target_options.selection(args, SOAK), None, names, system)
    specs = requested.runs if args.flow else _of_first_scenarios(requested.runs)
    chosen = Plan(runs=tuple(_loaded(suite, specs, locked, here, args)))
    if args.missing:
        chosen = Plan(runs=tuple(existing_runs.missing(suite, chosen.runs, results, here, locked)))
    if not chosen.runs:
        answer = "nothing is missing: every soak is made validly under this machine's conditions"
        output.show("", documents.soaked(answer, []), as_json=args.json)
        return 0
    if args.dry_run:
        output.show_plan(_describe(chosen), chosen.expected_s, as_json=args.json)
        return 0
    terminate_as_exception()
    progress, prepare = Progress(time.monotonic), session.prepare_from(locked)
    if args.install_only:
        session.prepare_all(suite, chosen.runs, system, progress, prepare)
        return 0
    options = session.Options(results=results, keep_logs=args.keep_logs, quiet=Quiet(wait_s=args.wait_quiet))
    cli.say(_time(chosen))
    done = session.make(suite, chosen, options, system, progress, prepare, bench.hopeless)
    found = [soaks.evaluated(run_reader.read_run(completed.directory)) for completed in done]
    page = soak_session.text(found, _command(SOAK, args, _own_words(args)))
    output.show(page, documents.soaked(soak_session.answer(found), found), as_json=args.json)
    return bench.verdict(done)


def _arguments(argv: list[str]) -> argparse.Namespace:
    description = (
        "Load a release for half an hour by a share of its capacity, and say whether memory grows with the requests "
        "served, and whether overhead drifts. docs/capacity.md says how."
    )
    default = "the releases of suite.toml's [soak]"
    parser = target_options.by_name(SOAK, description, what="what to load", default=default)
    parser.add_argument(
        "--users", type=load_options.users, metavar="N",
        help="so many users in place of a share of the capacity, which then need not be known",
    )  # fmt: skip
    parser.add_argument(
        "--minutes", type=_seconds, dest="run_time_s", metavar="N",
        help=f"load for so long, at most {_MOST_MINUTES} (default: run_time_s of suite.toml's [profile.soak])",
    )  # fmt: skip
    parser.add_argument(
        "--missing", action="store_true",
        help="skip what is already soaked validly by as many users, for as long, under this machine's conditions",
    )  # fmt: skip
    cli.add_flow_options(parser, default="the first scenario of each engine")
    cli.add_session_options(parser)
    cli.add_json_option(parser)
    return parser.parse_args(argv)


def _seconds(text: str) -> int:
    """Minutes as a command line takes them, e.g. 30 or 0.5, in whole seconds."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not 0 < minutes <= _MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"{text} is not a number of minutes above 0, and at most {_MOST_MINUTES}")
    return math.ceil(minutes * _MINUTE_S)


def _of_first_scenarios(runs: Iterable[RunSpec]) -> list[RunSpec]:
    """One run of each release on each engine: that of the scenario which suite.toml names first."""
    first: dict[tuple[str, str], RunSpec] = {}
    for spec in runs:
        first.setdefault((spec.release, spec.engine), spec)
    return list(first.values())


def _loaded(
    suite: Suite, specs: Iterable[RunSpec], locked: Mapping[str, Lock], here: Machine, args: argparse.Namespace
) -> list[RunSpec]:
    """The runs with their users and their time; an error where the users would be a share of what nobody has found."""
    known = existing_searches.read(args.results.resolve(), suite.capacity) if args.users is None else []
    loads, lacking = [], []
    for spec in specs:
        users = args.users or _share(suite, spec, locked[spec.release], known, here)
        if users is None:
            lacking.append(spec)
        else:
            loads.append(replace(spec, profile=_for_as_long(spec.profile.at(users), args)))
    if lacking:
        raise _no_capacity(suite, lacking, args)
    return loads


def _share(
    suite: Suite, spec: RunSpec, lock: Lock, known: Sequence[CapacitySearch], here: Machine
) -> int | None:  # fmt: skip
    """The users that are the share of the release's capacity; None where no search here has found that."""
    if spec.target is None:
        raise ValueError("a release is soaked, not the mock API")
    searched = replace(spec, profile=suite.load(spec.target.release, CAPACITY), memory_every_s=None)
    held = existing_searches.users(known, searched, lock, here, suite.capacity)
    return None if held is None else suite.soak.users(held)


def _for_as_long(load: Profile, args: argparse.Namespace) -> Profile:
    """The load for the time that was asked for; UsageError for too short a time."""
    if args.run_time_s is None:
        return load
    lasting = load.lasting(args.run_time_s)
    problem = next(lasting.problems(), None)
    if problem is not None:
        raise UsageError(
            f"--minutes {args.run_time_s / _MINUTE_S:g}: {problem}", then="repeat this command with --minutes 1"
        )
    return lasting


def _no_capacity(suite: Suite, lacking: Sequence[RunSpec], args: argparse.Namespace) -> NothingMeasuredError:
    """Which capacities are not known, and how the first of them is searched."""
    spec = lacking[0]
    named = [spec.release] if suite.named(spec.release) is not None else args.target
    target = spec.target
    flow = spec.flow if target is None or target.flow.of_suite else str(target.flow.path)
    search = _command(CAPACITY, args, [*named, "--engine", spec.engine, "--flow", flow, "--missing"])
    scenarios = ", ".join(f"{one.release} {one.engine} {one.flow}" for one in lacking)
    return NothingMeasuredError(
        f"a soak loads by a share of the capacity, and under this machine's conditions none is recorded of {scenarios}",
        then=f"{search}; or repeat this command with --users N",
    )


def _command(verb: str, args: argparse.Namespace, own: Iterable[str]) -> str:
    """A session with the same Python and results."""
    words = [*own]
    words += ["--python", args.python] if args.python else []
    words += ["--results", str(args.results)] if args.results != ROOT / "results" else []
    return shlex.join(["nox", "-s", verb, *(["--", *words] if words else [])])


def _own_words(args: argparse.Namespace) -> list[str]:
    """The targets and the load as they were typed."""
    options = [("--engine", name) for name in args.engine] + [("--flow", name) for name in args.flow]
    options += [("--users", str(args.users))] if args.users else []
    options += [("--minutes", f"{args.run_time_s / _MINUTE_S:g}")] if args.run_time_s else []
    return [*args.target, *(word for option in options for word in option)]


def _describe(chosen: Plan) -> str:
    """The loads, and their time."""
    return "\n".join([*map(_line, chosen.runs), _time(chosen)])


def _line(spec: RunSpec) -> str:
    profile, minutes = spec.profile, spec.profile.run_time_s / _MINUTE_S
    warm_up = f"of which {profile.warm_up_s / _MINUTE_S:.2g} are warm-up"
    return f"{spec.release} {spec.engine} {spec.flow}: {profile.users} users for {minutes:g} minutes, {warm_up}"


def _time(chosen: Plan) -> str:
    number = len(chosen.runs)
    minutes = math.ceil(chosen.expected_s / _MINUTE_S)
    return f"{number} soak{'' if number == 1 else 's'}, about {minutes} minutes; and virtualenvs that are not built"
