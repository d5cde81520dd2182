"""Shards: every piece of work belongs to exactly one, whatever else there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.config import matrix_file, plan, shards
from scripts.config.plan import Plan
from scripts.config.shards import Shard

MATRIX = matrix_file.load()
COUNTS = st.integers(min_value=1, max_value=50)


def of(count: int) -> list[Shard]:
    """All shards of so many."""
    return [Shard(number=number, count=count) for number in range(1, count + 1)]


@given(name=st.text(), count=COUNTS)
def test_exactly_one_shard_holds_a_name(name: str, count: int) -> None:
    """Nothing is made twice, and nothing is left out."""
    assert [shard.holds(name) for shard in of(count)].count(True) == 1


def test_the_split_is_the_same_everywhere() -> None:
    """The split does not depend on a process or a machine: these are the shards of these names for ever."""
    names = ["report 1.12.0 fastapi static_async", "count 1.12.0 flask static_sync", "compare fastapi flex_async"]
    assert [[shard.number for shard in of(4) if shard.holds(name)] for name in names] == [[1], [2], [4]]


def test_shards_have_about_the_same_number() -> None:
    """No machine gets most of the work: of 4 shards of all scenarios of all releases, each has a share."""
    cells = [
        f"report {release.version} {engine.name} {flow}"
        for release, engine in MATRIX.targets()
        for flow in MATRIX.scenario_flows(release, engine)
    ]
    sizes = [sum(map(shard.holds, cells)) for shard in of(4)]
    assert sum(sizes) == len(cells)
    assert min(sizes) > len(cells) / 8


def test_a_cell_is_whole() -> None:
    """All rounds of a release, engine, flow and profile are made on one machine."""
    planned = plan.make(
        MATRIX, release="1.12.0", engine="fastapi", flow_names=(), profile="report", python=None, rounds=3
    )
    parts = [planned.of_shard(shard) for shard in of(5)]
    assert sorted(len(part.runs) for part in parts if part.runs) in ([3, 3], [6])
    assert sorted(run.cell for part in parts for run in part.runs) == sorted(run.cell for run in planned.runs)
    assert all(len({run.round for run in part.runs if run.flow == flow}) in (0, 3)
               for part in parts for flow in ("static_async", "flex_async"))  # fmt: skip


def test_without_a_shard_everything_is_made() -> None:
    """A plan as a whole is the plan."""
    planned = Plan(runs=())
    assert planned.of_shard(None) is planned


@pytest.mark.parametrize("text", ["1/1", "4/4", "1/1000"])
def test_what_is_typed(text: str) -> None:
    """I of N is read as it is written."""
    assert str(shards.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0/4", "0/4: the shards of 4 are 1/4 to 4/4"),
        ("5/4", "5/4: the shards of 4 are 1/4 to 4/4"),
        ("1/0", "1/0 has no shards"),
        ("a/b", "'a/b' is not a shard I/N such as 1/4"),
        ("1", "'1' is not a shard I/N such as 1/4"),
        ("1/2/3", "'1/2/3' is not a shard I/N such as 1/4"),
        ("-1/4", "'-1/4' is not a shard I/N such as 1/4"),
        ("", "'' is not a shard I/N such as 1/4"),
    ],
)
def test_what_is_no_shard(text: str, message: str) -> None:
    """What cannot be a shard is refused with what can."""
    with pytest.raises(ValueError, match="^" + message.replace("/", "\\/")):
        shards.parse(text)
