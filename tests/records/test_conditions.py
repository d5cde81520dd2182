"""What must agree before runs share a table."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from scripts.records.conditions import Difference, differences, fingerprint, of_search
from scripts.records.schema import RunRecord
from tests.fakes import synthetic_runs

ONE = synthetic_runs.record()


def changed(**parts: object) -> RunRecord:
    """A run of which the machine, the request or the digests differ; `flow_digest` is the digest called flow."""
    groups: dict[str, Any] = {"machine": ONE.machine, "requested": ONE.requested, "digests": ONE.digests}
    patch = str(parts.pop("patch", ONE.python))
    for key, value in parts.items():
        name = key.removesuffix("_digest")
        holder = "digests" if name != key else next(g for g in groups if name in groups[g].__dataclass_fields__)
        groups[holder] = dataclasses.replace(groups[holder], **{name: value})
    return dataclasses.replace(dataclasses.replace(ONE, **groups), python=patch)


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        ({"cpu_model": "Other CPU"}, "CPU"),
        ({"cores": 2}, "cores"),
        ({"memory_bytes": 2**33}, "memory"),
        ({"system": "Linux aarch64"}, "system"),
        ({"patch": "3.11.10"}, "Python"),
        ({"tools_python": "3.11.10"}, "Python of the tools"),
        ({"locustfile": "e" * 64}, "locustfile"),
        ({"mock_api": "e" * 64}, "mock API"),
        ({"tools": "e" * 64}, "tools"),
        ({"flow_digest": "e" * 64}, "flow"),
        ({"profile_digest": "e" * 64}, "load profile"),
        ({"load_processes": 2}, "load processes"),
        ({"load_workers": 1}, "load processes"),
    ],
)
def test_condition_keeps_runs_apart(parts: dict[str, object], name: str) -> None:
    """Each condition that decides the numbers is named with both values, and changes the fingerprint."""
    other = changed(**parts)
    assert [difference.name for difference in differences(ONE, other)] == [name]
    assert fingerprint(ONE) != fingerprint(other)


@pytest.mark.parametrize(
    "parts", [{"kernel": "6.2"}, {"memory_bytes": 16 * 2**30 - 5 * 2**20}, {"lock": "e" * 64}, {"release": "1.18.5"}]
)
def test_information_does_not(parts: dict[str, object]) -> None:
    """Kernel, a few MiB of memory, the lock and the release leave runs comparable."""
    other = changed(**parts)
    assert differences(ONE, other) == []
    assert fingerprint(ONE) == fingerprint(other)


def test_difference_has_both_values() -> None:
    """A refusal can name the condition and both values."""
    assert differences(ONE, changed(cores=2)) == [Difference(name="cores", first="8", second="2")]


def test_runs_of_a_search_may_differ_in_their_users() -> None:
    """Two loads of a capacity search share its conditions; another run time, machine or flow does not."""
    profile = ONE.requested.profile
    more = changed(profile=profile.at(profile.users + 10), profile_digest="e" * 64)
    assert of_search(more) == of_search(ONE)
    longer = changed(profile=dataclasses.replace(profile, run_time_s=profile.run_time_s + 1))
    assert len({of_search(one) for one in (ONE, longer, changed(cores=2), changed(flow_digest="e" * 64))}) == 4
