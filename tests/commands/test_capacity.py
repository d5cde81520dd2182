"""The capacity verb: its command line, and whole searches in a fake outside whose server has a known knee."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from scripts.campaign import existing_searches
from scripts.commands import capacity
from scripts.commands.capacity import CompletedSearch, Wanted
from scripts.config import matrix_file
from scripts.config.errors import InvalidMeasurementError, ServerError, UsageError
from scripts.config.load_profiles import CAPACITY
from scripts.config.matrix import Suite
from scripts.config.plan import Plan, RunSpec, Target
from scripts.environments import virtualenvs
from scripts.environments.locks import Lock
from scripts.environments.virtualenvs import Environment
from scripts.host import machine, telemetry
from scripts.host.process import System
from scripts.host.progress import Progress
from scripts.inference import capacity_search
from scripts.inference.capacity_runs import CapacitySearch, Judgement, Tried
from scripts.inference.capacity_search import CapacityResult, Limit, Trial
from scripts.measure import session
from scripts.measure.run import Prepared
from scripts.records.schema import RunRecord
from scripts.records.storage import read_record
from scripts.report.tables import formatting
from scripts.serving.server_command import _TEMPLATE
from tests.fakes import synthetic_runs, values
from tests.fakes.system import FakeSystem, Script, _option, reply

TARGET = ["--release", "1.12.0", "--engine", "fastapi"]
MATRIX = matrix_file.load()
SETTINGS = dataclasses.replace(MATRIX.capacity, start_users=80, max_users=400)
IDEAL_MS, THINK_S = 1250.0, 0.15  # of the example flow and the profile of the fakes


@dataclass(kw_only=True, slots=True)
class Knee(FakeSystem):
    """A fake outside whose server adds 5 ms up to so many users, and a second beyond."""

    users: int
    lag_p99_ms: float = 0.9

    def _record(self, into: Path, run_time_s: float) -> None:
        """Leave a recording that obeys the law of a closed loop, N / (R + Z)."""
        loaded = int(_option(self.children[-1].argv, "--users"))
        took_ms = IDEAL_MS + (5.0 if loaded <= self.users else 1000.0)
        steady_s = run_time_s - 1
        number = round(loaded / (took_ms / 1000 + THINK_S) * steady_s)
        began = self.now + 0.5
        self.replies["mock /counts"] = reply({"received": number + 1, "answered": number + 1})
        recorded = dataclasses.replace(
            values.RECORDED,
            started_s=began,
            all_users_at_s=began + 1,
            stopped_s=began + run_time_s,
            users_reached=loaded,
            users_by_second=(loaded,) * int(run_time_s),
            in_flight_at_stop=0,
            failures=(),
            locust_rows=(dataclasses.replace(values.LOCUST_ROW, request_count=number, failure_count=0),),
            lag_ms=dataclasses.replace(values.RECORDED.lag_ms, p99=self.lag_p99_ms),
        )
        ends = (began + 1 + steady_s * (n + 0.5) / number for n in range(number))
        values.write_recording(into, recorded, [values.request(end_s, took_ms) for end_s in ends])


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch, outside: FakeSystem) -> Knee:
    """The fake outside, with a knee at 95 users."""
    system = Knee(users=95)
    for look in ("sample", "machine_sample", "memory", "shape", "listens"):
        assert getattr(telemetry, look) == getattr(outside, look)
        monkeypatch.setattr(telemetry, look, getattr(system, look))
    return system


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> session.Options:
    """A session with a lock, results and a scratch folder of its own."""
    monkeypatch.setenv("PROMPTFLOW_SERVE_BENCH_LOCK", str(tmp_path / "lock"))
    values.write_flow(tmp_path / "flow")
    return session.Options(results=tmp_path / "results", scratch=tmp_path / "scratch")


def wanted(options: session.Options, *, releases: tuple[str, ...] = ("1.12.0",), resumes: bool = False) -> Wanted:
    """A search of the example flow for each release, after what is recorded."""
    folder = options.results.parent
    first = values.spec(folder / "flow")
    assert first.target is not None
    specs = [
        dataclasses.replace(
            first,
            profile=dataclasses.replace(first.profile, name=CAPACITY),
            target=Target(
                release=MATRIX.release(version), engine=first.target.engine, flow=first.target.flow, version="1.12.0"
            ),
        )
        for version in releases
    ]
    return Wanted(
        plan=Plan(runs=tuple(specs)),
        locks={one: Lock(path=folder / f"{one}.txt", digest="1" * 64, requirements=()) for one in releases},
        settings=SETTINGS,
        known=existing_searches.read(options.results, SETTINGS),
        here=machine.describe(),
        resumes=resumes,
    )


def made(options: session.Options, outside: Knee, asked: Wanted | None = None) -> CompletedSearch:
    """Search for the example flow, and give the last search."""
    folder = options.results.parent
    template = folder / "venv" / _TEMPLATE
    template.parent.mkdir(parents=True, exist_ok=True)
    template.write_text("gunicorn -w 2 -b 0.0.0.0:8080 app\n", encoding="utf-8")
    built = Environment(path=folder, python="3.11.9", site_packages=folder / "venv", distributions={}, built=False)
    lock = Lock(path=folder / "1.12.0.txt", digest="1" * 64, requirements=())

    def prepare(_matrix: Suite, _spec: RunSpec, _system: System, _progress: Progress) -> Prepared:
        return Prepared(environment=built, lock=lock)

    progress = Progress(outside.monotonic, Console(file=io.StringIO()))
    return capacity.make(MATRIX, asked or wanted(options), options, outside, progress, prepare)[-1]


def records(options: session.Options) -> list[RunRecord]:
    """Every record that was kept, in the order of the runs."""
    found = [read_record(path.parent) for path in options.results.rglob("record.json")]
    return sorted(found, key=lambda record: record.requested.round)


def test_search(options: session.Options, outside: Knee) -> None:
    """A search finds the knee of a server within the precision, and every run of it keeps a record."""
    one = made(options, outside)
    assert one.error is None
    assert one.search.found == CapacityResult(
        users=95, confirmed_by=(6, 7, 8), limit=Limit(users=100, verdict="missed")
    )
    requested = [record.requested for record in records(options)]
    assert [found.profile.users for found in requested] == [80, 120, 100, 90, 95, 95, 95, 95]
    assert len({found.seed for found in requested}) == 8


def test_records_tell_the_same(options: session.Options, outside: Knee) -> None:
    """The records of a search, read again, tell what the search found, run by run."""
    live = made(options, outside).search
    assert existing_searches.read(options.results, MATRIX.capacity) == [live]


def test_next_release_starts_near(options: session.Options, outside: Knee) -> None:
    """The next release of a session starts at the load of the one before, and needs fewer runs."""
    last = made(options, outside, wanted(options, releases=("1.12.0", "1.13.0"))).search
    first = existing_searches.read(options.results, SETTINGS)[0]
    assert [one.requested.release for one in (first, last)] == ["1.12.0", "1.13.0"]
    assert last.tried[0].trial.users == first.users == last.users
    assert len(last.tried) == capacity_search.usual_runs(last.settings) - 1 < len(first.tried)  # none is unlucky


def test_every_run_is_served_afresh(options: session.Options, outside: Knee) -> None:
    """Each run of a search has servers of its own, and nothing is left running."""
    one = made(options, outside)
    assert outside.events.count("start server") == len(one.search.tried)
    assert all(child.stopped for child in outside.children)


def test_generator_that_is_late(options: session.Options, outside: Knee) -> None:
    """Where the load generator is late there is no figure, and the session ends as invalid."""
    outside.lag_p99_ms = 12.0
    one = made(options, outside)
    assert {tried.judgement.verdict for tried in one.search.tried} == {"generator-bound"}
    with pytest.raises(InvalidMeasurementError, match="whose runs are valid and meet the objective"):
        capacity._verdict([one])


def test_server_that_does_not_start(options: session.Options, outside: Knee) -> None:
    """A server that does not start is tried twice, and the session ends as that run did."""
    outside.scripts["server"] = [Script(ends_s=0.5, ready_s=9.0)]
    one = made(options, outside)
    assert [record.outcome for record in records(options)] == ["failed", "failed"]
    with pytest.raises(ServerError, match="server ended with exit code 1"):
        capacity._verdict([one])


def test_server_that_dies_once(options: session.Options, outside: Knee) -> None:
    """One run that fails among good ones is repeated, and costs no capacity."""
    outside.scripts["server"] = [Script(), Script(ends_s=4.0), Script()]
    one = made(options, outside)
    assert one.search.users == 95
    assert isinstance(one.error, ServerError)
    assert capacity._verdict([one]) == 0


def test_interruption_keeps_what_was_measured(
    options: session.Options, outside: Knee, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted search keeps the runs before, and goes on from there when it is asked for what is missing."""
    sleeps = outside.sleep

    def sleep(seconds: float) -> None:
        """Press Ctrl-C under the second load."""
        if outside.events.count("start locust") == 2:
            raise KeyboardInterrupt
        sleeps(seconds)

    with monkeypatch.context() as patch:
        patch.setattr(Knee, "sleep", lambda _, seconds: sleep(seconds))
        interrupted(options, outside)
    assert len(records(options)) == 1
    assert all(child.stopped for child in outside.children)
    one = made(options, outside, wanted(options, resumes=True))
    assert one.search.users == 95
    assert [record.requested.round for record in records(options)] == list(range(1, len(one.search.tried) + 1))
    assert len({record.requested.search for record in records(options)}) == 1


