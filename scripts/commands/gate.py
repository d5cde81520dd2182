"""Gate: `nox -s gate -- --baseline 1.18.4 --candidate 1.18.5` compares two releases, and its exit code decides.

0: every metric was measured and passes. 3: nothing was measured. 5: a server does not work. 6: a metric is inconclusive
or lacks data, or runs are invalid. 7: the runs are not comparable. 8: a regression.
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from scripts.campaign import request, runner
from scripts.campaign.stopping_rule import ROUNDS, StoppingRule
from scripts.commands import campaign_options, cli
from scripts.config import matrix_file
from scripts.config.errors import EXIT_OK, InvalidMeasurementError, RegressionError, UsageError
from scripts.environments.candidates import Arm
from scripts.host.process import RealSystem, terminate_as_exception
from scripts.inference import gate_decision
from scripts.inference.gate_decision import Case
from scripts.report.pages import junit
from scripts.report.tables import effect_text

BUDGET_S = 600.0  # of each flow, without --rounds and --budget


def main(argv: list[str]) -> int:
    """Compare the two, write the reports, and decide."""
    args = _arguments(argv)
    terminate_as_exception()
    wanted = gate_decision.thresholds(args.max)
    suite, system = matrix_file.load(), RealSystem()
    arms = [request.resolved(suite, target, system) for target in (args.baseline, args.candidate)]
    _require_two(arms, args.baseline)
    requested = request.planned(suite, campaign_options.selection(args), arms)
    budget_s = None if args.rounds else args.budget or BUDGET_S * len(requested.scenarios)
    rule = StoppingRule(rounds=args.rounds or ROUNDS, budget_s=budget_s, minimum_effect=wanted)
    if args.dry_run:
        print(request.describe(requested, rule))
        return EXIT_OK
    result = runner.measure(requested, rule, campaign_options.options(args), system)
    page = request.page(requested, result)
    print(page)
    _write_summary(page)
    runner.require_whole(requested, result)  # before JUnit XML, which could not say that a flow is missing
    cases = gate_decision.decide(result.judged, wanted)
    if args.junit is not None:
        args.junit.write_bytes(junit.render(cases, result.took_s))
    return verdict(cases)


def _require_two(arms: Sequence[Arm], baseline: str) -> None:
    """UsageError when both are one and the same, which would pass whatever it is."""
    if len({arm.release.version for arm in arms}) == 1:
        raise UsageError(
            f"baseline and candidate are both {arms[0].about}, so every difference is noise, and no pass",
            then=f"to see that noise: nox -s compare -- {shlex.quote(baseline)} --aa",
        )


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("gate", "Compare a candidate with a baseline; the exit code says whether it may pass.")
    parser.add_argument(
        "--baseline", required=True, metavar="RELEASE|PATH|git+URL", help="what the candidate is compared with"
    )
    parser.add_argument(
        "--candidate",
        required=True,
        metavar="RELEASE|PATH|git+URL",
        help="the release or candidate to judge; see docs/candidates.md",
    )
    parser.add_argument(
        "--max", action="append", default=[], metavar="METRIC=+N%",
        help="judge this metric, and let it pass when it is worse by at most N %%; repeatable "
        "(default: judge every compared metric by its own threshold, see docs/comparing.md)",
    )  # fmt: skip
    parser.add_argument("--junit", type=Path, metavar="FILE", help="also write JUnit XML")
    campaign_options.add_options(parser, f"a budget of {BUDGET_S / 60:.0f}m for each flow", at_once=True)
    args = parser.parse_args(argv)
    if args.junit is not None and not args.junit.parent.is_dir():
        parser.error(f"--junit {args.junit}: there is no such directory")
    if args.junit is not None and args.junit.is_dir():
        parser.error(f"--junit {args.junit}: this is a directory; name a file")
    return args


def _write_summary(page: str) -> None:
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(page)


def verdict(cases: Sequence[Case]) -> int:
    """0 when every case passes; else the error of the worst: a regression, then what is inconclusive or lacks data."""
    listed = {
        decision: [
            f"  - {case.where}: {case.effect.metric.words} {effect_text.reason(case.effect)}"
            for case in cases
            if case.decision == decision
        ]
        for decision in ("regression", "undecided", "no data")
    }
    if listed["regression"]:
        raise RegressionError(
            f"{len(listed['regression'])} regression(s):\n" + "\n".join(listed["regression"]),
            then="nox -s attribute -- --help: it separates promptflow's effect from its dependencies'",
        )
    unknown = listed["no data"] + listed["undecided"]
    if unknown or not cases:
        needed = max((case.effect.rounds_needed or 0 for case in cases), default=0)
        raise InvalidMeasurementError(
            f"{len(unknown)} metric(s) are inconclusive or lack data, so this is no pass:\n" + "\n".join(unknown),
            then=f"repeat this command, without --budget and with --rounds {needed}: it goes on where it ended"
            if needed
            else "repeat this command with --keep-logs, then read the logs",
        )
    return EXIT_OK
