"""Capacity searches on the workers of a cluster."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from scripts.commands import capacity
from scripts.commands.capacity import Wanted
from scripts.config import matrix_file
from scripts.config.load_profiles import CAPACITY
from scripts.config.plan import Plan
from scripts.host.progress import Progress
from scripts.measure import session
from tests.commands.test_capacity import SETTINGS, Knee
from tests.fakes import stage as stages
from tests.fakes import values, workers
from tests.fakes.stage import FakeArms


@dataclass(kw_only=True, slots=True)
class KneeArms(FakeArms):
    """A fake outside with a knee at 95 users, on a stage."""

    users: int = 95
    lag_p99_ms: float = 0.9

    def _record(self, into: Path, run_time_s: float) -> None:
        Knee._record(self, into, run_time_s)  # type: ignore[arg-type]


def test_searches_are_shared_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each search stays on one machine, finds what it finds here, and comes back in the order of the plan."""
    stage = stages.built(tmp_path, monkeypatch, KneeArms())
    with workers.started(stage, monkeypatch, 2) as cluster:
        requested = cluster.campaign()
        runs = requested.round(requested.scenarios[0], "", 1)
        specs = [
            dataclasses.replace(spec, place=None, profile=dataclasses.replace(spec.profile, name=CAPACITY))
            for spec in runs
        ]
        wanted = Wanted(
            plan=Plan(runs=tuple(specs)),
            locks={arm.release.version: arm.lock for arm in requested.arms},
            settings=SETTINGS,
            known=(),
            here=dataclasses.replace(values.MACHINE, cores=64),
        )
        progress = Progress(stage.outside.monotonic)
        found = capacity.make(
            matrix_file.load(), wanted, cluster.options, stage.outside, progress, session.prepare
        )  # fmt: skip
        asked = [(address, msgspec.json.decode(text)) for address, text in cluster.log]
        by_release: dict[str, set[str]] = {}
        for address, request in asked:
            if request["type"] == "Make":
                by_release.setdefault(request["loads"][0][0]["release"], set()).add(address)
    assert [one.search.requested.release for one in found] == [spec.release for spec in specs]
    assert [len(one) for one in by_release.values()] == [1, 1]
    users = [one.search.users for one in found]
    assert users[0] is not None
    assert 80 <= users[0] <= 95
    assert users[0] == users[1]
