"""What a campaign is: its identity, and its rounds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from scripts.measure.round_plan import Campaign
from scripts.records.schema import Machine
from tests.fakes import values
from tests.fakes.stage import BASELINE, CANDIDATE, Stage

PYTHON = "3.11.9"


def identity(campaign: Campaign, machine: Machine = values.MACHINE, python: str = PYTHON) -> str:
    """Of its first scenario."""
    return campaign.identity(campaign.scenarios[0], machine, {"3.11": python, "3.12": "3.12.1"})


def test_identity_is_stable(stage: Stage) -> None:
    """The same campaign on the same machine has the same identity, however busy the machine is."""
    busy = dataclasses.replace(values.MACHINE, load_before=(9.0, 9.0, 9.0), cpu_busy_before=0.9, loop_before_ms=12.0)
    updated = dataclasses.replace(busy, kernel="6.1.1", memory_bytes=values.MACHINE.memory_bytes - 2**22)
    assert len(identity(stage.campaign())) == 12
    assert identity(stage.campaign()) == identity(stage.campaign(), updated)


CHANGES: dict[str, Callable[[Campaign], Campaign]] = {
    "again": lambda one: dataclasses.replace(one, again=1),
    "arms in another order": lambda one: dataclasses.replace(one, arms=one.arms[::-1]),
    "arms": lambda one: dataclasses.replace(one, arms=(*one.arms, one.arms[0])),
    "lock": lambda one: dataclasses.replace(
        one,
        arms=(one.arms[0], dataclasses.replace(one.arms[1], lock=dataclasses.replace(one.arms[1].lock, digest="9"))),
    ),
    "flow": lambda one: dataclasses.replace(
        one,
        scenarios=(
            dataclasses.replace(one.scenarios[0], flow=dataclasses.replace(one.scenarios[0].flow, digest="9" * 64)),
        ),
    ),
    "engine": lambda one: dataclasses.replace(
        one,
        scenarios=(
            dataclasses.replace(one.scenarios[0], engine=dataclasses.replace(one.scenarios[0].engine, name="flask")),
        ),
    ),
    "load": lambda one: dataclasses.replace(one, profile=dataclasses.replace(one.profile, users=3)),
}


def test_identity_holds_the_python_of_each_arm(stage: Stage) -> None:
    """Another patch version, or another Python of an arm, is another campaign."""
    plain = stage.campaign()
    second = dataclasses.replace(plain, arms=(plain.arms[0], dataclasses.replace(plain.arms[1], python="3.12")))
    assert len({identity(plain), identity(plain, python="3.11.10"), identity(second)}) == 3


@pytest.mark.parametrize("change", CHANGES)
def test_identity_holds_all_that_decides(stage: Stage, change: str) -> None:
    """A campaign that differs in anything that decides its numbers has another identity."""
    assert identity(stage.campaign()) != identity(CHANGES[change](stage.campaign()))


def test_identity_holds_no_words(stage: Stage) -> None:
    """A profile that is only described in other words is the same campaign."""
    campaign = stage.campaign()
    described = dataclasses.replace(campaign.profile, description="in other words")
    assert identity(campaign) == identity(dataclasses.replace(campaign, profile=described))


def test_round(stage: Stage) -> None:
    """All runs of a round have its id, its number and its seed; the second round goes backwards."""
    campaign = stage.campaign()
    first, second = (campaign.round(campaign.scenarios[0], "abc", number) for number in (1, 2))
    assert [spec.release for spec in first] == [BASELINE, CANDIDATE]
    assert [spec.release for spec in second] == [CANDIDATE, BASELINE]
    assert [spec.place.arm for spec in second if spec.place] == [2, 1]
    assert {spec.seed for spec in second} == {first[0].seed + 1}
    assert len({spec.place.round_id for spec in first if spec.place}) == 1


def test_round_that_is_made_again(stage: Stage) -> None:
    """A round that is made again, even within a second, is not mixed up with the one before; ids sort by time."""
    campaign = stage.campaign()
    places = [campaign.round(campaign.scenarios[0], "abc", number)[0].place for number in (1, 1, 2)]
    ids = [place.round_id for place in places if place]
    assert len(set(ids)) == 3
    assert max(ids[:2]) < ids[2]


def test_estimated_time(stage: Stage) -> None:
    """A round takes as long as its runs."""
    assert stage.campaign().round_s == pytest.approx(2 * (4 + 2.2 + 2 * 1.2))


def test_arms_of_pythons(stage: Stage) -> None:
    """An arm with a Python of its own is served by it, and the others by the campaign's."""
    plain = stage.campaign()
    requested = dataclasses.replace(plain, arms=(plain.arms[0], dataclasses.replace(plain.arms[1], python="3.12")))
    assert requested.pythons == {BASELINE: "3.11", CANDIDATE: "3.12"}
    assert [spec.python for spec in requested.round(requested.scenarios[0], "abc", 1)] == ["3.11", "3.12"]


def test_groups_have_rounds_of_their_own(stage: Stage) -> None:
    """Each group of arms is a campaign with its own baseline, and a round of all takes as long as theirs together."""
    plain = stage.campaign("1.12.0", "1.12.0+2", "1.12.0+3", "1.12.0+4")
    requested = dataclasses.replace(plain, groups=((0, 1, 2), (0, 3)))
    releases = [series.releases for series in requested.series]
    assert releases == [("1.12.0", "1.12.0+2", "1.12.0+3"), ("1.12.0", "1.12.0+4")]
    assert requested.round_s == pytest.approx(5 * (4 + 2.2 + 2 * 1.2))
    assert requested.load_s == pytest.approx(5 * 4)
