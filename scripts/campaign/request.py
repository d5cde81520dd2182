"""From the command line to a campaign: releases and candidates resolved, and what all of them can serve."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.campaign.runner import CampaignResult
from scripts.campaign.stopping_rule import StoppingRule
from scripts.config import flows, plan, python_label
from scripts.config.errors import NotComparableError, NothingMeasuredError, UsageError
from scripts.config.flows import Flow
from scripts.config.load_profiles import COMPARE, DUET, EXPLAIN, Profile
from scripts.config.matrix import Engine, Release, Suite
from scripts.config.plan import Plan, Target
from scripts.environments import candidates, locks, virtualenvs
from scripts.environments.candidates import Arm
from scripts.environments.locks import Lock
from scripts.host.process import System
from scripts.inference import python_changes, release_history
from scripts.measure.round_plan import Campaign, CampaignScenario
from scripts.report.pages import comparison_page, python_page
from scripts.report.tables.formatting import listed


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The engines, flows, profile and Python to compare with."""

    engines: tuple[str, ...] = ()  # none: all
    flows: tuple[str, ...] = ()  # names or directories; none: those of the engines' scenarios
    profile: str = COMPARE
    python: str | None = None  # None: that of the tables


def expanded(suite: Suite, text: str) -> list[str]:
    """The releases that FIRST..LAST stands for, in order; the text itself when it is no range."""
    if ".." not in text or "/" in text or Path(text).exists():  # a release, a path or an address
        return [text]
    first, last = text.split("..", 1)
    versions = [release.version for release in suite.releases]
    if not first or not last or last.startswith("."):
        raise UsageError(
            f"{text} is not a range FIRST..LAST",
            then=f"repeat this command with {first or versions[0]}..{last.lstrip('.') or versions[-1]}",
        )
    first, last = (suite.release(end).version for end in (first, last))
    if versions.index(first) > versions.index(last):
        raise UsageError(
            f"{text} is a range whose first release is newer than its last",
            then=f"repeat this command with {last}..{first}",
        )
    return versions[versions.index(first) : versions.index(last) + 1]


def resolved(suite: Suite, target: str, system: System) -> Arm:
    """What was typed, as something that can be measured."""
    return candidates.resolve(suite, target, uv=virtualenvs.find_uv(), system=system)


def planned(suite: Suite, wanted: Selection, arms: Sequence[Arm], *, neighbours: bool = False) -> Campaign:
    """The requested campaign; UsageError when its parts do not go together.

    `neighbours`: where two arms are loaded at once, each with the one before it, and the last with the first. Else
    each is loaded with the first. Arms of which the Python is compared share rounds with those of their release alone.
    """
    scenarios = _scenarios(suite, wanted.engines, wanted.flows, arms)
    python = wanted.python or suite.python
    for arm in arms:
        plan.served_by(suite, arm.release, arm.python or python, "repeat this command with")
    profile = _profile(suite, wanted.profile, arms)
    return Campaign(
        arms=tuple(arms),
        scenarios=tuple(scenarios),
        profile=profile,
        python=python,
        counting=suite.counting(wanted.profile),
        groups=_groups(arms, profile.at_once, neighbours=neighbours),
    )


def _groups(arms: Sequence[Arm], at_once: int, *, neighbours: bool) -> tuple[tuple[int, ...], ...]:
    """Which arms share their rounds; none: all do."""
    if not any(arm.python for arm in arms):
        return _pairs(arms, neighbours=neighbours) if at_once > 1 else ()
    by_release: dict[str, list[int]] = {}
    for place, arm in enumerate(arms):
        by_release.setdefault(_release(arm), []).append(place)
    groups = by_release.values()
    if at_once == 1:
        return tuple(map(tuple, groups))
    return tuple((first, other) for first, *others in groups for other in others)


def _release(arm: Arm) -> str:
    """Its label without the Python that is compared."""
    return python_label.without_python(arm.release.version, arm.python or "")


def _pairs(arms: Sequence[Arm], *, neighbours: bool) -> tuple[tuple[int, int], ...]:
    """Which arms are loaded at once, each pair of releases once."""
    last = len(arms) - 1
    pairs = (
        [*itertools.pairwise(range(last + 1)), (0, last)] if neighbours else [(0, arm) for arm in range(1, last + 1)]
    )
    once = {
        (arms[first].release.version, arms[second].release.version): (first, second) for first, second in pairs[::-1]
    }
    return tuple(sorted(once.values(), key=pairs.index))


def session(
    suite: Suite, wanted: Selection, release: str | None, names: Sequence[str], system: System, *, rounds: int = 1
) -> tuple[Plan, dict[str, Lock]]:
    """The runs of one target, or of all that was named on the engines and with the flows that it serves; their locks.

    `release`: of the target, whose engine is the only one of `wanted`; without it, `names` are what is measured.
    """
    if release is not None:
        (engine,) = wanted.engines
        chosen = plan.make(
            suite, release=release, engine=engine, flow_names=wanted.flows, profile=wanted.profile,
            python=wanted.python, rounds=rounds,
        )  # fmt: skip
        return chosen, {release: locks.read(locks.of_release(suite, suite.release(release)))}
    arms = [resolved(suite, one, system) for text in names for one in expanded(suite, text)]
    targets = [
        Target(release=arm.release, engine=scenario.engine, flow=scenario.flow, version=arm.version)
        for arm in {arm.release.version: arm for arm in arms}.values()
        for scenario in planned(suite, wanted, [arm]).scenarios
    ]
    chosen = plan.of_targets(suite, targets, profile=wanted.profile, python=wanted.python, rounds=rounds)
    return chosen, {arm.release.version: arm.lock for arm in arms}


