"""What identifies a run's ingredients, and texts made fit for a public record."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.config import flows, matrix_file
from scripts.config.load_profiles import Generators
from scripts.config.matrix import ROOT
from scripts.config.plan import RunSpec, Target
from scripts.environments import locks
from scripts.environments.locks import Lock
from scripts.measure import digests, loadgen
from scripts.records import storage
from tests.fakes import values

LOCK = Lock(path=Path("1.12.0.txt"), digest="1" * 64, requirements=())


def test_of_a_release(tmp_path: Path) -> None:
    """A run's digests name its lock and flow as they are, and hash the rest."""
    found = digests.of(values.spec(tmp_path), LOCK)
    assert (found.lock, found.flow) == ("1" * 64, "f" * 64)
    hashed = {found.locustfile, found.mock_api, found.profile, found.tools}
    assert len(hashed) == 4
    assert {len(digest) for digest in hashed} == {64}


def test_of_the_mock(tmp_path: Path) -> None:
    """The mock alone has neither lock nor flow, and is loaded by the same code as a release."""
    found = digests.of(values.spec(None), None)
    assert (found.lock, found.flow) == ("", "")
    assert found.locustfile == digests.of(values.spec(tmp_path), LOCK).locustfile


@pytest.mark.parametrize("change", [{"users": 3}, {"seed": 43}, {"backend_wait_max_s": 1.5}, {"name": "other"}])
def test_profile(tmp_path: Path, change: dict[str, object]) -> None:
    """Any change of a load profile changes its digest."""
    spec = values.spec(tmp_path)
    profile = dataclasses.replace(values.PROFILE, **change)  # type: ignore[arg-type]
    first, second = (digests.of(s, LOCK) for s in (spec, dataclasses.replace(spec, profile=profile)))
    assert first.profile != second.profile


@pytest.mark.parametrize("name", [path.name for path in loadgen.LOCUSTFILES.glob("*.py")])
def test_locustfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A change of any file that makes the load changes its digest; what makes other loads is not in it."""
    for file in loadgen.LOCUSTFILES.glob("*.py"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(loadgen, "LOCUSTFILES", tmp_path)
    spec = values.spec(tmp_path)
    duet = dataclasses.replace(spec, profile=dataclasses.replace(values.PROFILE, at_once=2))
    several = dataclasses.replace(spec, generators=Generators(processes=2))
    own = {loadgen.DUET: duet, loadgen.DISTRIBUTED: several, "clocks.py": several}
    before = [digests.of(one, LOCK).locustfile for one in (spec, duet, several)]
    assert len({*before}) == 3
    (tmp_path / name).write_text("# changed\n", encoding="utf-8")
    after = [digests.of(one, LOCK).locustfile for one in (spec, duet, several)]
    changed = [one for one, was, now in zip((spec, duet, several), before, after, strict=True) if was != now]
    assert changed == ([own[name]] if name in own else [spec, duet, several])


def test_memory_under_load(tmp_path: Path) -> None:
    """How often memory is sampled under load is in the digest of that load; without it the digest is as before."""
    spec = values.spec(tmp_path)
    loads = [dataclasses.replace(spec, memory_every_s=every_s) for every_s in (None, 5.0, 10.0)]
    found = [digests.of(one, LOCK).profile for one in loads]
    assert len({*found}) == 3
    assert found[0] == digests.of(spec, LOCK).profile


def test_several_processes(tmp_path: Path) -> None:
    """How many processes make a load, and whether they are elsewhere, is in its digest; where they come to is not."""
    spec = values.spec(tmp_path)
    loads = [
        Generators(),
        Generators(processes=2),
        Generators(processes=3),
        Generators(workers=1),
        Generators(workers=2),
    ]
    found = [digests.of(dataclasses.replace(spec, generators=load), LOCK).profile for load in loads]
    assert len({*found}) == len(loads)
    other = dataclasses.replace(spec, generators=Generators(workers=2, address="192.0.2.7"))
    assert digests.of(other, LOCK).profile == found[-1]


@pytest.mark.parametrize("profile", ["report", "compare", "serves", "duet"])
def test_digests_are_those_of_the_committed_records(profile: str) -> None:
    """What decides the numbers is today as it was for the newest committed run of a profile; its tools may differ."""
    suite = matrix_file.load()
    records = (storage.read_record(one) for one in storage.run_directories(ROOT / "results", profile=profile))
    own = (record for record in records if suite.named(record.requested.release) is not None)
    newest = max(own, key=lambda record: record.run_id)
    release, requested = suite.release(newest.requested.release), newest.requested
    target = Target(
        release=release, engine=suite.engine(requested.engine), flow=flows.find(requested.flow), version=release.version
    )  # fmt: skip
    spec = RunSpec(target=target, profile=suite.load(release, profile), python="3.11", round=1)
    found = digests.of(spec, locks.read(locks.of_release(suite, release)))
    assert dataclasses.replace(found, tools=newest.digests.tools) == newest.digests


@pytest.fixture
def forgetful() -> Iterator[None]:
    """Versions are read anew, and what a test makes of them is not remembered."""
    digests._installed.cache_clear()
    yield
    digests._installed.cache_clear()


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize(("name", "same"), [("gevent", False), ("starlette", False), ("matplotlib", True)])
def test_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, same: bool) -> None:
    """Another version of what locust or the mock needs changes the tools' digest; one of what draws charts does not."""
    spec = values.spec(tmp_path)
    before = digests.of(spec, LOCK).tools
    real = importlib.metadata.distribution

    class Newer(importlib.metadata.PathDistribution):
        """A distribution that claims another version."""

        version = "99.0"

    def other(wanted: str) -> importlib.metadata.Distribution:
        found = real(wanted)
        return Newer(found._path) if wanted == name else found  # type: ignore[attr-defined]

    monkeypatch.setattr(importlib.metadata, "distribution", other)
    digests._installed.cache_clear()
    assert (digests.of(spec, LOCK).tools == before) is same
