"""What is compared already: only whole rounds of the same arms, made under this machine's conditions."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.campaign import existing_rounds
from scripts.campaign.stopping_rule import StoppingRule
from tests.fakes import values
from tests.fakes.stage import BASELINE, CANDIDATE, Stage

FOUR = StoppingRule(rounds=4)
THIRD = f"{BASELINE}+third"


@pytest.mark.parametrize("labels", [(BASELINE, CANDIDATE), (BASELINE, CANDIDATE, THIRD)], ids=["two", "three"])
def test_rounds_are_found_again(stage: Stage, labels: tuple[str, ...]) -> None:
    """Before a campaign none of its rounds are there, and after it all are, for each of its scenarios."""
    requested = stage.campaign(*labels, flows=("example", "other"))
    names = [series.name for series in requested.series]
    assert existing_rounds.made(stage.results, requested, values.MACHINE) == dict.fromkeys(names, 0)
    stage.measure(requested, FOUR)
    assert existing_rounds.made(stage.results, requested, values.MACHINE) == dict.fromkeys(names, 4)


def test_rounds_of_pairs_are_found_again(stage: Stage) -> None:
    """Of a campaign that loads two at once, each pair has rounds of its own."""
    requested = stage.duet(BASELINE, CANDIDATE)
    stage.measure(requested, FOUR)
    assert [*existing_rounds.made(stage.results, requested, values.MACHINE).values()] == [4]


def test_an_interrupted_round_does_not_count(stage: Stage) -> None:
    """A round of which a run is missing is not there."""
    stage.outside.ends_at_run = 6
    with pytest.raises(KeyboardInterrupt):
        stage.measure(stage.campaign(), FOUR)
    assert [*existing_rounds.made(stage.results, stage.campaign(), values.MACHINE).values()] == [2]


def test_rounds_of_another_machine_or_of_other_releases_do_not_count(stage: Stage) -> None:
    """Rounds count only where the machine and all arms, in their order, are the same."""
    stage.measure(stage.campaign(), FOUR)
    larger = dataclasses.replace(values.MACHINE, cores=64)
    assert [*existing_rounds.made(stage.results, stage.campaign(), larger).values()] == [0]
    turned = stage.campaign(CANDIDATE, BASELINE)
    assert [*existing_rounds.made(stage.results, turned, values.MACHINE).values()] == [0]


def test_rounds_on_another_python_do_not_count(stage: Stage) -> None:
    """What was compared on another Python is still to be compared on this one."""
    stage.measure(dataclasses.replace(stage.campaign(), python="3.12"), FOUR)
    assert [*existing_rounds.made(stage.results, stage.campaign(), values.MACHINE).values()] == [0]
    there = dataclasses.replace(stage.campaign(), python="3.12")
    assert [*existing_rounds.made(stage.results, there, values.MACHINE).values()] == [4]
