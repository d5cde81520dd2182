"""Attribute: `nox -s attribute -- 1.12.0 --as-of 2024-06-26 --as-of 2024-12-31` measures a release on two locks.

All of the difference is then its dependencies' effect. With `--to 1.17.2` the change between two releases is divided
into promptflow's effect and that of its dependencies. Instructions are counted first, which takes a minute of each arm.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import date

from scripts.campaign import counted_arms, request, runner
from scripts.campaign.stopping_rule import ROUNDS, StoppingRule
from scripts.commands import campaign_options, cli, output
from scripts.config import matrix_file
from scripts.config.errors import EXIT_OK, InvalidMeasurementError, ValgrindError
from scripts.config.load_profiles import COUNT
from scripts.config.matrix import Suite
from scripts.environments import candidates, virtualenvs
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.inference.paired_rounds import PairedRounds
from scripts.measure.round_plan import Campaign
from scripts.report import documents
from scripts.report.pages import attribution, comparison_page
from scripts.report.pages.attribution import CountedChange
from scripts.report.tables import counts_text


def main(argv: list[str]) -> int:
    """Resolve the locks, compare, and print both effects."""
    args = _arguments(argv)
    terminate_as_exception()
    suite, system, uv = matrix_file.load(), RealSystem(), virtualenvs.find_uv()
    arms = [
        candidates.resolve(suite, args.release, uv=uv, system=system, as_of=day, dry_run=args.dry_run)
        for day in args.as_of
    ]
    if args.to:
        arms.append(request.resolved(suite, args.to, system))
    requested = request.planned(suite, campaign_options.selection(args), arms)
    if args.to:
        request.require_sequential(requested)
    rule = StoppingRule(rounds=args.rounds or ROUNDS, budget_s=args.budget)
    counting = request.planned(suite, replace(campaign_options.selection(args), profile=COUNT), arms)
    expected_s = request.expected_s(requested, rule)
    lines = request.describe(requested, rule)
    if args.profile != COUNT:
        expected_s += counted_arms.expected_s(counting, 1)
        lines = "\n".join([counts_text.plan(counted_arms.expected_s(counting, 1)), lines])
    if args.dry_run:
        output.show_plan(lines, expected_s, as_json=args.json)
        return EXIT_OK
    cli.say(lines)
    counted, counts = _counted(suite, counting, args, system) if args.profile != COUNT else ([], [])
    result = runner.measure(requested, rule, campaign_options.options(args), system)
    timed = [request.page(suite, requested, result), attribution.render(result.paired, result.floors)]
    page = "\n".join([*timed, *counts])
    answer = attribution.answer(result.paired, result.floors) or comparison_page.answer(result.judged)
    document = documents.attributed(
        answer, request.title(requested), result.paired, result.judged, result.floors, counted
    )  # fmt: skip
    output.show(page, document, as_json=args.json)
    runner.require_whole(requested, result)
    return EXIT_OK


def _counted(
    suite: Suite, requested: Campaign, args: argparse.Namespace, system: System
) -> tuple[list[tuple[PairedRounds, CountedChange]], list[str]]:
    """What counted work says of the shares, also as text; without counts that says why there are none."""
    try:
        found = counted_arms.measure(suite, requested, 1, campaign_options.options(args), system)
    except (ValgrindError, InvalidMeasurementError) as error:
        return [], [counts_text.without_counts(error.message, error.then)]
    counted: list[tuple[PairedRounds, CountedChange]] = [(one.paired, one.change) for one in found]
    return counted, [attribution.counts(counted)]


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser(
        "attribute", "Measure one release on two locks: separates promptflow's effect from its dependencies'."
    )
    parser.add_argument(
        "release",
        metavar="RELEASE|PATH|git+URL",
        help="a release of suite.toml, or a candidate: see docs/candidates.md",
    )
    parser.add_argument(
        "--as-of", action="append", required=True, type=_day, metavar="YYYY-MM-DD",
        help="resolve its dependencies as of this day; name two days, the older first",
    )  # fmt: skip
    parser.add_argument(
        "--to", metavar="RELEASE|PATH|git+URL", help="also divide the change to this release into the two effects"
    )
    campaign_options.add_options(parser)
    args = parser.parse_args(argv)
    if len(args.as_of) != 2 or args.as_of[0] >= args.as_of[1]:  # noqa: PLR2004 - two locks
        parser.error("name --as-of twice, the older day first")
    return args


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2025-01-24") from error