def require_sequential(requested: Campaign) -> None:
    """UsageError under a profile that loads two arms at once, where all arms have to be of the same rounds."""
    if requested.groups:
        raise UsageError(
            f"profile {requested.profile.name} loads two releases at the same time, and here each round has three",
            then=f"repeat this command with --profile {COMPARE}",
        )


def _profile(suite: Suite, name: str, arms: Sequence[Arm]) -> Profile:
    """The load profile, which every arm must be able to serve alike."""
    first, *others = ((arm.release.version, suite.load(arm.release, name)) for arm in arms)
    for label, profile in others:
        if profile != first[1]:
            setups = [f"{load.workers} workers of {load.threads} threads" for load in (first[1], profile)]
            alike = f"{DUET if profile.at_once > 1 else COMPARE}-8x1"
            then = f"repeat this command with --profile {alike}, which all releases serve alike"
            raise NotComparableError(
                f"under profile {name}, {first[0]} serves with {setups[0]} and {label} with {setups[1]}, "
                "because a release's own server command fixes them",
                then="repeat this command with two releases up to 1.9.0, or two later ones"
                if name == EXPLAIN
                else then,
            )
    return first[1]


def _scenarios(
    suite: Suite, engine_names: Sequence[str], flow_names: Sequence[str], arms: Sequence[Arm]
) -> list[CampaignScenario]:
    """What all arms can serve of the engines and flows; UsageError when that leaves out one that was named."""
    engines = [suite.engine(name) for name in dict.fromkeys(engine_names)] or list(suite.engines)
    by_name = {flow.name: flow for flow in flows.find_all(flow_names)}
    scenarios = [
        CampaignScenario(engine=engine, flow=flow)
        for engine in engines
        for flow in by_name.values() or [flows.find(row.flow) for row in suite.scenarios if row.engine == engine.name]
        if all(serves(suite, arm.release, engine, flow) for arm in arms)
    ]
    labels = ", ".join(arm.release.version for arm in arms)
    served = {scenario.engine.name for scenario in scenarios} | {scenario.flow.name for scenario in scenarios}
    left_out = [name for name in (*engine_names, *by_name) if name not in served]
    if left_out:
        raise UsageError(
            f"{', '.join(left_out)} cannot be served by all of {labels}",
            then="repeat this command with other releases, --engine or --flow",
        )
    if not scenarios:
        raise NothingMeasuredError(
            f"no flow can be served by all of {labels}",
            then="repeat this command with other releases, or with --engine and --flow",
        )
    return scenarios


def serves(suite: Suite, release: Release, engine: Engine, wanted: Flow) -> bool:
    """Whether the release has the engine, and is not known to fail on the flow; of other flows nothing is known."""
    can_serve = not wanted.of_suite or suite.why_unsupported(release, wanted.name) is None
    return can_serve and suite.has_engine(release, engine)


def describe(requested: Campaign, rule: StoppingRule) -> str:
    """The plan and its time; UsageError when the budget is too short for it."""
    rule.require_time(requested)
    lines = [f"arm {number}: {arm.about}" for number, arm in enumerate(requested.arms, 1)]
    how = "at once" if requested.profile.at_once > 1 else "in turn"
    lines += [f"{how}: {listed([f'arm {arm + 1}' for arm in group])}" for group in requested.groups]
    lines += [f"scenario: {scenario.name}, profile {requested.profile.name}" for scenario in requested.scenarios]
    share = requested.load_s / requested.round_s
    lines.append(f"a round of one scenario: about {requested.round_s:.0f} s, of which {share:.0%} is load")
    if rule.budget_s is not None:
        return "\n".join([*lines, f"time: at most {rule.budget_s / 60:.1f} minutes"])
    return "\n".join([*lines, f"time: {rule.rounds} rounds, about {expected_s(requested, rule) / 60:.1f} minutes"])


def expected_s(requested: Campaign, rule: StoppingRule) -> float:
    """Estimated wall time of all rounds; of a budget the most."""
    return rule.budget_s or requested.round_s * rule.rounds * len(requested.scenarios)


def title(requested: Campaign) -> str:
    """What is compared with what."""
    if requested.arms[0].python:
        return _title_of_pythons(requested.arms)
    first, *others = (arm.about for arm in requested.arms)
    if len(requested.groups) > 1 and requested.groups[-1][0] != requested.groups[-2][0]:
        return f"{first} to {others[-1]}: each release against the one before, and the last against the first"
    return f"{', '.join(others)} against {first}"


def _title_of_pythons(arms: Sequence[Arm]) -> str:
    """E.g. "promptflow 1.12.0, promptflow 1.18.5: Python 3.10, 3.12 against 3.11"."""
    releases = dict.fromkeys(arm.about.removesuffix(f" on Python {arm.python}") for arm in arms)
    first, *others = dict.fromkeys(arm.python or "" for arm in arms)
    return f"{', '.join(releases)}: Python {', '.join(others)} against {first}"


def page(suite: Suite, requested: Campaign, result: CampaignResult) -> str:
    """What was measured, as Markdown; of releases in a row with their drift, of Pythons with all in one table."""
    whole = [one for one in result.paired if one.rounds]
    histories = [
        *(release_history.history(one, result.floors, suite) for one in release_history.newest(whole, suite).values()),
        *release_history.of_pairs(whole, result.floors, suite),
    ]
    pythons = python_changes.find(result.paired, result.floors, suite)
    return comparison_page.render(
        result.paired, result.judged, title=title(requested), histories=histories,
        pythons=python_page.table(suite, pythons) if pythons else None,
    ).decode()  # fmt: skip
