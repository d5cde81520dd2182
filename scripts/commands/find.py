"""Find: `nox -s find -- --metric cpu_per_request --flow static_async 1.10.0..1.18.5` bisects to a changed release.

`--repo PATH --good TAG --bad TAG` bisects to a commit of a local repository in place of a release. Each stage measures
three of them in interleaved rounds, as `compare` does. Its runs are recorded: the same command
goes on where it stopped.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.analysis.metrics import Metric
from scripts.campaign import counted_arms, request, runner, serving_trial
from scripts.campaign.commit_builds import CommitBuilds
from scripts.campaign.runner import CampaignResult
from scripts.campaign.stopping_rule import ROUNDS, StoppingRule
from scripts.commands import campaign_options, cli, output
from scripts.config import flows, matrix_file
from scripts.config.errors import EXIT_OK, InvalidMeasurementError, UsageError
from scripts.config.flows import Flow
from scripts.config.load_profiles import COMPARE, COUNT
from scripts.config.matrix import Engine, Suite
from scripts.environments import commits, virtualenvs
from scripts.environments.candidates import Arm
from scripts.environments.commits import Commit
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.inference import bisection, change_points, comparison, counted, gate_decision, intervals
from scripts.inference.bisection import Bisection
from scripts.inference.change_points import Fit
from scripts.inference.comparison import LEVEL
from scripts.inference.paired_rounds import PairedRounds
from scripts.measure.round_plan import Campaign
from scripts.report import documents
from scripts.report.pages import bisection_page
from scripts.report.tables import formatting

METRIC, FLOW = "cpu_per_request", "static_async"  # unless others are named
_FEWEST = 2  # releases
_ARMS = 3  # of a stage: both ends and the middle


def main(argv: list[str]) -> int:
    """Bisect, and print with which release the metric changed."""
    args = _arguments(argv)
    terminate_as_exception()
    metric = gate_decision.named_metric(args.metric, "--metric cpu_per_request")
    _choose_profile(args, metric)
    suite, system = matrix_file.load(), RealSystem()
    wanted = flows.find(args.flow)
    engine = _engine(suite, args, wanted)
    if args.repo is not None:
        builds = _builds(suite, args, engine, wanted, system)
        args.engine, args.flow = [engine.name], [args.flow]
        lines, expected_s = _describe_commits(suite, args, builds.commits, system)
        if args.dry_run:
            output.show_plan(lines, expected_s, as_json=args.json)
            return EXIT_OK
        cli.say(lines)
        builds.require_ends()
        ends = [builds.arm(builds.names[place]) for place in (0, -1)]
        request.planned(suite, campaign_options.selection(args), ends)  # refused before anything starts
        return _search(suite, args, metric, _Points(names=builds.names, arm=builds.arm, builds=builds), system)
    releases, left_out = _releases(suite, args, engine, wanted)
    args.engine, args.flow = [engine.name], [args.flow]
    if left_out:
        cli.say(f"skipped, because they cannot serve {wanted.name} on {engine.name}: {', '.join(left_out)}")
    points = _Points(names=releases, arm=lambda name: request.resolved(suite, name, system))
    whole = _planned(suite, args, points, releases)  # whatever cannot be measured is refused before anything starts
    request.require_sequential(whole)
    if args.dry_run:
        output.show_plan(*_describe(whole, releases, args.rounds), as_json=args.json)
        return EXIT_OK
    cli.say(_describe(whole, releases, args.rounds)[0])
    return _search(suite, args, metric, points, system)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Points:
    """What is searched: releases, or commits."""

    names: list[str]  # the oldest first
    arm: Callable[[str], Arm]
    builds: CommitBuilds | None = None  # of commits


def _search(suite: Suite, args: argparse.Namespace, metric: Metric, points: _Points, system: System) -> int:
    """Bisect, and print the page."""
    paired: dict[tuple[str, ...], PairedRounds] = {}

    def measure(names: tuple[str, ...], rounds: int) -> tuple[Fit, float] | None:
        stage = len({*paired, names})
        cli.say(f"stage {stage} of at most {bisection.stages_of(len(points.names))}: {', '.join(names)}")
        if metric.counted:
            paired[names], counts = _counted(suite, args, metric, points, names, rounds, system)
            return counts, 0.0
        result = _measured(_planned(suite, args, points, names), rounds, args, system, metric)
        paired[names] = result.paired[0]
        model = change_points.fit(paired[names], metric)
        return None if model is None else (model, comparison.floor(result.floors, paired[names], metric) or 0.0)

    identity = points.builds.label if points.builds else str
    found = bisection.search(metric, points.names, measure, args.rounds, identity)
    return _report(suite, args, metric, found, paired, points.builds)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("find", "Find the release with which a metric changed, by bisection over interleaved rounds.")
    parser.add_argument(
        "range", nargs="?", metavar="FIRST..LAST", help="the releases to search, e.g. 1.10.0..1.18.5; not with --repo"
    )
    parser.add_argument(
        "--repo", type=Path, metavar="PATH",
        help="search the commits of this checkout of promptflow's repository; each commit's own build code runs, and "
        "its dependencies are resolved",
    )  # fmt: skip
    parser.add_argument("--good", metavar="COMMIT", help="with --repo: the tag or commit before the change")
    parser.add_argument("--bad", metavar="COMMIT", help="with --repo: a tag or commit after the change")
    parser.add_argument(
        "--metric", default=METRIC, metavar="NAME",
        help=f"what changed; docs/glossary.md lists the metrics (default: {METRIC})",
    )  # fmt: skip
    parser.add_argument(
        "--flow", default=FLOW, metavar="NAME|DIR", help=f"the flow that shows the change (default: {FLOW})"
    )
    parser.add_argument(
        "--engine", metavar="NAME", help="the engine that serves it (default: that of the flow's scenario)"
    )
    parser.add_argument(
        "--rounds", type=campaign_options.number, metavar="N",
        help=f"rounds of each stage, twice as many where they are inconclusive; without it {ROUNDS}, and for a counted "
        "metric 1 process of each release",
    )  # fmt: skip
    cli.add_campaign_options(parser, profile_of_metric=True)
    args = parser.parse_args(argv)
    of_commits = [args.repo, args.good, args.bad]
    if args.range is not None and of_commits != [None] * 3:
        parser.error("name FIRST..LAST, or --repo with --good and --bad: not both")
    if args.range is None and None in of_commits:
        parser.error("name FIRST..LAST, or --repo with --good and --bad")
    return args


def _choose_profile(args: argparse.Namespace, metric: Metric) -> None:
    """The profile and the rounds that the metric needs, where they are not named; UsageError for the other kind."""
    if metric.counted:
        args.profile, args.rounds = args.profile or COUNT, args.rounds or 1
    else:
        args.profile, args.rounds = args.profile or COMPARE, args.rounds or ROUNDS
    if metric.counted != (args.profile == COUNT):
        kind = f"{'a counted' if metric.counted else 'a timed'} metric"
        raise UsageError(
            f"{metric.name} is {kind}, which profile {args.profile} does not give",
            then=f"repeat this command with --profile {COUNT if metric.counted else COMPARE}",
        )
    fewest = 1 if metric.counted else intervals.fewest_rounds(LEVEL)
    if args.rounds < fewest:
        raise UsageError(
            f"--rounds {args.rounds}: {fewest} is the fewest that allows a verdict on {metric.name}",
            then=f"repeat this command with --rounds {fewest}",
        )


def _engine(suite: Suite, args: argparse.Namespace, wanted: Flow) -> Engine:
    """What serves the flow: the named engine, else that of the flow's scenario."""
    if args.engine is not None:
        return suite.engine(args.engine)
    for scenario in suite.scenarios:
        if scenario.flow == wanted.name:
            return suite.engine(scenario.engine)
    raise UsageError(
        f"{wanted.name} is in no scenario of suite.toml, so its engine must be named",
        then=f"repeat this command with --engine {suite.engines[0].name}",
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


def _builds(suite: Suite, args: argparse.Namespace, engine: Engine, wanted: Flow, system: System) -> CommitBuilds:
    """The commits to search, of which none is built yet."""

    def require_serving(arm: Arm) -> None:
        serving_trial.require(suite, arm, engine, wanted, args.python, campaign_options.options(args), system)

    return CommitBuilds(
        suite=suite,
        repository=args.repo,
        commits=commits.between(args.repo, args.good, args.bad, system),
        uv=virtualenvs.find_uv(),
        system=system,
        say=cli.say,
        require_serving=require_serving,
    )


def _planned(suite: Suite, args: argparse.Namespace, points: _Points, names: Sequence[str]) -> Campaign:
    return request.planned(suite, campaign_options.selection(args), [points.arm(name) for name in names])


def _measured(
    requested: Campaign, rounds: int, args: argparse.Namespace, system: System, watched: Metric
) -> CampaignResult:
    rule = StoppingRule(rounds=rounds, afresh=False)
    result = runner.measure(requested, rule, campaign_options.options(args), system, watched.name)
    runner.require_whole(requested, result)
    return result


def _counted(
    suite: Suite,
    args: argparse.Namespace,
    metric: Metric,
    points: _Points,
    names: Sequence[str],
    processes: int,
    system: System,
) -> tuple[PairedRounds, Fit]:
    """The same by counts, of which recorded ones are used again; so many processes of each."""
    requested = _planned(suite, args, points, names)
    (found,) = counted_arms.measure(suite, requested, processes, campaign_options.options(args), system, metric.name)
    noise = found.known_noise
    if noise is None:
        raise InvalidMeasurementError(
            "the noise of counts is not known: no release has two counts yet",
            then="repeat this command with --rounds 2",
        )
    return found.paired, counted.fit(tuple(names), [found.values(arm) for arm in found.paired.arms], noise)


def _describe(whole: Campaign, releases: list[str], rounds: int) -> tuple[str, float]:
    """The plan, and its time in seconds."""
    stages = bisection.stages_of(len(releases))
    arms = min(_ARMS, len(releases))
    expected_s = whole.round_s / len(releases) * arms * rounds * stages
    lines = (
        f"{len(releases)} releases from {releases[0]} to {releases[-1]}: {stages} stages of {rounds} rounds, about "
        f"{expected_s / 60:.0f} minutes, and up to twice as long where the rounds are inconclusive"
    )
    return lines, expected_s


def _describe_commits(
    suite: Suite, args: argparse.Namespace, found: Sequence[Commit], system: System
) -> tuple[str, float]:
    """The commits, and the time that as many newest releases take: nothing is built."""
    newest = request.resolved(suite, suite.releases[-1].version, system)
    whole = request.planned(suite, campaign_options.selection(args), [newest] * len(found))
    lines = [f"{commit.name} {formatting.plain(commit.subject)}" for commit in found]
    time, expected_s = _describe(whole, [commit.name for commit in found], args.rounds)
    lines.append(f"{time.replace('releases', 'commits', 1)}; and the time to build up to {len(found)} commits")
    return "\n".join(lines), expected_s


def _report(
    suite: Suite,
    args: argparse.Namespace,
    metric: Metric,
    found: Bisection | None,
    paired: dict[tuple[str, ...], PairedRounds],
    builds: CommitBuilds | None,
) -> int:
    """Print the page; InvalidMeasurementError when noise hides whether the metric changed."""
    if found is None:
        raise InvalidMeasurementError(
            f"a run has no value of {metric.words}, so there is nothing to bisect by",
            then="repeat this command with another --metric; docs/glossary.md lists them",
        )
    last = paired[found.last.releases]
    if builds is None:
        page = bisection_page.render(found, last, {release.version: release.as_of for release in suite.releases})
    else:
        subjects = {commit.name: commit.subject for commit in builds.commits}
        page = bisection_page.of_commits(found, last, subjects, builds.failed, str(args.repo))
    output.show(page, documents.bisected(bisection_page.answer(found), found, last), as_json=args.json)
    if bisection_page.result(found) == "inconclusive":
        raise InvalidMeasurementError(
            f"noise hides whether {metric.words} changed",
            then=f"repeat this command with more --rounds than {found.last.model.rounds}: the runs so far are reused",
        )
    return EXIT_OK