def interrupted(options: session.Options, outside: Knee) -> None:
    """A search that Ctrl-C ends."""
    with pytest.raises(KeyboardInterrupt):
        made(options, outside)


def found_nothing(flow: str, limit: Limit) -> CompletedSearch:
    """A search that confirmed no load."""
    run = synthetic_runs.run(synthetic_runs.record(flow=flow))
    trial = Trial(number=1, phase="step", users=limit.users)
    tried = Tried(trial=trial, run=run, judgement=Judgement(verdict=limit.verdict))
    found = CapacityResult(users=None, confirmed_by=(), limit=limit)
    search = CapacitySearch(settings=SETTINGS, runs=(run,), tried=(tried,), found=found)
    return CompletedSearch(search=search, error=None)


def found_something() -> CompletedSearch:
    """A search that confirmed a load."""
    limit = Limit(users=90, verdict="missed")
    one = found_nothing("static_async", limit)
    found = CapacityResult(users=60, confirmed_by=(1,), limit=limit)
    return dataclasses.replace(one, search=dataclasses.replace(one.search, found=found))


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (
            Limit(users=1, verdict="missed"),
            "1.12.0 fastapi flex_async: no load was found that meets.*; 1 users miss it",
        ),
        (Limit(users=60, verdict="generator-bound"), "flex_async: no load was found whose runs"),
    ],
)
def test_verdict_without_a_figure(limit: Limit, message: str) -> None:
    """A session in which one scenario has no figure ends as invalid, and says whose and why."""
    with pytest.raises(InvalidMeasurementError, match=message) as caught:
        capacity._verdict([found_something(), found_nothing("flex_async", limit)])
    assert caught.value.exit_code == 6
    assert caught.value.then


