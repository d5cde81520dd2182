"""Compare: `nox -s compare -- 1.12.0 1.18.5` measures releases in interleaved rounds and reports what changed."""

from __future__ import annotations

import argparse
import shlex

from scripts.campaign import python_arms, request, runner
from scripts.campaign.python_arms import PythonArms
from scripts.campaign.stopping_rule import ROUNDS, StoppingRule
from scripts.commands import campaign_options, cli, output
from scripts.config import matrix_file
from scripts.config.errors import EXIT_OK, SuiteError, UsageError
from scripts.config.matrix import Suite
from scripts.environments import candidates, virtualenvs
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.report import documents
from scripts.report.pages import comparison_page


def main(argv: list[str]) -> int:
    """Measure the releases, and print the comparison."""
    args = _arguments(argv)
    terminate_as_exception()
    suite, system = matrix_file.load(), RealSystem()
    chosen = _arms(suite, args, system)
    requested = request.planned(suite, campaign_options.selection(args), chosen.arms, neighbours=len(args.target) == 1)
    rule = StoppingRule(rounds=args.rounds or ROUNDS, budget_s=args.budget)
    left_out = [f"left out: {why.message}" for why in chosen.left_out]
    lines = "\n".join([request.describe(requested, rule), *left_out])
    if args.dry_run:
        output.show_plan(lines, request.expected_s(requested, rule), as_json=args.json)
        chosen.require_all()
        return EXIT_OK
    cli.say(lines)
    result = runner.measure(requested, rule, campaign_options.options(args), system)
    answer = comparison_page.answer(result.judged)
    document = documents.compared(answer, request.title(requested), result.paired, result.judged)
    output.show(request.page(suite, requested, result), document, as_json=args.json)
    runner.require_whole(requested, result)
    chosen.require_all()
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
    campaign_options.add_options(parser, at_once=True, several_pythons=True)
    args = parser.parse_args(argv)
    args.pythons = list(dict.fromkeys(args.pythons))
    args.python = args.pythons[0] if len(args.pythons) == 1 else None
    return args


def _arms(suite: Suite, args: argparse.Namespace, system: System) -> PythonArms:
    """The releases and candidates; with several Pythons, each on all of them."""
    arms = [request.resolved(suite, target, system) for target in _targets(suite, args)]
    if len(args.pythons) <= 1:
        return PythonArms(arms=tuple(arms))
    uv = virtualenvs.find_uv()

    def missing(python: str) -> SuiteError | None:
        elsewhere = args.cluster is not None  # workers say themselves what they lack
        return None if elsewhere else virtualenvs.missing_python(python, uv=uv, system=system)

    return python_arms.of(suite, arms, args.pythons, missing)


def _targets(suite: Suite, args: argparse.Namespace) -> list[str]:
    """The releases and candidates, ranges expanded; UsageError when there is nothing to compare."""
    targets = [target for text in args.target for target in request.expanded(suite, text)]
    if args.aa and len(targets) != 1:
        raise UsageError(
            "--aa takes one release, and compares it with itself",
            then=f"nox -s compare -- {shlex.quote(targets[0])} --aa",
        )
    if args.aa and len(args.pythons) > 1:
        raise UsageError(
            f"--aa compares a release with itself on one Python, and {len(args.pythons)} are named",
            then=f"nox -s compare -- {shlex.quote(targets[0])} --aa --python {args.pythons[0]}",
        )
    if not args.aa and len(targets) == 1 and len(args.pythons) <= 1:
        candidates.require_exists(suite, targets[0])
        newest = suite.newest_but(targets[0])
        raise UsageError(
            f"nothing to compare {targets[0]} with: name two releases, or one with --aa",
            then=f"nox -s compare -- {shlex.quote(targets[0])} {newest}",
        )
    return targets * 2 if args.aa else targets
