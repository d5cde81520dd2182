"""Campaigns found again in the records."""

from __future__ import annotations

import dataclasses
import random

import pytest

from scripts.analysis.run_reader import Run
from scripts.config.errors import NotComparableError
from scripts.inference import paired_rounds
from scripts.inference.paired_rounds import PairedRounds
from tests.fakes.synthetic_runs import campaign, campaign_of_pythons, on_python, record, run, spoilt

TWO = ("1.12.0", "1.18.5")


def only(runs: list[Run]) -> PairedRounds:
    """The one campaign that these runs are."""
    (found,) = paired_rounds.pair(runs)
    return found


def on_cores(one: Run, cores: int) -> Run:
    """The run as if on another machine."""
    machine = dataclasses.replace(one.record.machine, cores=cores)
    return dataclasses.replace(one, record=dataclasses.replace(one.record, machine=machine))


def test_runs_of_a_round_are_paired_whatever_their_order() -> None:
    """Each round holds its own run of every arm, oldest round first, however the runs were found."""
    runs = campaign(TWO, 5)
    shuffled = runs.copy()
    random.Random(3).shuffle(shuffled)  # noqa: S311 - nothing secret
    found = only(shuffled)
    assert [[one.runs[arm] for arm in (1, 2)] for one in found.rounds] == [runs[n : n + 2] for n in range(0, 10, 2)]
    assert found == only(runs)


def test_runs_without_a_campaign_are_in_no_series() -> None:
    """A run that was measured by itself is never compared."""
    assert paired_rounds.pair([run(record())]) == []


def test_flows_and_campaigns_stay_apart() -> None:
    """Runs of another flow or another campaign are not paired, though their rounds have the same names."""
    runs = [*campaign(TWO, 1), *campaign(TWO, 1, flow="flex_async"), *campaign(TWO, 1, name="another")]
    found = [(one.campaign, one.flow, len(one.rounds)) for one in paired_rounds.pair(runs)]
    assert found == [("another", "static_async", 1), ("c0ffee123456", "flex_async", 1),
                     ("c0ffee123456", "static_async", 1)]  # fmt: skip


def test_a_round_with_a_run_that_does_not_count_is_left_out_whole() -> None:
    """Its good run is not compared either, and the reason is given."""
    runs = campaign(TWO, 3)
    runs[2] = spoilt(runs[2], reasons=("it lagged, badly", "another ran"))
    found = only(runs)
    assert [one.round_id for one in found.rounds] == ["round-001", "round-003"]
    assert found.excluded == ("round round-002: 1.12.0 was invalid (it lagged, badly; another ran)",)


def test_a_failure_without_a_reason_has_no_empty_brackets() -> None:
    """The outcome stands alone."""
    runs = campaign(TWO, 1)
    assert only([runs[0], spoilt(runs[1], "failed", ())]).excluded == ("round round-001: 1.18.5 was failed",)


@pytest.mark.parametrize("kept", [[0], [1]])
def test_a_round_that_was_cut_short_is_left_out(kept: list[int]) -> None:
    """Also where the missing run is the baseline's."""
    runs = campaign(TWO, 2)
    found = only([runs[n] for n in kept] + runs[2:])
    assert (len(found.rounds), found.excluded) == (1, ("round round-001: only 1 of 2 runs were made",))


def test_without_any_baseline_there_is_no_round() -> None:
    """Two candidates are not compared with each other because the first arm is missing."""
    found = only([one for one in campaign(("1.11.0", *TWO), 2) if one.record.requested.arm > 1])
    assert (found.arms, found.rounds, len(found.excluded)) == ((1, 2, 3), (), 2)


def test_conditions_that_differ_are_refused_with_both_values() -> None:
    """The refusal names the runs, the condition and both values, and has exit code 7."""
    runs = campaign(TWO, 2)
    runs[3] = on_cores(runs[3], 4)
    with pytest.raises(NotComparableError, match=r"cores: '8' and '4'") as caught:
        paired_rounds.pair(runs)
    assert caught.value.exit_code == 7
    assert {runs[0].record.run_id, runs[3].record.run_id} <= set(caught.value.message.split())
    assert caught.value.then


def test_runs_that_do_not_count_need_not_be_comparable() -> None:
    """A failed run under other conditions costs its round, not the campaign."""
    runs = campaign(TWO, 2)
    runs[3] = spoilt(on_cores(runs[3], 4), "failed")
    assert len(only(runs).rounds) == 1