def test_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The verb searches with what the command line asks for, prints what was found, and how to repeat it."""
    requested: list[tuple[object, ...]] = []

    def make(*arguments: object) -> list[CompletedSearch]:
        requested.append(arguments)
        return [found_something()]

    monkeypatch.setattr(capacity, "make", make)
    monkeypatch.setattr(capacity, "terminate_as_exception", lambda: None)
    options = ["--flow", "flex_async", "--python", "3.12", "--max-overhead-p99", "99.5", "--results", str(tmp_path)]
    assert capacity.main([*TARGET, *options]) == 0
    _, asked, how, *_ = requested[0]
    assert isinstance(asked, Wanted)
    runs = asked.plan.runs
    assert [(spec.flow, spec.python, spec.profile.name) for spec in runs] == [("flex_async", "3.12", CAPACITY)]
    assert asked.settings == dataclasses.replace(MATRIX.capacity, overhead_p99_max_ms=99.5)
    assert isinstance(how, session.Options)
    assert how.results == tmp_path
    out = capsys.readouterr().out
    assert "# Capacity of promptflow 1.12.0\n" in out
    repeat = "capacity-1.12.0-fastapi -- --flow flex_async --python 3.12 --max-overhead-p99 99.5"
    answer = "static_async: 180.1 requests/s by 60 users; at 90 users the objective is missed"
    assert out.endswith(f"Repeat with `nox -s {repeat}`.\n\n{answer}\n")


def test_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The document has the objective, the load, its throughput and every run; the estimate stands before it."""
    monkeypatch.setattr(capacity, "make", lambda *_arguments: [found_something()])
    monkeypatch.setattr(capacity, "terminate_as_exception", lambda: None)
    assert capacity.main([*TARGET, "--json"]) == 0
    out, said = capsys.readouterr()
    document = json.loads(out)
    (search,) = document["searches"]
    assert re.search(r"about \d+ minutes, at most \d+", said)
    assert (search["users"], search["limit"]) == (60, {"users": 90, "verdict": "missed"})
    assert formatting.significant(search["throughput_rps"]) in document["answer"]
    assert document["objective"]["overhead_p99_max_ms"] > 0


