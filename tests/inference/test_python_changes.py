"""What another Python changes, found among the records."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest

from scripts.analysis.run_reader import Run
from scripts.inference import comparison, paired_rounds, python_changes
from scripts.inference.comparison import LEVEL, Effect
from scripts.inference.python_changes import PythonChange
from tests.fakes import synthetic_runs
from tests.fakes.synthetic_runs import campaign, campaign_of_pythons

CPU = "cpu_per_request_ms"
WOBBLE = (1.001, 0.999, 1.002, 0.998, 1.0015, 0.9985, 1.0, 1.0)
ROUNDS = len(WOBBLE)


def pair(
    release: str, python: str, factor: float = 1.0, *, name: str, first: int = 1, flow: str = "static_async"
) -> list[Run]:  # fmt: skip
    """A release on Python 3.11 and on another one, loaded at once."""
    figures: dict[str, list[list[float | None]]] = {CPU: [[5.0] * ROUNDS, [5.0 * factor * one for one in WOBBLE]]}
    return campaign_of_pythons(
        release, ("3.11", python), ROUNDS, figures, name=name, first=first, flow=flow, profile="duet"
    )


def find(*runs: list[Run]) -> list[list[PythonChange]]:
    """The changes of every scenario."""
    campaigns = paired_rounds.pair(itertools.chain.from_iterable(runs))
    return python_changes.find(campaigns, comparison.noise_floors(campaigns), synthetic_runs.SUITE)


def cpu(change: PythonChange) -> Effect:
    """The CPU time of a request."""
    return next(effect for effect in change.judged.effects if effect.metric.name == CPU)


def test_changes_against_the_baseline() -> None:
    """Pairs of one release with several Pythons are told together, the newest release first, with their changes."""
    (found,) = find(
        pair("1.12.0", "3.12", 0.9, name="a", first=10),
        pair("1.18.5", "3.12", 0.8, name="b", first=20),
        pair("1.18.5", "3.9", 1.2, name="c", first=30),
    )
    assert [(one.release, one.python) for one in found] == [
        ("1.18.5", "3.9.9"), ("1.18.5", "3.12.9"), ("1.12.0", "3.12.9"),
    ]  # fmt: skip
    assert {one.baseline for one in found} == {"3.11.9"}
    for change, factor in zip(found, (1.2, 0.8, 0.9), strict=True):
        interval = cpu(change).interval
        assert interval is not None
        assert interval.estimate == pytest.approx(math.log(factor), abs=0.001)
        assert interval.level == pytest.approx(1 - (1 - LEVEL) / 3)


def test_arms_of_one_campaign() -> None:
    """One release on three Pythons in the same rounds is two changes."""
    (found,) = find(campaign_of_pythons("1.18.5", ("3.11", "3.10", "3.12"), ROUNDS))
    assert [(one.python, one.judged.arm) for one in found] == [("3.10.9", 2), ("3.12.9", 3)]


def test_newest_campaign_counts() -> None:
    """Of two campaigns of the same release and Pythons the newest counts."""
    (found,) = find(pair("1.18.5", "3.12", 0.8, name="a", first=30), pair("1.18.5", "3.12", 0.9, name="b", first=10))
    assert [one.judged.paired.campaign for one in found] == ["a"]


def test_other_conditions_are_never_mixed() -> None:
    """Rounds of another machine than the newest are left out."""
    older = [
        dataclasses.replace(
            one, record=dataclasses.replace(one.record, machine=dataclasses.replace(one.record.machine, cores=64))
        )
        for one in pair("1.12.0", "3.12", name="a", first=10)
    ]
    (found,) = find(older, pair("1.18.5", "3.12", name="b", first=30))
    assert [one.release for one in found] == ["1.18.5"]


def test_scenarios_stay_apart() -> None:
    """Each scenario has changes of its own, in the order of suite.toml, and its own family of intervals."""
    found = find(
        pair("1.18.5", "3.12", name="a", flow="of_my_own", first=10), pair("1.18.5", "3.12", name="b", first=30)
    )
    assert [changes[0].judged.paired.flow for changes in found] == ["static_async", "of_my_own"]
    interval = cpu(found[0][0]).interval
    assert interval is not None
    assert interval.level == pytest.approx(LEVEL)


@pytest.mark.parametrize(
    "runs",
    [
        campaign(("1.12.0", "1.18.5"), 4),
        campaign(("1.12.0", "1.12.0"), 4),
        campaign_of_pythons("1.18.5+1a2b3c4d", ("3.11", "3.12"), 4),
        campaign_of_pythons("1.99.0", ("3.11", "3.12"), 4),
        campaign_of_pythons("1.18.5", ("3.11",), 4),
        campaign_of_pythons("1.18.5", ("3.11", "3.11"), 4),
        campaign_of_pythons("1.18.5", ("3.11", "3.12"), 0),
        [*campaign_of_pythons("1.18.5", ("3.11", "3.12"), 2)[:1]],
    ],
)
def test_what_compares_no_pythons(runs: list[Run]) -> None:
    """Other comparisons, candidates, unknown releases, and what has no whole round, say nothing of Pythons."""
    assert find(runs) == []
