"""Compare: `python -m scripts compare 1.12.0 1.18.5` measures releases in interleaved rounds and says what changed."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence

from scripts.campaign import runner
from scripts.campaign.runner import ROUNDS, Bounds, Measured
from scripts.commands import cli
from scripts.config import flows, matrix
from scripts.config.errors import EXIT_OK, NotComparableError, NothingMeasuredError, UsageError
from scripts.config.flows import Flow
from scripts.config.load_profiles import Profile
from scripts.config.matrix import Release, Suite
from scripts.config.plan import MAX_ROUNDS
from scripts.environments import candidates, virtualenvs
from scripts.environments.candidates import Arm
from scripts.host.process import RealSystem, System, terminate_as_exception
from scripts.inference import intervals
from scripts.inference.comparison import LEVEL
from scripts.measure import session
from scripts.measure.round_plan import Campaign, Scenario
from scripts.report.pages import comparison_page

_TIME = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def main(argv: list[str]) -> int:
    """Measure what is asked for, and print the comparison."""
    args = _arguments(argv)
    terminate_as_exception()
    suite, system = matrix.load(), RealSystem()
    asked = planned(suite, args, [resolved(suite, target, system) for target in _targets(suite, args)])
    bounds = Bounds(rounds=args.rounds or ROUNDS, budget_s=args.budget)
    if args.dry_run:
        print(describe(asked, bounds))
        return EXIT_OK
    found = runner.measure(asked, bounds, options(args), system)
    print(page(asked, found))
    runner.require_whole(asked, found)
    return EXIT_OK


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("compare", "Measure releases in interleaved rounds on this machine, and say what changed.")
    parser.add_argument(
        "target", nargs="+", metavar="RELEASE|PATH|git+URL",
        help="the baseline first; FIRST..LAST stands for all releases between; see README for candidates",
    )  # fmt: skip
    parser.add_argument("--aa", action="store_true", help="one release against itself: the noise floor of this machine")
    add_options(parser)
    return parser.parse_args(argv)


def _targets(suite: Suite, args: argparse.Namespace) -> list[str]:
    """What was typed, ranges written out; UsageError when there is nothing to compare."""
    found = [target for text in args.target for target in expanded(suite, text)]
    if args.aa and len(found) != 1:
        raise UsageError("--aa takes one release, and compares it with itself", then=f"{args.target[0]} --aa")
    if not args.aa and len(found) == 1:
        raise UsageError(f"nothing to compare {found[0]} with", then="name two releases at least, or one with --aa")
    return found * 2 if args.aa else found


def expanded(suite: Suite, text: str) -> list[str]:
    """The releases that FIRST..LAST stands for, in order; the text itself when it is no range."""
    first, _, last = text.partition("..")
    versions = [release.version for release in suite.releases]
    if first not in versions or last not in versions:  # a release, or a path
        return [text]
    return versions[versions.index(first) : versions.index(last) + 1]


def add_options(parser: cli.Parser) -> None:
    """What every verb that carries out a campaign takes."""
    parser.add_argument("--engine", action="append", default=[], help="only this engine; repeatable")
    parser.add_argument("--flow", action="append", default=[], metavar="NAME|DIR", help="only this flow; repeatable")
    cli.add_campaign_options(parser)
    ends = parser.add_mutually_exclusive_group()
    ends.add_argument("--rounds", type=rounds, metavar="N", help=f"so many rounds of each flow (default: {ROUNDS})")
    ends.add_argument(
        "--budget", type=_time, metavar="10m", help="stop when every verdict is in, or after this time at the latest"
    )


def options(args: argparse.Namespace) -> session.Options:
    """How the session is carried out."""
    return session.Options(results=args.results.resolve(), keep_logs=args.keep_logs)


def rounds(text: str) -> int:
    """A number of rounds, as a command line takes it."""
    least = intervals.least_rounds(LEVEL)
    if not text.isdecimal() or not least <= int(text) <= MAX_ROUNDS:
        raise argparse.ArgumentTypeError(
            f"{text} is not a number of rounds from {least}, the fewest that can tell, to {MAX_ROUNDS}"
        )
    return int(text)


def _time(text: str) -> float:
    found = _TIME.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 10m or 1h")
    return float(found[1]) * _SECONDS[found[2]]


def resolved(suite: Suite, target: str, system: System) -> Arm:
    """What was typed, as something that can be measured."""
    return candidates.resolve(suite, target, uv=virtualenvs.find_uv(), system=system)


def planned(suite: Suite, args: argparse.Namespace, arms: Sequence[Arm]) -> Campaign:
    """The campaign that was asked for; UsageError when its parts do not go together."""
    scenarios = _scenarios(suite, args.engine, args.flow, arms)
    python = args.python or suite.python
    for arm in arms:
        covered = suite.line(arm.release).pythons
        if python not in covered:
            raise UsageError(
                f"the lock of {arm.release.version} does not cover Python {python}",
                then=f"--python with one of {', '.join(covered)}",
            )
    profile = _profile(suite, args.profile, arms)
    return Campaign(arms=tuple(arms), scenarios=tuple(scenarios), profile=profile, python=python)


def _profile(suite: Suite, name: str, arms: Sequence[Arm]) -> Profile:
    """The load profile, which every arm must be able to serve alike."""
    first, *others = ((arm.release.version, suite.load(arm.release, name)) for arm in arms)
    for label, profile in others:
        if profile != first[1]:
            told = [f"{load.workers} workers of {load.threads} threads" for load in (first[1], profile)]
            raise NotComparableError(
                f"under profile {name}, {first[0]} serves with {told[0]} and {label} with {told[1]}, "
                "because a release's own server command fixes them",
                then="--profile compare-8x1, with which all releases serve alike",
            )
    return first[1]


def _scenarios(
    suite: Suite, engine_names: Sequence[str], flow_names: Sequence[str], arms: Sequence[Arm]
) -> list[Scenario]:
    """What all arms can serve of the engines and flows; what was asked for by name must be among it."""
    engines = [suite.engine(name) for name in dict.fromkeys(engine_names)] or list(suite.engines)
    named = [flows.find(name) for name in flow_names]
    by_name = {one.name: one for one in named}
    if any(by_name[one.name].path != one.path for one in named):
        raise UsageError("two flow directories have the same name", then="rename one of them")
    scenarios = [
        Scenario(engine=engine, flow=one)
        for engine in engines
        for one in by_name.values() or [flows.find(one.flow) for one in suite.scenarios if one.engine == engine.name]
        if all(serves(suite, arm.release, engine, one) for arm in arms)
    ]
    labels = ", ".join(arm.release.version for arm in arms)
    served = {one.engine.name for one in scenarios} | {one.flow.name for one in scenarios}
    left_out = [name for name in (*engine_names, *by_name) if name not in served]
    if left_out:
        raise UsageError(
            f"{', '.join(left_out)} cannot be served by all of {labels}", then="choose other releases, engines or flows"
        )
    if not scenarios:
        raise NothingMeasuredError(
            f"no flow can be served by all of {labels}", then="choose other releases, or name --engine and --flow"
        )
    return scenarios


def serves(suite: Suite, release: Release, engine: matrix.Engine, wanted: Flow) -> bool:
    """Whether it has the engine, and is known to serve the flow; of somebody's own flow nothing is known."""
    can_serve = wanted.path.parent != flows.FLOWS or suite.hole(release, wanted.name) is None
    return can_serve and suite.has_engine(release, engine)


def describe(asked: Campaign, bounds: Bounds) -> str:
    """The plan, for people."""
    lines = [f"arm {number}: {arm.about}" for number, arm in enumerate(asked.arms, 1)]
    lines += [f"scenario: {one.name}, profile {asked.profile.name}" for one in asked.scenarios]
    share = asked.profile.run_time_s * len(asked.arms) / asked.round_s
    lines.append(f"a round of one scenario: about {asked.round_s:.0f} s, of which {share:.0%} is load")
    if bounds.budget_s is not None:
        return "\n".join([*lines, f"time: at most {bounds.budget_s / 60:.1f} minutes"])
    total_s = asked.round_s * bounds.rounds * len(asked.scenarios)
    return "\n".join([*lines, f"time: {bounds.rounds} rounds, about {total_s / 60:.1f} minutes"])


def page(asked: Campaign, found: Measured) -> str:
    """What was measured, as Markdown."""
    first, *others = (arm.about for arm in asked.arms)
    title = f"{', '.join(others)} against {first}"
    return comparison_page.render(found.series, found.judged, title=title).decode()
