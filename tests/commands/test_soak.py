"""The verb soak: its plan, what it refuses, and a whole soak in a fake outside whose server leaks."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.analysis import run_reader
from scripts.campaign import existing_searches
from scripts.commands import soak
from scripts.config import matrix_file
from scripts.config.errors import InvalidMeasurementError, NothingMeasuredError, UsageError
from scripts.config.load_profiles import SOAK
from scripts.config.plan import Plan, RunSpec
from scripts.environments import locks
from scripts.host import machine, telemetry
from scripts.host.telemetry import MemorySample
from scripts.inference import soaks
from scripts.inference.capacity_runs import CapacitySearch
from scripts.measure import digests, run, session
from scripts.measure.run import CompletedRun
from scripts.records.schema import RunRecord
from tests.campaign.test_existing_searches import here
from tests.commands.test_capacity import Knee
from tests.commands.test_next_steps import parsed
from tests.fakes import run_context, synthetic_runs, synthetic_soaks, values
from tests.fakes.synthetic_searches import searched
from tests.inference.test_soaks import leaks

SUITE = matrix_file.load()
RELEASE = ("1.12.0", "--engine", "fastapi")
CAPACITY = searched(221).users
MIB = 2**20


@dataclass(kw_only=True, slots=True)
class Leak(Knee):
    """A fake outside whose server grows by 1 MiB every ten seconds."""

    def memory_sample(self, root: int, at_s: float) -> MemorySample:
        """One process."""
        assert root
        return MemorySample(at_s=at_s, sizes=(200 * MIB + round(at_s / 10 * MIB),))


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "describe", lambda: synthetic_runs.MACHINE)
    monkeypatch.setattr(soak, "terminate_as_exception", lambda: None)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[CapacitySearch]:
    """The capacity of 1.12.0 on FastAPI is recorded."""
    found = [here(searched(221))]
    monkeypatch.setattr(existing_searches, "read", lambda *_: found)
    return found


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Plan]:
    """The plans that sessions are asked for; each run of them leaves the record of a leak."""
    plans: list[Plan] = []

    def make(_suite: object, chosen: Plan, *_: object) -> list[CompletedRun]:
        plans.append(chosen)
        numbers = [10 * len(plans) + number for number, _ in enumerate(chosen.runs)]
        return [completed(tmp_path / "made", synthetic_soaks.record(leaks, number=number)) for number in numbers]

    monkeypatch.setattr(session, "make", make)
    return plans


def completed(results: Path, record: RunRecord) -> CompletedRun:
    """A run that has been recorded."""
    directory = synthetic_soaks.write(results, record)
    return CompletedRun(record=record, directory=directory, scratch=None, error=None)


@pytest.mark.usefixtures("known")
def test_command_line(made: list[Plan], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A soak loads by the share of the capacity for half an hour, and its memory is sampled; the time is said first."""
    assert soak.main([*RELEASE, "--results", str(tmp_path)]) == 0
    ((spec,),) = (plan.runs for plan in made)
    profile = spec.profile
    assert (spec.release, spec.engine, spec.flow, profile.name) == ("1.12.0", "fastapi", "static_async", SOAK)
    assert (profile.users, profile.run_time_s, profile.warm_up_s) == (round(0.6 * (CAPACITY or 0)), 1800, 300)
    assert spec.memory_every_s == SUITE.soak.memory_every_s
    out, said = capsys.readouterr()
    assert said.startswith("1 soak, about 31 minutes; ")
    *_, repeat, _, answer = out.splitlines()
    assert repeat == f"Repeat with `nox -s soak -- 1.12.0 --engine fastapi --results {tmp_path}`."
    assert answer.startswith("1.12.0 fastapi static_async: memory grows by 3.")


def test_default_releases(capsys: pytest.CaptureFixture[str]) -> None:
    """Without names the releases of suite.toml are loaded, on each engine the first scenario."""
    assert soak.main(["--users", "50", "--dry-run"]) == 0
    *lines, time = capsys.readouterr().out.splitlines()
    assert lines == [
        f"{release} {scenario}: 50 users for 30 minutes, of which 5 are warm-up"
        for release in ("1.12.0", "1.17.2", SUITE.releases[-1].version)
        for scenario in ("flask static_sync", "fastapi static_async")
    ]
    assert time.startswith("6 soaks, about 181 minutes; ")


