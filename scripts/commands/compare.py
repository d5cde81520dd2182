"""Compare: `python -m scripts compare 1.12.0 1.18.5` measures releases in interleaved rounds and says what changed."""

from __future__ import annotations

import argparse

from scripts.campaign import request, runner
from scripts.campaign.stopping_rule import ROUNDS, StoppingRule
from scripts.commands import campaign_options, cli
from scripts.config import matrix_file
from scripts.config.errors import EXIT_OK, UsageError
from scripts.config.matrix import Suite
from scripts.host.process import RealSystem, terminate_as_exception


def main(argv: list[str]) -> int:
    """Measure what is asked for, and print the comparison."""
    args = _arguments(argv)
    terminate_as_exception()
    suite, system = matrix_file.load(), RealSystem()
    requested = request.planned(
        suite,
        campaign_options.selection(args),
        [request.resolved(suite, target, system) for target in _targets(suite, args)],
    )
    rule = StoppingRule(rounds=args.rounds or ROUNDS, budget_s=args.budget)
    if args.dry_run:
        print(request.describe(requested, rule))
        return EXIT_OK
    found = runner.measure(requested, rule, campaign_options.options(args), system)
    print(request.page(requested, found))
    runner.require_whole(requested, found)
    return EXIT_OK


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("compare", "Measure releases in interleaved rounds on this machine, and say what changed.")
    parser.add_argument(
        "target", nargs="+", metavar="RELEASE|PATH|git+URL",
        help="the baseline first; FIRST..LAST stands for all releases between; see README for candidates",
    )  # fmt: skip
    parser.add_argument("--aa", action="store_true", help="one release against itself: the noise floor of this machine")
    campaign_options.add_options(parser)
    return parser.parse_args(argv)


def _targets(suite: Suite, args: argparse.Namespace) -> list[str]:
    """What was typed, ranges written out; UsageError when there is nothing to compare."""
    found = [target for text in args.target for target in request.expanded(suite, text)]
    if args.aa and len(found) != 1:
        raise UsageError("--aa takes one release, and compares it with itself", then=f"{args.target[0]} --aa")
    if not args.aa and len(found) == 1:
        raise UsageError(f"nothing to compare {found[0]} with", then="name two releases at least, or one with --aa")
    return found * 2 if args.aa else found
