"""Explain: `nox -s explain -- 1.17.0 1.17.1 --flow static_async` says what takes more or less CPU time, and where.

Samples the stacks of both releases under one load. Writes a document, a page and pictures below results/explanations/.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.analysis import grouping, run_reader
from scripts.campaign import explaining, request
from scripts.campaign.explaining import MOST_REPEATS, REPEATS
from scripts.campaign.request import Selection
from scripts.commands import cli, collate, output
from scripts.config import matrix_file
from scripts.config.errors import EXIT_OK, InvalidMeasurementError
from scripts.config.load_profiles import COUNT, EXPLAIN
from scripts.host.process import RealSystem, terminate_as_exception
from scripts.host.progress import Progress
from scripts.host.quiet import Quiet
from scripts.inference import stack_changes
from scripts.measure import session
from scripts.measure.round_plan import Campaign
from scripts.records import explanations
from scripts.records.explanations import Explanation
from scripts.report import documents
from scripts.report.pages import explanation_index, explanation_page, site
from scripts.report.pages.explanation_page import Counted


def main(argv: list[str]) -> int:
    """Sample, write the pages, and print them."""
    args = _arguments(argv)
    terminate_as_exception()
    suite, system = matrix_file.load(), RealSystem()
    wanted = Selection(engines=tuple(args.engine), flows=tuple(args.flow), profile=EXPLAIN, python=args.python)
    arms = [request.resolved(suite, target, system) for target in (args.baseline, args.candidate)]
    requested = request.planned(suite, wanted, arms)
    plan, expected_s = describe(requested, args.repeats), explaining.expected_s(requested, args.repeats)
    if args.dry_run:
        output.show_plan(plan, expected_s, as_json=args.json)
        return EXIT_OK
    cli.say(plan)
    quiet = Quiet(wait_s=args.wait_quiet) if args.wait_quiet else None  # shares hardly move with other work
    options = session.Options(results=args.results.resolve(), keep_logs=args.keep_logs, quiet=quiet)
    found = explaining.measure(suite, requested, options, system, Progress(time.monotonic), repeats=args.repeats)
    counted = written(options.results)
    cli.say("nox -s collate links it from the table of changes")
    return shown(options.results, found, counted, as_json=args.json)


def describe(requested: Campaign, repeats: int) -> str:
    """The plan and its time."""
    minutes = explaining.expected_s(requested, repeats) / 60
    return "\n".join(
        [
            *(f"arm {number}: {arm.about}" for number, arm in enumerate(requested.arms, 1)),
            *(f"scenario: {one.name}, both releases at once, sampled by py-spy" for one in requested.scenarios),
            f"time: {repeats} repeats, about {minutes:.1f} minutes",
        ]
    )


def written(results: Path) -> Counted:
    """Write the pages of all explanations, and their pictures; return the counts that they show."""
    counted = explanation_index.instructions(grouping.cells(run_reader.read_profile(results, COUNT).runs))
    readable = [one for _, one in explanations.found(results) if isinstance(one, Explanation)]
    files = site.drawn(results, explanation_index.render(readable, counted))
    for name in files:
        collate.require_inside(results, name)
    collate.write(results, files)
    return counted


def shown(results: Path, found: Sequence[Explanation], counted: Counted, *, as_json: bool) -> int:
    """Print the pages, and what changed most as the last line; the exit code is 6 where nothing can be claimed."""
    changes = [stack_changes.changes(one) for one in found]
    answer = "; ".join(explanation_page.answer(*one) for one in zip(found, changes, strict=True))
    pages = [explanation_page.text(*one, counted) for one in zip(found, changes, strict=True)]
    where = [f"With its flame graph: {session.shown(results / explanations.FOLDER / one.id)}.md" for one in found]
    output.show("\n\n".join([*pages, *where]), documents.explained(answer, found, changes), as_json=as_json)
    return InvalidMeasurementError.exit_code if any(one.no_claim for one in changes) else EXIT_OK


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser(
        "explain", "Say which packages and functions take more or less CPU time in one release than in another."
    )
    parser.add_argument("baseline", metavar="BASELINE", help="a release or a candidate; see docs/candidates.md")
    parser.add_argument("candidate", metavar="CANDIDATE", help="what is compared with it")
    parser.add_argument(
        "--engine", action="append", default=[], metavar="NAME", help="only this engine; repeatable (default: all)"
    )
    parser.add_argument(
        "--repeats", type=_repeats, default=REPEATS, metavar="N",
        help=f"start and sample both releases N times; fewer than {stack_changes.FEWEST_REPEATS} allow no claim "
        f"(default: {REPEATS})",
    )  # fmt: skip
    cli.add_flow_options(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the plan and its time, and sample nothing")
    cli.add_output_options(parser)
    cli.add_json_option(parser)
    return parser.parse_args(argv)


def _repeats(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_REPEATS:
        raise argparse.ArgumentTypeError(f"{text} is not a number of repeats from 1 to {MOST_REPEATS}")
    return int(text)
