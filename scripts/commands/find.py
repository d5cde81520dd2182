"""Find: `nox -s find -- --metric cpu_per_request --flow static_async 1.10.0..1.18.5` bisects to a changed release.

Each stage measures three releases in interleaved rounds, as `compare` does. Its runs are recorded: the same command
goes on where it stopped.
"""

from __future__ import annotations

import argparse
import shlex

from scripts.analysis.metrics import Metric
from scripts.campaign import request, runner
from scripts.campaign.runner import CampaignResult
from scripts.campaign.stopping_rule import ROUNDS, StoppingRule
from scripts.commands import campaign_options, cli
from scripts.config import flows, matrix_file
from scripts.config.errors import EXIT_OK, InvalidMeasurementError, UsageError
from scripts.config.flows import Flow
from scripts.config.matrix import Engine, Suite
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.inference import bisection, change_points, comparison, gate_decision
from scripts.inference.bisection import Bisection
from scripts.inference.change_points import Fit
from scripts.inference.paired_rounds import PairedRounds
from scripts.measure.round_plan import Campaign
from scripts.report.pages import bisection_page

_FEWEST = 2  # releases
_ARMS = 3  # of a stage: both ends and the middle


def main(argv: list[str]) -> int:
    """Bisect, and print with which release the metric changed."""
    args = _arguments(argv)
    terminate_as_exception()
    metric = gate_decision.named_metric(args.metric, "--metric cpu_per_request")
    suite, system = matrix_file.load(), RealSystem()
    wanted = flows.find(args.flow)
    engine = _engine(suite, args, wanted)
    releases, left_out = _releases(suite, args, engine, wanted)
    args.engine, args.flow = [engine.name], [args.flow]
    if left_out:
        print(f"skipped, because they cannot serve {wanted.name} on {engine.name}: {', '.join(left_out)}")
    whole = _planned(suite, args, releases, system)  # whatever cannot be measured is refused before anything starts
    request.require_sequential(whole)
    if args.dry_run:
        print(_describe(whole, releases, args.rounds))
        return EXIT_OK
    paired: dict[tuple[str, ...], PairedRounds] = {}

    def measure(names: tuple[str, ...], rounds: int) -> tuple[Fit, float] | None:
        result = _measured(_planned(suite, args, names, system), rounds, args, system)
        paired[names] = result.paired[0]
        model = change_points.fit(paired[names], metric)
        return None if model is None else (model, comparison.floor(result.floors, paired[names], metric) or 0.0)

    return _report(suite, metric, bisection.search(metric, releases, measure, args.rounds), paired)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("find", "Find the release with which a metric changed, by bisection over interleaved rounds.")
    parser.add_argument("range", metavar="FIRST..LAST", help="the releases to search, e.g. 1.10.0..1.18.5")
    parser.add_argument(
        "--metric",
        required=True,
        metavar="NAME",
        help="what changed, e.g. cpu_per_request; docs/glossary.md lists them",
    )
    parser.add_argument("--flow", required=True, metavar="NAME|DIR", help="the flow that shows the change")
    parser.add_argument(
        "--engine", metavar="NAME", help="the engine that serves it (default: that of the flow's scenario)"
    )
    parser.add_argument(
        "--rounds", type=campaign_options.rounds, default=ROUNDS, metavar="N",
        help=f"rounds of each stage, twice as many where they are inconclusive (default: {ROUNDS})",
    )  # fmt: skip
    cli.add_campaign_options(parser)
    return parser.parse_args(argv)


def _engine(suite: Suite, args: argparse.Namespace, wanted: Flow) -> Engine:
    """What serves the flow: the named engine, else that of the flow's scenario."""
    if args.engine is not None:
        return suite.engine(args.engine)
    for scenario in suite.scenarios:
        if scenario.flow == wanted.name:
            return suite.engine(scenario.engine)
    raise UsageError(
        f"{wanted.name} is in no scenario of suite.toml, so its engine must be named",
        then=f"{_command(args, args.range)} --engine {suite.engines[0].name}",
    )


def _releases(suite: Suite, args: argparse.Namespace, engine: Engine, wanted: Flow) -> tuple[list[str], list[str]]:
    """The releases of the range that serve the flow, in order, and those that do not; UsageError for less than two."""
    in_range = request.expanded(suite, args.range)
    everything = _command(args, f"{suite.releases[0].version}..{suite.releases[-1].version}")
    if len(in_range) < _FEWEST:
        raise UsageError(f"{args.range!r} is not a range of releases such as 1.10.0..1.18.5", then=everything)
    serving = [version for version in in_range if request.serves(suite, suite.release(version), engine, wanted)]
    if len(serving) < _FEWEST:
        raise UsageError(
            f"fewer than two releases of {args.range} serve {wanted.name} on {engine.name}", then=everything
        )
    return serving, [version for version in in_range if version not in serving]


def _command(args: argparse.Namespace, releases: str) -> str:
    """The same search over these releases."""
    engine = ["--engine", args.engine] if args.engine else []
    return shlex.join(["nox", "-s", "find", "--", "--metric", args.metric, "--flow", args.flow, *engine, releases])


def _planned(suite: Suite, args: argparse.Namespace, names: tuple[str, ...] | list[str], system: System) -> Campaign:
    return request.planned(
        suite, campaign_options.selection(args), [request.resolved(suite, name, system) for name in names]
    )


def _measured(requested: Campaign, rounds: int, args: argparse.Namespace, system: System) -> CampaignResult:
    rule = StoppingRule(rounds=rounds, afresh=False)
    result = runner.measure(requested, rule, campaign_options.options(args), system)
    runner.require_whole(requested, result)
    return result


def _describe(whole: Campaign, releases: list[str], rounds: int) -> str:
    stages = bisection.stages_of(len(releases))
    arms = min(_ARMS, len(releases))
    minutes = whole.round_s / len(releases) * arms * rounds * stages / 60
    return (
        f"{len(releases)} releases from {releases[0]} to {releases[-1]}: {stages} stages of {rounds} rounds, about "
        f"{minutes:.0f} minutes, and up to twice as long where the rounds are inconclusive"
    )


def _report(suite: Suite, metric: Metric, found: Bisection | None, paired: dict[tuple[str, ...], PairedRounds]) -> int:
    """Print the page; InvalidMeasurementError when noise hides whether the metric changed."""
    if found is None:
        raise InvalidMeasurementError(
            f"a run has no value of {metric.words}, so there is nothing to bisect by",
            then="repeat this command with another --metric; docs/glossary.md lists them",
        )
    days = {release.version: release.as_of for release in suite.releases}
    print(bisection_page.render(found, paired[found.last.releases], days))
    if found.change_point is None and not found.last.within_threshold and not found.last.gradual:
        raise InvalidMeasurementError(
            f"noise hides whether {metric.words} changed",
            then=f"repeat this command with more --rounds than {found.last.model.rounds}: the runs so far are reused",
        )
    return EXIT_OK
