"""Status: `nox -s status` prints what the bench sessions would measure, and what of the suite is measured already."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import asdict, dataclass

from scripts.campaign import existing_runs, missing_work
from scripts.campaign.missing_work import Work
from scripts.commands import cli, output
from scripts.config import matrix, matrix_file, plan
from scripts.config.errors import EXIT_OK, SuiteError
from scripts.config.matrix import ROOT, Engine, Release, Suite
from scripts.config.plan import Plan
from scripts.host import machine
from scripts.host.process import RealSystem
from scripts.records.schema import Machine
from scripts.report import documents
from scripts.report.tables import markdown

_HEADERS = ("Session", "Flows", "Runs", "Measured", "To do (min)")
_WORK_HEADERS = ("Made by", "Items", "Complete", "To do (min)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One bench session."""

    session: str
    flows: tuple[str, ...]
    runs: int = 0
    measured: int = 0
    to_do_s: float = 0.0
    refused: str = ""  # why it measures nothing


def main(argv: list[str]) -> int:
    """Print one row for each bench session, one for each verb of a campaign, and the time that all of them take."""
    args = _arguments(argv)
    suite = matrix_file.load()
    suite.profile(args.profile)  # an unknown one concerns all sessions
    here = machine.describe()
    rows = [_row(suite, release, engine, args, here) for release, engine in suite.targets()]
    runs, measured = sum(row.runs for row in rows), sum(row.measured for row in rows)
    to_do_s = sum(row.to_do_s for row in rows)
    answer = f"{measured} of {runs} runs of profile {args.profile} are measured on a machine like this."
    if measured < runs:
        answer += f" The others take about {to_do_s / 60:.0f} minutes: {_command(args)}"
    works = missing_work.find(suite, args.results.resolve(), here, RealSystem())
    missing_s = sum(work.expected_s for work in works)
    if missing_s:
        answer += f" All that is missing of the suite takes about {missing_s / 60:.0f} minutes: {_campaign(args)}"
    document = documents.document(
        "status", answer, profile=args.profile, runs=runs, measured=measured, to_do_s=to_do_s,
        sessions=[asdict(row) for row in rows], work=[_data(work) for work in works],
    )  # fmt: skip
    tables = [
        markdown.markdown(_HEADERS, map(_cells, rows), labels=2),
        markdown.markdown(_WORK_HEADERS, map(_work_cells, works), labels=1),
    ]
    output.show("\n\n".join(tables), document, as_json=args.json)
    return EXIT_OK


def _row(suite: Suite, release: Release, engine: Engine, args: argparse.Namespace, here: Machine) -> Row:
    session = matrix.session_name(release, engine)
    try:
        chosen = _plan(suite, release, engine, args)
    except SuiteError as error:  # of this session alone
        return Row(session=session, flows=(), refused=error.message)
    missing = existing_runs.missing(suite, chosen.runs, args.results.resolve(), here)
    return Row(
        session=session,
        flows=tuple(dict.fromkeys(spec.flow for spec in chosen.runs)),
        runs=len(chosen.runs),
        measured=len(chosen.runs) - len(missing),
        to_do_s=sum(spec.expected_s for spec in missing),
    )


def _cells(row: Row) -> list[str]:
    flows = ", ".join(row.flows)
    return [row.session, row.refused or flows, str(row.runs), str(row.measured), f"{row.to_do_s / 60:.1f}"]


def _work_cells(work: Work) -> list[str]:
    complete = work.number - len(work.missing)
    return [f"nox -s {work.verb}", str(work.number), str(complete), f"{work.expected_s / 60:.1f}"]


def _data(work: Work) -> documents.Document:
    return {"verb": work.verb, "items": work.number, "missing": len(work.missing), "to_do_s": work.expected_s}


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser(
        "status", "Print what the bench sessions would measure, and what of the suite is measured already."
    )
    parser.add_argument(
        "--profile", default="report", metavar="NAME", help="a load profile of suite.toml (default: report)"
    )
    parser.add_argument("--rounds", type=int, default=1, metavar="N", help="as for the bench sessions (default: 1)")
    cli.add_python_option(parser)
    cli.add_results_option(parser)
    cli.add_json_option(parser)
    args = parser.parse_args(argv)
    if not 1 <= args.rounds <= plan.MAX_ROUNDS:
        parser.error(f"--rounds {args.rounds}: from 1 to {plan.MAX_ROUNDS}")
    return args


def _command(args: argparse.Namespace) -> str:
    """The command that measures the rest of the runs."""
    words = ["nox", "-t", "bench", "--", "--profile", args.profile, "--missing"]
    words += ["--rounds", str(args.rounds)] if args.rounds > 1 else []
    words += ["--python", args.python] if args.python else []
    return shlex.join([*words, *_results(args)])


def _campaign(args: argparse.Namespace) -> str:
    """The command that makes everything that is missing."""
    return shlex.join(["nox", "-s", "campaign", *(["--", *_results(args)] if _results(args) else [])])


def _results(args: argparse.Namespace) -> list[str]:
    return ["--results", str(args.results)] if args.results != ROOT / "results" else []


def _plan(suite: Suite, release: Release, engine: Engine, args: argparse.Namespace) -> Plan:
    return plan.make(
        suite, release=release.version, engine=engine.name, flow_names=(), profile=args.profile, python=args.python,
        rounds=args.rounds,
    )  # fmt: skip
