"""Status: `nox -s status` prints what the bench sessions would measure, and what is measured already."""

from __future__ import annotations

import argparse
import shlex

from scripts.campaign import existing_runs
from scripts.commands import cli
from scripts.config import matrix, matrix_file, plan
from scripts.config.errors import EXIT_OK, SuiteError
from scripts.config.matrix import ROOT, Engine, Release, Suite
from scripts.config.plan import Plan
from scripts.host import machine
from scripts.report.tables import markdown

_HEADERS = ("Session", "Flows", "Runs", "Measured", "To do (min)")


def main(argv: list[str]) -> int:
    """Print one row for each session, and the time that all of them take."""
    args = _arguments(argv)
    suite = matrix_file.load()
    suite.profile(args.profile)  # an unknown one concerns all sessions
    here = machine.describe()
    rows: list[list[str]] = []
    runs = done = 0
    left_s = 0.0
    for release, engine in suite.targets():
        session = matrix.session_name(release, engine)
        try:
            chosen = _plan(suite, release, engine, args)
        except SuiteError as error:  # of this session alone
            rows.append([session, error.message, "0", "0", "0.0"])
            continue
        missing = existing_runs.missing(suite, chosen.runs, args.results.resolve(), here)
        to_do_s = sum(spec.expected_s for spec in missing)
        flows = ", ".join(dict.fromkeys(spec.flow for spec in chosen.runs))
        counts = (len(chosen.runs), len(chosen.runs) - len(missing))
        rows.append([session, flows, *map(str, counts), f"{to_do_s / 60:.1f}"])
        runs, done, left_s = runs + counts[0], done + counts[1], left_s + to_do_s
    print(markdown.markdown(_HEADERS, rows, labels=2))
    print(
        f"\n{done} of {runs} runs of profile {args.profile} are measured on a machine like this. "
        f"The others take about {left_s / 60:.0f} minutes: {_command(args)}"
    )
    return EXIT_OK


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("status", "Print what the bench sessions would measure, and what is measured already.")
    parser.add_argument(
        "--profile", default="report", metavar="NAME", help="a load profile of suite.toml (default: report)"
    )
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="as for the bench sessions (default: 1)")
    cli.add_python_option(parser)
    cli.add_results_option(parser)
    args = parser.parse_args(argv)
    if not 1 <= args.rounds <= plan.MAX_ROUNDS:
        parser.error(f"--rounds {args.rounds}: from 1 to {plan.MAX_ROUNDS}")
    return args


def _command(args: argparse.Namespace) -> str:
    """The command that measures the rest."""
    words = ["nox", "-t", "bench", "--", "--profile", args.profile, "--missing"]
    words += ["--rounds", str(args.rounds)] if args.rounds > 1 else []
    words += ["--python", args.python] if args.python else []
    words += ["--results", str(args.results)] if args.results != ROOT / "results" else []
    return shlex.join(words)


def _plan(suite: Suite, release: Release, engine: Engine, args: argparse.Namespace) -> Plan:
    return plan.make(
        suite, release=release.version, engine=engine.name, flow_names=(), profile=args.profile, python=args.python,
        rounds=args.rounds,
    )  # fmt: skip