@pytest.mark.parametrize(
    ("options", "flows"),
    [
        (["--engine", "fastapi", "--flow", "flex_async"], ["flex_async"]),
        (["--engine", "fastapi", "--flow", "flex_async", "--flow", "static_async"], ["flex_async", "static_async"]),
        (["--engine", "flask"], ["static_sync"]),
    ],
)
def test_named_flows(made: list[Plan], tmp_path: Path, options: list[str], flows: list[str]) -> None:
    """Every flow that is named is loaded, and not the first scenario alone."""
    soak.main(["1.12.0", *options, "--users", "9", "--results", str(tmp_path)])
    assert [spec.flow for spec in made[0].runs] == flows


def test_no_capacity_is_recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a recorded capacity nothing starts, and the next step is a command that searches for it."""
    monkeypatch.setattr(session, "make", lambda *_: pytest.fail("it started"))
    with pytest.raises(NothingMeasuredError, match=r"none is recorded of 1\.12\.0 fastapi static_async") as caught:
        soak.main([*RELEASE, "--python", "3.12", "--results", str(tmp_path)])
    command, other = caught.value.then.split("; ")
    assert command == (
        f"nox -s capacity -- 1.12.0 --engine fastapi --flow static_async --missing --python 3.12 --results {tmp_path}"
    )
    parsed(command, monkeypatch)
    assert other == "or repeat this command with --users N"


@pytest.mark.usefixtures("known")
def test_capacity_of_another_release_is_none() -> None:
    """A capacity counts for the very release, engine and flow that it was found with."""
    others = (["1.13.0", "--engine", "fastapi"], ["1.12.0", "--engine", "flask"], [*RELEASE, "--flow", "flex_async"])
    for argv in others:
        with pytest.raises(NothingMeasuredError, match=f"none is recorded of {argv[0]} "):
            soak.main([*argv, "--dry-run"])


@pytest.mark.usefixtures("known")
def test_all_unknown_capacities_are_named() -> None:
    """One error names every capacity that is not recorded, and none that is."""
    with pytest.raises(NothingMeasuredError) as caught:
        soak.main(["1.12.0", "1.13.0", "--dry-run"])
    scenarios = "1.12.0 flask static_sync, 1.13.0 flask static_sync, 1.13.0 fastapi static_async"
    assert caught.value.message.endswith(f"none is recorded of {scenarios}")
    assert caught.value.then.startswith("nox -s capacity -- 1.12.0 --engine flask --flow static_sync --missing")


def test_own_flow_is_searched_as_it_was_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The search that comes first names a flow of one's own by its directory."""
    monkeypatch.setattr(existing_searches, "read", lambda *_: [])
    flow = values.write_flow(tmp_path / "my_flow")
    with pytest.raises(NothingMeasuredError) as caught:
        soak.main([*RELEASE, "--flow", str(flow)])
    assert f"--flow {flow} --missing" in caught.value.then


@pytest.mark.parametrize(
    ("minutes", "run_time_s", "warm_up_s"), [("10", 600, 100), ("0.2", 12, 2), ("600", 36_000, 6000)]
)
def test_minutes(made: list[Plan], tmp_path: Path, minutes: str, run_time_s: int, warm_up_s: int) -> None:
    """A soak of another time has its warm-up shortened or lengthened with it, and says so when it is repeated."""
    soak.main([*RELEASE, "--users", "9", "--minutes", minutes, "--results", str(tmp_path)])
    profile = made[0].runs[0].profile
    assert (profile.users, profile.run_time_s, profile.warm_up_s) == (9, run_time_s, warm_up_s)


def test_too_short_a_time() -> None:
    """A time without a steady state is refused before anything starts."""
    with pytest.raises(UsageError, match=r"--minutes 0.05: ramp and warm-up take 2 s of run_time_s \(3 s\)"):
        soak.main([*RELEASE, "--users", "9", "--minutes", "0.05"])


