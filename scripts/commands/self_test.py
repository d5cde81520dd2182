"""Self-test: `python -m scripts self-test` shows what a comparison catches, and how often it cries wolf.

Variants of a release with a known slowdown are compared with it, and the release with itself, by the code that
`compare` and `gate` use. Writes results/self-test.md. Resumable: what is measured already is not measured again.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from scripts.campaign import request, runner
from scripts.campaign.runner import CampaignResult
from scripts.campaign.stopping_rule import StoppingRule
from scripts.commands import campaign_options, cli
from scripts.config import matrix_file
from scripts.config.errors import EXIT_OK
from scripts.config.matrix import Suite
from scripts.environments.candidates import Arm
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.host.progress import Progress
from scripts.inference import noise
from scripts.measure import session
from scripts.measure.round_plan import Campaign
from scripts.report.pages import self_test_page
from scripts.report.pages.self_test_page import Injected
from scripts.selftest import simulation, slowdowns
from scripts.selftest.slowdowns import VARIANTS

RELEASE, ENGINE, FLOW = "1.12.0", "fastapi", "static_async"
ROUNDS, AA_COMPARISONS = 8, 20


def main(argv: list[str]) -> int:
    """Build the variants, measure what is missing, and write the table."""
    args = _arguments(argv)
    terminate_as_exception()
    suite, system = matrix_file.load(), RealSystem()
    baseline = request.resolved(suite, RELEASE, system)
    injected = _variants(suite, baseline, system)
    args.engine, args.flow = [ENGINE], [FLOW]
    slowed = request.planned(suite, campaign_options.selection(args), [baseline, *injected.values()])
    is_aa = request.planned(suite, campaign_options.selection(args), [baseline, baseline])
    rule = StoppingRule(rounds=args.rounds, afresh=False)
    if args.dry_run:
        print(request.describe(slowed, rule))
        print(f"and {args.aa_comparisons} times:\n{request.describe(is_aa, rule)}")
        return EXIT_OK
    options = campaign_options.options(args)
    caught = _measured(slowed, rule, options, system)
    found = [_measured(replace(is_aa, again=again), rule, options, system) for again in range(args.aa_comparisons)]
    aa_comparisons = [one for measured in found for one in measured.judged]
    measured = noise.measured_noise(aa_comparisons)
    variant_of = {injected[variant.name].release.version: variant for variant in VARIANTS}
    page = self_test_page.render(
        [
            Injected(name=variant.name, what=variant.what, metric=variant.metric, judged=one)
            for one in caught.judged
            if (variant := variant_of.get(one.paired.label(one.arm)))
        ],
        aa_comparisons,
        noise=measured,
        round_s=is_aa.round_s,
        simulated=simulation.tables(measured=[measured] if measured else []),
    )
    path: Path = args.results / "self-test.md"
    path.write_bytes(page)
    print(page.decode())
    return EXIT_OK


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
    cli.add_campaign_options(parser)
    return parser.parse_args(argv)


def _variants(suite: Suite, baseline: Arm, system: System) -> dict[str, Arm]:
    """By name, each variant as any other candidate: a directory of wheels, made of the release's virtualenv."""
    with Progress(system.monotonic) as progress:
        prepared = session.install(RELEASE, baseline.lock, suite.python, system, progress)
    site_packages, into = prepared.environment.site_packages, session.SCRATCH / "variants"
    return {
        variant.name: request.resolved(suite, str(slowdowns.build(variant, site_packages, into)), system)
        for variant in VARIANTS
    }


def _measured(requested: Campaign, rule: StoppingRule, options: session.Options, system: System) -> CampaignResult:
    found = runner.measure(requested, rule, options, system)
    runner.require_whole(requested, found)
    return found
