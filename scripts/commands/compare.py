"""Compare: `nox -s compare -- 1.12.0 1.18.5` measures releases in interleaved rounds and reports what changed."""

from __future__ import annotations

import argparse
import shlex

from scripts.campaign import request, runner
from scripts.campaign.stopping_rule import ROUNDS, StoppingRule
from scripts.commands import campaign_options, cli, output
from scripts.config import matrix_file
from scripts.config.errors import EXIT_OK, UsageError
from scripts.config.matrix import Suite
from scripts.environments import candidates
from scripts.host.process import RealSystem, terminate_as_exception
from scripts.report import documents
from scripts.report.pages import comparison_page


def main(argv: list[str]) -> int:
    """Measure the releases, and print the comparison."""
    args = _arguments(argv)
    terminate_as_exception()
    suite, system = matrix_file.load(), RealSystem()
    requested = request.planned(
        suite,
        campaign_options.selection(args),
        [request.resolved(suite, target, system) for target in _targets(suite, args)],
        neighbours=len(args.target) == 1,
    )
    rule = StoppingRule(rounds=args.rounds or ROUNDS, budget_s=args.budget)
    lines = request.describe(requested, rule)
    if args.dry_run:
        output.show_plan(lines, request.expected_s(requested, rule), as_json=args.json)
        return EXIT_OK
    cli.say(lines)
    result = runner.measure(requested, rule, campaign_options.options(args), system)
    answer = comparison_page.answer(result.judged)
    document = documents.compared(answer, request.title(requested), result.paired, result.judged)
    output.show(request.page(suite, requested, result), document, as_json=args.json)
    runner.require_whole(requested, result)
    return EXIT_OK


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("compare", "Measure releases in interleaved rounds on this machine, and report what changed.")
    parser.add_argument(
        "target", nargs="+", metavar="RELEASE|PATH|git+URL",
        help="the baseline first; FIRST..LAST stands for both and all releases between, "
        "each compared with the one before; see docs/candidates.md",
    )  # fmt: skip
    parser.add_argument(
        "--aa", action="store_true", help="compare one release with itself, which shows the noise floor of this machine"
    )
    campaign_options.add_options(parser, at_once=True)
    return parser.parse_args(argv)


def _targets(suite: Suite, args: argparse.Namespace) -> list[str]:
    """The releases and candidates, ranges expanded; UsageError when there is nothing to compare."""
    targets = [target for text in args.target for target in request.expanded(suite, text)]
    if args.aa and len(targets) != 1:
        raise UsageError(
            "--aa takes one release, and compares it with itself",
            then=f"nox -s compare -- {shlex.quote(targets[0])} --aa",
        )
    if not args.aa and len(targets) == 1:
        candidates.require_exists(suite, targets[0])
        newest = suite.newest_but(targets[0])
        raise UsageError(
            f"nothing to compare {targets[0]} with: name two releases, or one with --aa",
            then=f"nox -s compare -- {shlex.quote(targets[0])} {newest}",
        )
    return targets * 2 if args.aa else targets