def test_labels_tell_the_same_release_apart() -> None:
    """The second and third time are numbered; a release that is there once is not."""
    found = only(campaign(("1.12.0", "1.12.0", "1.18.5", "1.12.0"), 1))
    assert [found.label(arm) for arm in found.arms] == ["1.12.0", "1.12.0 (again)", "1.18.5", "1.12.0 (again 2)"]


def test_null_is_the_same_release_on_the_same_lock() -> None:
    """Another release is not null, nor another lock, nor a single arm, nor nothing at all."""
    same = campaign(("1.12.0", "1.12.0"), 1)
    other = dataclasses.replace(same[1].record, digests=dataclasses.replace(same[1].record.digests, lock="9" * 64))
    assert only(same).is_aa
    assert not only(campaign(TWO, 1)).is_aa
    assert not only([same[0], dataclasses.replace(same[1], record=other)]).is_aa
    assert not only(campaign(("1.12.0",), 1)).is_aa
    assert not only([same[0], spoilt(same[1])]).is_aa


def distrusted(one: Run) -> Run:
    """The run as if it had lost its slowest requests."""
    return dataclasses.replace(one, distrusted=("truncated: 58 requests still waited",))


def test_distrusted_run_that_was_made_again_is_replaced() -> None:
    """Of two good runs of an arm in a round, the one whose latencies can be trusted counts, also if it is the older."""
    runs = campaign(TWO, 1)
    later = dataclasses.replace(runs[1].record, run_id="20991231T000000Z-ffffff")
    found = only([runs[0], runs[1], distrusted(dataclasses.replace(runs[1], record=later))])
    assert found.rounds[0].runs[2] == runs[1]
    (excluded,) = found.excluded
    assert excluded == (
        "round round-001: 1.18.5 was not to be trusted in its latencies (truncated: 58 requests still waited); "
        "it was made again"
    )


def renumbered(one: Run, number: int) -> Run:
    """The run as if of a round of that number."""
    requested = dataclasses.replace(one.record.requested, round=number)
    return dataclasses.replace(one, record=dataclasses.replace(one.record, requested=requested))


def test_distrusted_duet_that_was_made_again_is_left_out() -> None:
    """A duet is made again as another round of the same number; the newest of them counts."""
    runs = campaign(TWO, 3)
    runs = [*runs[:2], *(renumbered(one, 2) for one in runs[2:])]
    runs[3] = distrusted(runs[3])
    assert [one.round_id for one in only(runs).rounds] == ["round-001", "round-003"]
    assert only(runs).excluded[0].endswith("; it was made again")
    assert [one.round_id for one in only(runs[:4]).rounds] == ["round-001", "round-002"]


def test_trusted_rounds_of_the_same_number_all_count() -> None:
    """A round that stands for one whose record was lost leaves out none that can be trusted."""
    runs = [renumbered(one, 1) for one in campaign(TWO, 3)]
    assert len(only(runs).rounds) == 3


def test_arms_may_differ_in_python_where_that_is_compared() -> None:
    """The rounds of one release on two Pythons are paired, and say which is which; they are no A/A comparison."""
    found = only(campaign_of_pythons("1.18.5", ("3.11", "3.12"), 4))
    assert len(found.rounds) == 4
    assert found.pythons == {1: "3.11.9", 2: "3.12.9"}
    assert found.on_pythons == {1: "1.18.5", 2: "1.18.5"}
    assert found.label(2) == "1.18.5+py3.12"
    assert not found.is_aa


def test_releases_on_different_pythons_are_never_paired() -> None:
    """Arms that are not compared by their Python must have the same one."""
    first, second, *others = campaign(TWO, 2)
    with pytest.raises(NotComparableError, match=r"differ in Python: '3\.11\.9' and '3\.12\.9'"):
        paired_rounds.pair([first, on_python(second, "3.12"), *others])
    assert only([first, second, *others]).on_pythons == {}


def test_an_arm_has_one_python_in_all_rounds() -> None:
    """A patch version that changed between the rounds of an arm is refused, though it differs from the baseline's."""
    runs = campaign_of_pythons("1.18.5", ("3.11", "3.12"), 2)
    moved = dataclasses.replace(runs[-1], record=dataclasses.replace(runs[-1].record, python="3.12.10"))
    with pytest.raises(NotComparableError, match=r"differ in Python: '3\.12\.\d+' and '3\.12\.\d+'"):
        paired_rounds.pair([*runs[:-1], moved])