@pytest.mark.parametrize("minutes", ["0", "-1", "601", "nan", "inf", "long"])
def test_wrong_minutes(capsys: pytest.CaptureFixture[str], minutes: str) -> None:
    """What is no time, or longer than ten hours, is refused with exit code 2."""
    with pytest.raises(SystemExit) as caught:
        soak.main([*RELEASE, f"--minutes={minutes}"])
    assert caught.value.code == 2
    assert f"{minutes} is not a number of minutes above 0, and at most 600" in capsys.readouterr().err


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(("options", "is_there"), [([], True), (["--minutes", "10"], False), (["--users", "9"], False)])
def test_missing(
    made: list[Plan], capsys: pytest.CaptureFixture[str], tmp_path: Path, options: list[str], *, is_there: bool
) -> None:
    """A valid soak by as many users and for as long is not made again; one of another load is."""
    soak.main([*RELEASE, "--results", str(tmp_path / "none")])
    (spec,) = made[0].runs
    synthetic_soaks.write(tmp_path, as_made(spec))
    capsys.readouterr()
    assert soak.main([*RELEASE, *options, "--missing", "--results", str(tmp_path)]) == 0
    assert len(made) == (1 if is_there else 2)
    assert ("nothing is missing" in capsys.readouterr().out) == is_there


def as_made(spec: RunSpec) -> RunRecord:
    """The record of that run, made here."""
    lock = locks.read(locks.of_release(SUITE, SUITE.release(spec.release)))
    record = synthetic_soaks.record(users=spec.profile.users)
    assert record.requested.profile == spec.profile
    return dataclasses.replace(record, digests=digests.of(spec, lock))


@pytest.mark.usefixtures("made")
def test_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The document has the load, both growths, the drift and the run; a slope is in bytes for each request."""
    assert soak.main([*RELEASE, "--users", "60", "--json", "--results", str(tmp_path)]) == 0
    document = json.loads(capsys.readouterr().out)
    (one,) = document["soaks"]
    assert (document["kind"], one["users"], one["minutes"], one["growth"], one["drift"]) == (
        "soak", 60, 30, "grows", "no drift",
    )  # fmt: skip
    for growth in (one["memory"], one["memory_second_half"]):
        assert growth["low"] < 30 * MIB / 90_000 < growth["high"]
    assert one["overhead_p50"]["level"] == 0.95
    assert one["outcome"] == "ok"


def test_soak_that_failed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A soak that lost a worker is printed with the reason, and the session ends as invalid."""
    measured = synthetic_soaks.record(leaks).measurements
    assert measured is not None
    assert measured.server is not None
    lost = dataclasses.replace(measured, server=dataclasses.replace(measured.server, workers_lost=1))
    record = dataclasses.replace(synthetic_soaks.record(leaks), measurements=lost)
    monkeypatch.setattr(session, "make", lambda *_: [completed(tmp_path, record)])
    with pytest.raises(InvalidMeasurementError, match="1 of the server's workers ended under load"):
        soak.main([*RELEASE, "--users", "60", "--results", str(tmp_path)])
    out = capsys.readouterr().out
    assert "- 1.12.0 fastapi static_async: invalid: `1 of the server's workers ended under load`" in out
    assert out.endswith("1.12.0 fastapi static_async: invalid\n")


def test_install_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--install-only` builds each release's virtualenv once, and loads nothing."""
    prepared: list[str] = []
    monkeypatch.setattr(session, "make", lambda *_: pytest.fail("it loaded"))
    monkeypatch.setattr(session, "prepare_only", lambda _, spec, *__: prepared.append(spec.release))
    assert soak.main(["1.12.0", "1.13.0", "--users", "9", "--install-only"]) == 0
    assert prepared == ["1.12.0", "1.13.0"]


def test_whole_soak_of_a_leak(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the load to the verdict: the record of a server that leaks is valid, and says by how much."""
    outside = Leak(users=100)
    for look in ("sample", "machine_sample", "memory", "memory_sample", "shape", "listens"):
        monkeypatch.setattr(telemetry, look, getattr(outside, look))
    values.write_flow(tmp_path / "flow")
    context = run_context.session(outside, tmp_path, run_context.prepared(tmp_path))
    spec = values.spec(tmp_path / "flow")
    profile = dataclasses.replace(spec.profile, name=SOAK, users=20, spawn_rate=20, run_time_s=360, warm_up_s=60)
    done = run.run(context, dataclasses.replace(spec, profile=profile, memory_every_s=10.0))
    found = soaks.evaluated(run_reader.read_run(done.directory))
    assert found.run.outcome == "ok", found.run.reasons
    assert (found.growth, found.drift) == ("grows", "no drift")
    rps = found.run.values["steady_throughput_rps"]
    assert rps is not None
    assert found.seconds_until(36 * MIB) == pytest.approx(360, rel=0.01)
