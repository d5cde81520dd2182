"""Self-test: `nox -s self-test` shows what comparisons catch, and how often they give a false positive.

Compares a release with known slowdowns of itself, and with itself, by the code that `compare` and `gate` use. Writes
results/self-test.md. Resumable: a run that is recorded is not measured again. `--from-records` measures nothing.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace

from scripts.analysis.metrics import METRICS
from scripts.campaign import request, runner
from scripts.campaign.runner import CampaignResult
from scripts.campaign.stopping_rule import StoppingRule
from scripts.commands import campaign_options, cli, output
from scripts.config import matrix_file
from scripts.config.errors import EXIT_OK, UsageError
from scripts.config.matrix import Suite
from scripts.config.plan import MAX_ROUNDS
from scripts.config.whole_files import write_whole
from scripts.environments.candidates import Arm
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.host.progress import Progress
from scripts.inference import noise, power
from scripts.inference.comparison import ArmComparison
from scripts.inference.noise import Noise
from scripts.inference.one_sided import ERROR
from scripts.inference.power import Errors
from scripts.measure import session
from scripts.measure.round_plan import Campaign
from scripts.report import documents
from scripts.report.pages import self_test_page
from scripts.report.pages.self_test_page import GatePower, InjectedSlowdown
from scripts.report.tables.formatting import joined
from scripts.selftest import gate_simulation, recorded, simulation, slowdowns
from scripts.selftest.slowdowns import SLOWDOWNS, Slowdown

RELEASE, ENGINE, FLOW = "1.12.0", "fastapi", "static_async"
ROUNDS, AA_COMPARISONS = 8, 20
_POWER = 0.9  # of the gate whose smallest visible slowdown the page names


def main(argv: list[str]) -> int:
    """Measure what is missing, or read what is recorded, and write the page."""
    args = _arguments(argv)
    terminate_as_exception()
    suite, system = matrix_file.load(), RealSystem()
    baseline = request.resolved(suite, RELEASE, system)
    args.engine, args.flow = [ENGINE], [FLOW]
    is_aa = request.planned(suite, campaign_options.selection(args), [baseline, baseline])
    _require_sequential(is_aa)
    if args.from_records:
        found = recorded.read(args.results, profile=args.profile, release=RELEASE, engine=ENGINE, flow=FLOW)
        for one in found.left_out:
            cli.say(f"left out: {one}")
        return _write(args, found.slowed, found.aa_comparisons, is_aa.round_s)
    rule = StoppingRule(rounds=args.rounds, afresh=False)
    slower = [replace(baseline, about=f"{baseline.about} with {slowdown.name}") for slowdown in SLOWDOWNS]
    planned = request.planned(suite, campaign_options.selection(args), [baseline, *slower])  # nothing is built
    expected_s = request.expected_s(planned, rule) + args.aa_comparisons * request.expected_s(is_aa, rule)
    lines = "\n".join([
        request.describe(planned, rule), f"and {args.aa_comparisons} times:", request.describe(is_aa, rule),
        f"in all: about {expected_s / 3600:.1f} hours, less what is recorded already",
    ])  # fmt: skip
    if args.dry_run:
        output.show_plan(lines, expected_s, as_json=args.json)
        return EXIT_OK
    cli.say(lines)
    injected = _injected(suite, baseline, system)
    slowed = request.planned(suite, campaign_options.selection(args), [baseline, *injected.values()])
    options = campaign_options.options(args)
    caught = _measured(slowed, rule, options, system)
    again = []
    for number in range(args.aa_comparisons):
        cli.say(f"A/A comparison {number + 1} of {args.aa_comparisons}")
        again.append(_measured(replace(is_aa, again=number), rule, options, system))
    slowdown_of = {injected[slowdown.name].release.version: slowdown for slowdown in SLOWDOWNS}
    return _write(
        args,
        [(slowdown, one) for one in caught.judged if (slowdown := slowdown_of.get(one.paired.label(one.arm)))],
        [one for measured in again for one in measured.judged],
        is_aa.round_s,
    )


def _require_sequential(requested: Campaign) -> None:
    """UsageError under a profile that loads two releases at once, whose trials are those of a gate."""
    if requested.groups:
        raise UsageError(
            f"profile {requested.profile.name} loads two releases at the same time, and the self-test loads one after "
            "the other",
            then="nox -s gate-trials, which injects slowdowns into one of two releases that are loaded at once",
        )


def _write(
    args: argparse.Namespace,
    slowed: Sequence[tuple[Slowdown, ArmComparison]],
    aa_comparisons: Sequence[ArmComparison],
    round_s: float,
) -> int:
    """Write the page, and print it."""
    measured = noise.measured_noise(aa_comparisons)
    injected = [
        InjectedSlowdown(name=slowdown.name, what=slowdown.what, metric=slowdown.metric, judged=one)
        for slowdown, one in slowed
    ]
    page = self_test_page.render(
        injected,
        aa_comparisons,
        gate=_gate(measured) if measured else None,
        round_s=round_s,
        simulated=joined("\n", [gate_simulation.tables(), simulation.tables(measured=[measured] if measured else [])]),
    )
    write_whole(args.results / "self-test.md", page)
    document = documents.self_tested(self_test_page.answer(injected, aa_comparisons), injected, aa_comparisons)
    output.show(page.decode(), document, as_json=args.json)
    return EXIT_OK


def _gate(measured: Noise) -> GatePower:
    threshold = next(metric.minimum_effect or 0.0 for metric in METRICS if metric.name == "cpu_per_request_ms")
    deviation = measured.residual * math.sqrt(2)  # of the log ratio of two runs
    errors = Errors(to_pass=ERROR, to_fail=ERROR)
    found = {
        rounds: power.visible(deviation, rounds, math.log1p(threshold), errors, _POWER)
        for rounds in simulation.ONE_LOOK
    }
    detectable = {rounds: math.expm1(change) for rounds, change in found.items() if change is not None}
    return GatePower(noise=measured, power=_POWER, threshold=threshold, detectable=detectable)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser(
        "self_test", "Show by injected slowdowns and A/A comparisons how far the verdicts can be trusted."
    )
    parser.add_argument(
        "--rounds",
        type=campaign_options.rounds,
        default=ROUNDS,
        metavar="N",
        help=f"of each comparison (default: {ROUNDS})",
    )
    parser.add_argument(
        "--aa-comparisons",
        type=int,
        default=AA_COMPARISONS,
        metavar="N",
        help=f"A/A comparisons (default: {AA_COMPARISONS})",
    )
    parser.add_argument(
        "--from-records", action="store_true", help="measure nothing; write the page from all recorded rounds"
    )
    cli.add_campaign_options(parser)
    args = parser.parse_args(argv)
    if not 0 <= args.aa_comparisons <= MAX_ROUNDS:
        parser.error(f"--aa-comparisons {args.aa_comparisons}: from 0 to {MAX_ROUNDS}")
    if args.from_records and args.dry_run:
        parser.error("--from-records measures nothing, so there is no plan to print: leave out --dry-run")
    return args


def _injected(suite: Suite, baseline: Arm, system: System) -> dict[str, Arm]:
    """By name of the slowdown, a candidate like any other: a directory of wheels, made of the release's virtualenv."""
    with Progress(system.monotonic) as progress:
        prepared = session.install(RELEASE, baseline.lock, suite.python, system, progress)
    site_packages, into = prepared.environment.site_packages, session.SCRATCH / "slowdowns"
    return {
        slowdown.name: request.resolved(suite, str(slowdowns.build(slowdown, site_packages, into)), system)
        for slowdown in SLOWDOWNS
    }


def _measured(requested: Campaign, rule: StoppingRule, options: session.Options, system: System) -> CampaignResult:
    found = runner.measure(requested, rule, options, system)
    runner.require_whole(requested, found)
    return found