def test_dry_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A dry run prints the objective, the first loads and the most time that it can take, and builds nothing."""
    monkeypatch.setattr(virtualenvs, "ENVIRONMENTS", tmp_path)
    own = ["--flow", "static_async", "--max-overhead-p99", "100", "--results", str(tmp_path)]
    assert capacity.main([*TARGET, *own, "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1.12.0 fastapi static_async: users 60, 90, 135, 202, 303, 454, 681, 1000"
    assert lines[1].endswith("exceed the ideal time by at most 100 ms")
    assert lines[-1] == "1 search, about 4 minutes, at most 15; and virtualenvs that are not built"
    assert list(tmp_path.iterdir()) == []


def planned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *options: str) -> list[tuple[str, str, str]]:
    """Release, engine and flow of every search that a command line asks for."""
    found: list[tuple[str, str, str]] = []

    def describe(asked: Wanted) -> str:
        found.extend((spec.release, spec.engine, spec.flow) for spec in asked.plan.runs)
        return ""

    monkeypatch.setattr(capacity, "_describe", describe)
    assert capacity.main([*options, "--results", str(tmp_path), "--dry-run"]) == 0
    return found


def test_last_release_of_each_minor_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without names, the last release of each minor line is searched on all of its engines."""
    found = planned(monkeypatch, tmp_path)
    assert len(found) == len(set(found))
    assert {release for release, *_ in found} == {release.version for release in MATRIX.last_of_minors}
    assert {one for one in found if one[0] in ("1.0.0", "1.15.1")} == {
        ("1.0.0", "flask", "static_sync"),
        ("1.15.1", "flask", "static_sync"),
        ("1.15.1", "fastapi", "static_async"),
        ("1.15.1", "fastapi", "flex_async"),
    }


def test_missing_leaves_out_what_has_a_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """With `--missing` only searches without a result are made; where there is none, the session says so and ends."""
    monkeypatch.setattr(
        existing_searches, "missing", lambda _known, specs, *_: [spec for spec in specs if spec.flow == "flex_async"]
    )
    assert planned(monkeypatch, tmp_path, "1.18.5", "--missing") == [("1.18.5", "fastapi", "flex_async")]
    assert len(planned(monkeypatch, tmp_path, "1.18.5")) == 3
    capsys.readouterr()
    assert capacity.main(["1.18.5", "--flow", "static_async", "--missing", "--results", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "nothing is missing: every search has a result under this machine's conditions\n"


def test_names_and_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Named releases are searched on the named engine; without names, the releases that have it."""
    named = planned(monkeypatch, tmp_path, "1.18.5", "1.17.2", "--engine", "flask")
    assert named == [("1.18.5", "flask", "static_sync"), ("1.17.2", "flask", "static_sync")]
    of_engine = planned(monkeypatch, tmp_path, "--engine", "fastapi")
    assert {engine for _, engine, _ in of_engine} == {"fastapi"}
    assert min(release for release, *_ in of_engine) == "1.10.1"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--engin", "flask"], "unrecognized arguments: --engin"),
        ([*TARGET, "--profile", "smoke"], "unrecognized arguments: --profile smoke"),
        ([*TARGET, "--max-overhead", "5"], "did you mean '--max-overhead-p99'?"),
        ([*TARGET, "--max-overhead-p99", "fast"], "argument --max-overhead-p99: invalid float value: 'fast'"),
        ([*TARGET, "--dry-run", "--install-only"], "not allowed with argument --dry-run"),
    ],
)
def test_wrong_command_line(capsys: pytest.CaptureFixture[str], argv: list[str], message: str) -> None:
    """A wrong option is refused with exit code 2 and how to get help."""
    with pytest.raises(SystemExit) as caught:
        capacity.main(argv)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.endswith(f"  next: nox -s capacity{'-1.12.0-fastapi' if '--release' in argv else ''} -- --help\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--release", "1.12.9", "--engine", "flask"], "unknown release '1.12.9'; did you mean '1.12.0'"),
        ([*TARGET, "--flow", "flexasync"], "unknown flow 'flexasync'"),
        ([*TARGET, "--python", "2.7"], "does not cover Python 2.7"),
        *(
            ([*TARGET, "--max-overhead-p99", x], f"--max-overhead-p99 {x} is not a finite number")
            for x in ("0", "nan", "inf")
        ),
    ],
)
def test_wrong_choice(argv: list[str], message: str) -> None:
    """A choice that makes no sense is refused before anything starts."""
    with pytest.raises(UsageError, match=message):
        capacity.main(argv)


def test_install_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--install-only` builds the release's virtualenv, and searches for nothing."""
    prepared: list[str] = []
    monkeypatch.setattr(capacity, "make", lambda *_: pytest.fail("it searched"))
    monkeypatch.setattr(capacity, "terminate_as_exception", lambda: None)
    monkeypatch.setattr(session, "prepare_only", lambda _, spec, *__: prepared.append(spec.release))
    assert capacity.main([*TARGET, "--install-only"]) == 0
    assert prepared == ["1.12.0"]  # once for both flows
