"""The steps that bring in a new release, as people read them before anything starts: what is done, what is to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.campaign.new_release import NewRelease
from scripts.measure.round_plan import Campaign
from scripts.report.tables import markdown
from scripts.report.tables.formatting import DASH

_HEADERS = ("Step", "What", "Done", "To do (min)")
_LOCK_S, _COLLATE_S = 60.0, 60.0  # about what they take on two cores


@dataclass(frozen=True, kw_only=True, slots=True)
class _Step:
    """One row."""

    name: str
    what: str
    done: str
    to_do_s: float  # estimated wall time of the rest


def described(work: NewRelease, campaigns: Sequence[Campaign], rounds: int, *, in_suite: bool) -> str:
    """A table of all steps. `rounds`: of each pair of the campaigns; `in_suite`: the row is there."""
    release, has_lock = work.release, work.lock is not None
    before = [
        _Step(name="row", what="in suite.toml", done=_yes(there=in_suite), to_do_s=0.0),
        _Step(
            name="lock",
            what=f"locks/{release.version}.txt",
            done=_yes(there=has_lock),
            to_do_s=0.0 if has_lock else _LOCK_S,
        ),
    ]
    loads = [*_runs(work), *(_pairs(work, one, rounds) for one in campaigns)]
    steps = [*before, *loads, _Step(name="collate", what="tables, pages and charts", done=DASH, to_do_s=_COLLATE_S)]
    load_min, all_min = (sum(step.to_do_s for step in found) / 60 for found in (loads, steps))
    rows = [[step.name, step.what, step.done, f"{step.to_do_s / 60:.1f}"] for step in steps]
    return (
        f"promptflow {release.version}, uploaded on {release.uploaded}, with its dependencies as of {release.as_of}\n\n"
        f"{markdown.markdown(_HEADERS, rows, labels=2)}\n\n"
        f"load: {load_min:.0f} minutes; in all {all_min:.0f}, without building virtualenvs"
    )


def _yes(*, there: bool) -> str:
    return "yes" if there else "no"


def _runs(work: NewRelease) -> list[_Step]:
    kinds = [
        ("try", "each engine with each flow, profile serves", work.trials(), work.untried()),
        ("count", "each scenario, profile count", work.counts(), work.missing(work.counts())),
        ("measure", "each scenario, profile report", work.reports(), work.missing(work.reports())),
    ]
    return [
        _Step(
            name=name,
            what=what,
            done=f"{len(every) - len(left)} of {len(every)} runs",
            to_do_s=sum(spec.expected_s for spec in left),
        )
        for name, what, every, left in kinds
    ]


def _pairs(work: NewRelease, one: Campaign, rounds: int) -> _Step:
    done = [min(made, rounds) for made in work.made(one).values()]
    wanted = rounds * len(done)
    before = " and ".join(arm.release.version for arm in one.arms[:-1])
    return _Step(
        name="pair",
        what=f"with {before} on {one.scenarios[0].engine.title}, profile {one.profile.name}",
        done=f"{sum(done)} of {wanted} rounds",
        to_do_s=one.round_s * len(one.scenarios) / len(done) * (wanted - sum(done)),
    )
