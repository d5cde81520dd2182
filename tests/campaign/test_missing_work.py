"""What is missing of the suite: a list of items, each a verb with arguments, that the records make shorter."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path

import pytest

from scripts.campaign import existing_rounds, missing_work
from scripts.campaign.missing_work import COMPARE, VERBS, Item, Work
from scripts.config import matrix_file, plan
from scripts.config.load_profiles import COUNT
from scripts.config.matrix import Suite
from scripts.config.shards import Shard
from scripts.environments import locks
from scripts.host.process import RealSystem
from scripts.measure import digests
from scripts.measure.round_plan import Campaign
from tests.fakes import synthetic_runs

MATRIX = matrix_file.load()
SCENARIOS = sum(len(MATRIX.scenario_flows(*target)) for target in MATRIX.targets())


def found(results: Path, verbs: Collection[str] = VERBS, suite: Suite = MATRIX) -> dict[str, Work]:
    """The work by verb."""
    works = missing_work.find(suite, results, synthetic_runs.MACHINE, RealSystem(), verbs)
    return {work.verb: work for work in works}


def items(results: Path, suite: Suite = MATRIX) -> list[Item]:
    """Everything that is missing."""
    return [item for work in found(results, suite=suite).values() for item in work.missing]


def test_everything_is_missing(tmp_path: Path) -> None:
    """Without records each scenario of each release is missing, the mock API, the searches and the campaigns."""
    works = found(tmp_path)
    searched = {release.version for release in MATRIX.last_of_minors}
    searches = sum(len(MATRIX.scenario_flows(*one)) for one in MATRIX.targets() if one[0].version in searched)
    wanted = {"bench": SCENARIOS + 1, "count": SCENARIOS, "capacity": searches, "compare": 3}
    assert {verb: work.number for verb, work in works.items()} == wanted
    assert {verb: len(work.missing) for verb, work in works.items()} == wanted
    assert all(item.expected_s > 0 for work in works.values() for item in work.missing)
    assert len({item.name for item in items(tmp_path)}) == sum(wanted.values())


def test_a_good_run_is_not_missing(tmp_path: Path) -> None:
    """What is recorded under this machine's conditions is no item any more; all others are."""
    spec = next(
        spec
        for spec in plan.make(
            MATRIX, release="1.12.0", engine="fastapi", flow_names=(), profile="report", python=None, rounds=1
        ).runs
        if spec.flow == "static_async"
    )
    lock = locks.read(locks.of_release(MATRIX, MATRIX.release("1.12.0")))
    before = {item.name for item in items(tmp_path)}
    synthetic_runs.write(tmp_path, dataclasses.replace(synthetic_runs.record(), digests=digests.of(spec, lock)))
    assert before - {item.name for item in items(tmp_path)} == {"bench 1.12.0 fastapi static_async"}


def test_only_the_rounds_that_are_missing_take_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign with all rounds is no item; one that lacks two of five takes the time of two."""
    whole = found(tmp_path, [COMPARE])[COMPARE].missing

    def made(_results: Path, requested: Campaign, _here: object) -> dict[str, int]:
        return {one.name: 9 if one.scenario.flow.name == "flex_async" else 3 for one in requested.series}

    monkeypatch.setattr(existing_rounds, "made", made)
    left = found(tmp_path, [COMPARE])[COMPARE]
    assert (left.number, len(left.missing)) == (3, 2)
    by_cell = {item.cell: item.expected_s for item in whole}
    assert [item.expected_s / by_cell[item.cell] for item in left.missing] == pytest.approx([2 / 5, 2 / 5])


def test_only_what_is_asked_for(tmp_path: Path) -> None:
    """The work of one verb is found without that of the others."""
    assert [*found(tmp_path, [COUNT])] == [COUNT]


def test_an_added_release_moves_nothing_to_another_shard(tmp_path: Path) -> None:
    """Every item stays in its shard when the suite grows: only the new ones are added."""
    fewer = dataclasses.replace(MATRIX, releases=MATRIX.releases[:-1], campaigns=())
    cells = {item.name: item.cell for item in items(tmp_path)}
    before = {item.name: item.cell for item in items(tmp_path, fewer)}
    shards = [Shard(number=number, count=4) for number in range(1, 5)]
    assert len(before) > SCENARIOS
    for name, cell in before.items():
        if name in cells:
            assert [shard.holds(cell) for shard in shards] == [shard.holds(cells[name]) for shard in shards]


def test_shards_of_a_campaign_are_those_of_the_verbs(tmp_path: Path) -> None:
    """`campaign --shard` and `bench --shard` give a run to the same machine."""
    planned = plan.make(
        MATRIX, release="1.12.0", engine="fastapi", flow_names=(), profile="report", python=None, rounds=1
    )
    cells = {item.name: item.cell for item in items(tmp_path)}
    for run in planned.runs:
        assert cells[f"bench 1.12.0 fastapi {run.flow}"] == run.cell
