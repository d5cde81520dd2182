"""Every release: its lock, and what its committed records say that it is and serves."""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict

import pytest
from packaging.version import Version

from scripts.analysis import run_reader
from scripts.config import matrix_file, plan
from scripts.config.load_profiles import SERVES
from scripts.config.matrix import ROOT, Release, Scenario
from scripts.environments import locks
from scripts.measure import digests
from scripts.records.schema import RunRecord
from scripts.records.storage import read_record, run_directories
from scripts.report.tables import support_matrix

MATRIX = matrix_file.load()
PARTS = ("promptflow-core", "promptflow-devkit", "promptflow-tracing")
SPLIT = Version("1.8.0")  # from here on promptflow is an umbrella over its parts


@functools.cache
def records() -> dict[str, list[RunRecord]]:
    """All committed records by release."""
    found = defaultdict(list)
    for directory in run_directories(ROOT / "results"):
        record = read_record(directory)
        found[record.requested.release].append(record)
    return found


@pytest.mark.parametrize("release", MATRIX.releases, ids=lambda release: release.version)
def test_lock_holds_the_release(release: Release) -> None:
    """The lock pins promptflow, and from the split on all of its parts, to that very release."""
    pins = locks.read(locks.of_release(MATRIX, release)).pins
    names = ("promptflow", *(PARTS if Version(release.version) >= SPLIT else ()))
    assert {name: pins[name] for name in names} == dict.fromkeys(names, (release.version,))


@pytest.mark.parametrize("release", MATRIX.releases, ids=lambda release: release.version)
def test_live_server_was_the_release(release: Release) -> None:
    """Every committed run that came to a server was answered by that release, with the command that it ships."""
    observed = [record.observed for record in records()[release.version] if record.observed is not None]
    assert observed
    assert {one.promptflow for one in observed} == {release.version}
    assert {one.distributions["promptflow"] for one in observed} == {release.version}
    assert all(one.command[0] == "gunicorn" for one in observed)


@pytest.mark.parametrize("scenario", MATRIX.scenarios, ids=lambda scenario: scenario.flow)
def test_what_is_measured_next_is_comparable_with_what_is_committed(scenario: Scenario) -> None:
    """No edit, not even of a comment, has changed the digests by which the newest committed runs are compared."""
    release = MATRIX.releases[-1]
    wanted = (scenario.engine, scenario.flow, "report")
    runs = [
        (one.requested.engine, one.requested.flow, one.requested.profile.name) for one in records()[release.version]
    ]
    newest = [record for record, of in zip(records()[release.version], runs, strict=True) if of == wanted][-1]
    planned = plan.make(
        MATRIX,
        release=release.version,
        engine=scenario.engine,
        flow_names=[scenario.flow],
        profile="report",
        python=None,
        rounds=1,
    )
    digest = digests.of(planned.runs[0], locks.read(locks.of_release(MATRIX, release)))
    assert dataclasses.replace(digest, tools=newest.digests.tools) == newest.digests


def test_every_engine_and_flow_was_tried() -> None:
    """No release has an engine and flow that nobody has tried."""
    found = run_reader.read(ROOT / "results", [profile.name for profile in MATRIX.profiles if not profile.reported])
    words = support_matrix.words(MATRIX, found.runs, found.runs)
    assert [
        (release, *pair)
        for release, of in words.items()
        for pair, word in of.items()
        if word == support_matrix.NOT_TRIED
    ] == []


UNSUPPORTED_OUTCOMES = [
    (release, engine.name, flow)
    for release in MATRIX.releases
    for engine, flow in support_matrix.pairs(MATRIX)
    if MATRIX.has_engine(release, engine) and MATRIX.why_unsupported(release, flow) is not None
]


@pytest.mark.parametrize(
    ("release", "engine", "flow"), UNSUPPORTED_OUTCOMES, ids=lambda part: getattr(part, "version", part)
)
def test_unsupported_flows_were_found_by_trying(release: Release, engine: str, flow: str) -> None:
    """Where suite.toml says that a release cannot serve a flow, a committed trial ended with that word and reason."""
    entry = MATRIX.why_unsupported(release, flow)
    assert entry is not None
    tried = [
        record
        for record in records()[release.version]
        if (record.requested.engine, record.requested.flow, record.requested.profile.name) == (engine, flow, SERVES)
    ]
    assert {record.outcome for record in tried} == {entry.outcome}
    words = entry.reason.rpartition(": ")[2]
    assert any(words in " ".join(record.reasons) for record in tried)  # of one the last lines may not reach so far
