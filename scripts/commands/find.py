"""Find: `python -m scripts find --metric cpu_per_request --flow static_async 1.8.0..1.18.5` bisects a step.

Each stage measures three releases in interleaved rounds, as `compare` does, and its runs are kept: the same command
again goes on where it stopped.
"""

from __future__ import annotations

import argparse

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
    """Bisect, and print where the step is."""
    args = _arguments(argv)
    terminate_as_exception()
    metric = gate_decision.named_metric(args.metric, "--metric cpu_per_request")
    suite, system = matrix_file.load(), RealSystem()
    wanted = flows.find(args.flow)
    engine = _engine(suite, args.engine, wanted)
    releases, left_out = _releases(suite, args.range, engine, wanted)
    args.engine, args.flow = [engine.name], [args.flow]
    if left_out:
        print(f"left out, because they cannot serve {wanted.name} on {engine.name}: {', '.join(left_out)}")
    whole = _planned(suite, args, releases, system)  # whatever cannot be measured is told before anything is
    if args.dry_run:
        print(_describe(whole, releases, args.rounds))
        return EXIT_OK
    paired: dict[tuple[str, ...], PairedRounds] = {}

    def measure(names: tuple[str, ...], rounds: int) -> tuple[Fit, float] | None:
        found = _measured(_planned(suite, args, names, system), rounds, args, system)
        paired[names] = found.paired[0]
        model = change_points.fit(paired[names], metric)
        return None if model is None else (model, comparison.floor(found.floors, paired[names], metric) or 0.0)

    found = bisection.search(metric, releases, measure, args.rounds)
    return _told(suite, metric, found, paired)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("find", "Find the release at which a metric stepped, by interleaved comparisons.")
    parser.add_argument("range", metavar="FIRST..LAST", help="the releases to look in, e.g. 1.10.0..1.18.5")
    parser.add_argument("--metric", required=True, help="what stepped, e.g. cpu_per_request; see results/README.md")
    parser.add_argument("--flow", required=True, metavar="NAME|DIR", help="the flow that shows it")
    parser.add_argument("--engine", help="default: that of the flow's scenario")
    parser.add_argument(
        "--rounds", type=campaign_options.rounds, default=ROUNDS, metavar="N",
        help=f"of each stage, twice as many where they do not tell (default: {ROUNDS})",
    )  # fmt: skip
    cli.add_campaign_options(parser)
    return parser.parse_args(argv)


def _engine(suite: Suite, name: str | None, wanted: Flow) -> Engine:
    """What serves the flow: as asked for, else as its scenario says."""
    if name is not None:
        return suite.engine(name)
    for scenario in suite.scenarios:
        if scenario.flow == wanted.name:
            return suite.engine(scenario.engine)
    raise UsageError(f"{wanted.name} is in no scenario of suite.toml", then="name the engine with --engine")


def _releases(suite: Suite, text: str, engine: Engine, wanted: Flow) -> tuple[list[str], list[str]]:
    """The releases of a range that serve the flow, in order, and those that do not; UsageError for less than two."""
    chosen = request.expanded(suite, text)
    if len(chosen) < _FEWEST:
        raise UsageError(f"{text!r} is no range of releases", then="FIRST..LAST, for example 1.10.0..1.18.5")
    serving = [one for one in chosen if request.serves(suite, suite.release(one), engine, wanted)]
    if len(serving) < _FEWEST:
        raise UsageError(
            f"fewer than two releases of {text} serve {wanted.name} on {engine.name}", then="name a wider range"
        )
    return serving, [one for one in chosen if one not in serving]


def _planned(suite: Suite, args: argparse.Namespace, names: tuple[str, ...] | list[str], system: System) -> Campaign:
    return request.planned(
        suite, campaign_options.selection(args), [request.resolved(suite, name, system) for name in names]
    )


def _measured(requested: Campaign, rounds: int, args: argparse.Namespace, system: System) -> CampaignResult:
    found = runner.measure(requested, StoppingRule(rounds=rounds, afresh=False), campaign_options.options(args), system)
    runner.require_whole(requested, found)
    return found


def _describe(whole: Campaign, releases: list[str], rounds: int) -> str:
    stages = bisection.stages_of(len(releases))
    arms = min(_ARMS, len(releases))
    minutes = whole.round_s / len(releases) * arms * rounds * stages / 60
    return (
        f"{len(releases)} releases from {releases[0]} to {releases[-1]}: {stages} stages of {rounds} rounds, about "
        f"{minutes:.0f} minutes, and up to twice as long where the rounds do not tell"
    )


def _told(suite: Suite, metric: Metric, found: Bisection | None, paired: dict[tuple[str, ...], PairedRounds]) -> int:
    """Print the page; InvalidMeasurementError when no step could be told from noise."""
    if found is None:
        raise InvalidMeasurementError(
            f"a run does not tell {metric.words}, so there is nothing to bisect by",
            then="another --metric; results/README.md has a glossary",
        )
    days = {release.version: release.as_of for release in suite.releases}
    print(bisection_page.render(found, paired[found.last.releases], days))
    if found.change_point is None and not found.last.still and not found.last.drift:
        raise InvalidMeasurementError(
            f"no step of {metric.words} can be told from noise, nor that there is none",
            then=f"repeat this command with more --rounds than {found.last.model.rounds}; the runs so far are kept",
        )
    return EXIT_OK
