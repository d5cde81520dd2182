"""What of the suite is not measured here yet, as data: the one answer for the verbs status and campaign.

An item is a verb with its arguments. It is one cell (a release, engine and flow under a profile), or all rounds of one
scenario of a campaign of suite.toml. What counts as measured is for existing_runs, existing_rounds and
existing_searches to say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.campaign import existing_rounds, existing_runs, existing_searches, request
from scripts.campaign.request import Selection
from scripts.config import plan
from scripts.config.load_profiles import CAPACITY, COUNT, REPORT
from scripts.config.matrix import Engine, Release, Suite, SuiteCampaign
from scripts.config.plan import RunSpec
from scripts.environments import locks
from scripts.host.process import System
from scripts.records.schema import Machine

BENCH, COMPARE = "bench", "compare"
VERBS = (BENCH, COUNT, CAPACITY, COMPARE)  # those that make it, in the order in which it is made


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """Something to make."""

    verb: str
    what: str  # as people write it, e.g. "1.12.0 fastapi static_async"
    cell: str  # the name by which a shard has it
    argv: tuple[str, ...]  # of the verb
    expected_s: float  # estimated wall time, without building virtualenvs

    @property
    def name(self) -> str:
        """As people write it; no two have the same."""
        return f"{self.verb} {self.what}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """Everything that one verb is to make."""

    verb: str
    number: int  # of items, those that are there already among them
    missing: tuple[Item, ...]

    @property
    def expected_s(self) -> float:
        """Estimated wall time of what is missing."""
        return sum(item.expected_s for item in self.missing)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Search:
    """Where it is looked for, and as of which machine."""

    suite: Suite
    results: Path
    here: Machine
    system: System


def find(
    suite: Suite, results: Path, here: Machine, system: System, verbs: Collection[str] = VERBS
) -> list[Work]:  # fmt: skip
    """The work of each of the verbs."""
    found: dict[str, Callable[[_Search], Work]] = {
        BENCH: _bench, COUNT: _count, CAPACITY: _capacity, COMPARE: _compare,
    }  # fmt: skip
    search = _Search(suite=suite, results=results, here=here, system=system)
    return [found[verb](search) for verb in VERBS if verb in verbs]


def _bench(search: _Search) -> Work:
    """A run of every scenario under the published load, and of the mock API alone."""
    suite = search.suite
    runs = [*_runs(suite, REPORT), *plan.make_mock(suite, profile=REPORT, rounds=1).runs]
    missing = existing_runs.missing(suite, runs, search.results, search.here)
    return Work(verb=BENCH, number=len(runs), missing=tuple(_item(BENCH, spec, spec.expected_s) for spec in missing))


def _count(search: _Search) -> Work:
    """A count of every scenario."""
    runs = _runs(search.suite, COUNT)
    missing = existing_runs.missing(search.suite, runs, search.results, search.here)
    return Work(verb=COUNT, number=len(runs), missing=tuple(_item(COUNT, spec, spec.expected_s) for spec in missing))


def _capacity(search: _Search) -> Work:
    """A search of every scenario of the last release of each minor line."""
    suite, here = search.suite, search.here
    runs, settings = _runs(suite, CAPACITY, suite.last_of_minors), suite.capacity
    locked = {one.version: locks.read(locks.of_release(suite, one)) for one in suite.last_of_minors}
    known = existing_searches.read(search.results, settings)
    items = []
    for spec in existing_searches.missing(known, runs, locked, here, settings):
        begun = existing_searches.begin(known, spec, locked[spec.release], here, settings, resumes=True)
        items.append(_item(CAPACITY, spec, begun.usual_s(spec)))
    return Work(verb=CAPACITY, number=len(runs), missing=tuple(items))


def _compare(search: _Search) -> Work:
    """The rounds of each scenario of each campaign of suite.toml."""
    found = [one for row in search.suite.campaigns for one in _rounds(search, row)]
    return Work(verb=COMPARE, number=len(found), missing=tuple(one for one in found if one.expected_s))


def _rounds(search: _Search, row: SuiteCampaign) -> Iterator[Item]:
    """Each scenario of a campaign; one whose rounds are all there takes no time."""
    releases = f"{row.first}..{row.last}"
    arms = [
        request.resolved(search.suite, version, search.system) for version in request.expanded(search.suite, releases)
    ]
    requested = request.planned(search.suite, Selection(engines=(row.engine,), profile=row.profile), arms)
    made = existing_rounds.made(search.results, requested, search.here)
    for series in requested.series:
        flow, left = series.scenario.flow.name, max(0, row.rounds - made[series.name])
        options = ("--engine", row.engine, "--flow", flow, "--profile", row.profile, "--rounds", str(row.rounds))
        yield Item(
            verb=COMPARE,
            what=f"{releases} {row.engine} {flow} ({left} of {row.rounds} rounds)",
            cell=f"{row.profile} {row.engine} {flow}",
            argv=(releases, *options),
            expected_s=left * requested.round_s,
        )


def _runs(suite: Suite, profile: str, releases: Sequence[Release] | None = None) -> list[RunSpec]:
    """One run of each scenario of each release that serves it; of all releases by default."""

    def of(release: Release, engine: Engine) -> tuple[RunSpec, ...]:
        made = plan.make(
            suite, release=release.version, engine=engine.name, flow_names=(), profile=profile, python=None, rounds=1
        )
        return made.runs

    return [
        run
        for release, engine in suite.targets()
        if (releases is None or release in releases) and suite.scenario_flows(release, engine)
        for run in of(release, engine)
    ]


def _item(verb: str, spec: RunSpec, expected_s: float) -> Item:
    named = ("--mock",) if spec.target is None else ("--release", spec.release, "--engine", spec.engine)
    flow = () if spec.target is None else ("--flow", spec.flow)
    return Item(
        verb=verb,
        what=f"{spec.release} {spec.engine} {spec.flow}",
        cell=spec.cell,
        argv=(*named, *flow, "--missing"),
        expected_s=expected_s,
    )
