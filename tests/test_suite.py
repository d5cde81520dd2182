"""The matrix: the committed file as it is, and every kind of mistake in it."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from scripts import flow, suite
from scripts.errors import UsageError
from scripts.suite import ROOT

SEARCH = """[capacity]
start_users = 10
growth = 2
precision = 0.1
max_users = 100
confirm_runs = 3
failure_ratio_max = 0
overhead_p99_max_ms = 100.0
[profile.capacity]
description = "a step of a search"
users = 10
spawn_rate = 5
run_time_s = 10
workers = 2
threads = 4
wait_min_s = 0.5
wait_max_s = 0.5
backend_wait_min_s = 0.5
backend_wait_max_s = 0.5
drain_s = 5
seed = 42
reported = false
"""
WHOLE = (
    """
[suite]
python = "3.11"
[tools]
python = "3.12"
as_of = 2026-01-02
[[release]]
version = "1.10.0"
uploaded = 2024-04-01
as_of = 2024-04-15
[[release]]
version = "1.9.0"
uploaded = 2024-03-01
as_of = 2024-03-15
[[release_line]]
since = "1.10.0"
pythons = ["3.9", "3.11"]
flows = ["one", "two"]
requirements = ["promptflow=={version}", "aiohttp"]
image = ["gunicorn==20.1.0"]
[[release_line]]
since = "1.0.0"
pythons = ["3.11"]
flows = ["one"]
requirements = ["promptflow=={version}"]
image = []
[engine.flask]
title = "Flask"
since = "1.0.0"
[engine.fastapi]
title = "FastAPI"
since = "1.10.0"
[[scenario]]
engine = "flask"
flow = "one"
title = "Flask + One"
[[scenario]]
engine = "fastapi"
flow = "two"
title = "FastApi + Two"
[[scenario]]
engine = "flask"
flow = "two"
title = "Flask + Two"
[profile.report]
description = "the published one"
users = 500
spawn_rate = 50
run_time_s = 60
workers = 8
threads = 4
wait_min_s = 1
wait_max_s = 2.0
backend_wait_min_s = 1.0
backend_wait_max_s = 1.0
drain_s = 0
seed = 42
reported = true
"""
    + SEARCH
)


def write(path: Path, text: str) -> Path:
    """Write a suite file."""
    file = path / "suite.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refused(path: Path, text: str) -> str:
    """The message about a suite file that is refused."""
    with pytest.raises(UsageError) as caught:
        suite.load(write(path, text))
    assert caught.value.then
    return caught.value.message


def test_committed_file_loads() -> None:
    """The committed suite.toml is whole, and its report profile is the published Config."""
    report = suite.load().profile("report")
    assert (report.users, report.spawn_rate, report.run_time_s) == (500, 50, 60)
    assert (report.workers, report.threads, report.reported) == (8, 4, True)


def test_committed_flows_exist() -> None:
    """Every flow that a release line names lies in flows/, and can be read."""
    for name in {name for line in suite.load().lines for name in line.flows}:
        assert flow.read(ROOT / "flows" / name).name == name


def test_targets() -> None:
    """Every release has a session for each of its engines."""
    matrix = suite.load()
    names = [suite.session_name(*target) for target in matrix.targets()]
    assert len(names) == len(set(names)) == 2 * len(matrix.releases)
    assert "bench-1.12.0-fastapi" in names


def test_new_release_row_adds_its_sessions(tmp_path: Path) -> None:
    """One more [[release]] row is all that a release needs for its sessions and its lock."""
    row = '[[release]]\nversion = "2.0.0"\nuploaded = 2027-01-01\nas_of = 2027-01-15\n'
    committed = (ROOT / "suite.toml").read_text(encoding="utf-8")
    before = suite.load()
    after = suite.load(write(tmp_path, committed + row))
    added = [suite.session_name(*target) for target in after.targets() if target not in before.targets()]
    assert added == ["bench-2.0.0-flask", "bench-2.0.0-fastapi"]
    assert "promptflow==2.0.0" in after.requirements(after.release("2.0.0"))


def test_order_is_by_version(tmp_path: Path) -> None:
    """Releases are in version order, however they are written: 1.9.0 before 1.10.0."""
    matrix = suite.load(write(tmp_path, WHOLE))
    assert [release.version for release in matrix.releases] == ["1.9.0", "1.10.0"]


def test_newest_line_applies(tmp_path: Path) -> None:
    """A release takes the newest line that is not after it, whole."""
    matrix = suite.load(write(tmp_path, WHOLE))
    old, new = matrix.releases
    assert matrix.line(old).flows == ("one",)
    assert matrix.requirements(old) == ("promptflow==1.9.0",)
    assert matrix.requirements(new) == ("promptflow==1.10.0", "aiohttp", "gunicorn==20.1.0")


def test_engine_and_flow_by_release(tmp_path: Path) -> None:
    """A release has only engines that it had, and its scenarios only flows that it can serve."""
    matrix = suite.load(write(tmp_path, WHOLE))
    old, new = matrix.releases
    flask, fastapi = matrix.engines
    assert matrix.targets() == [(old, flask), (new, flask), (new, fastapi)]
    assert matrix.scenario_flows(old, flask) == ("one",)
    assert matrix.scenario_flows(new, flask) == ("one", "two")


def test_values_are_typed(tmp_path: Path) -> None:
    """A whole number may stand for a number of seconds, and dates are dates."""
    matrix = suite.load(write(tmp_path, WHOLE))
    assert isinstance(matrix.profile("report").wait_min_s, float)
    assert matrix.tools.as_of == datetime.date(2026, 1, 2)
    assert matrix.profile("report").ramp_s == 9


def test_least_steady_window(tmp_path: Path) -> None:
    """Three seconds with all users are enough for a profile."""
    assert suite.load(write(tmp_path, WHOLE.replace("run_time_s = 60", "run_time_s = 12", 1))).profiles[0].ramp_s == 9


MISTAKES = {
    "a table": ("[suite]", "[suit]", "table suit: unknown key; did you mean 'suite'?"),
    "a key of [suite]": ("[suite]\n", "[suite]\npyhton = 1\n", "[suite] pyhton: unknown key; did you mean 'python'?"),
    "no python": ('[suite]\npython = "3.11"', "[suite]", "[suite]: `python` must be a version such as '3.11'"),
    "a key of a release": ("uploaded = 2024-04-01", "upload = 2024-04-01", "did you mean 'uploaded'?"),
    "a missing key": ("uploaded = 2024-04-01\n", "", "[[release]] row 1: uploaded is missing"),
    "a date as text": ("uploaded = 2024-04-01", 'uploaded = "2024-04-01"', "[[release]] row 1 uploaded:"),
    "a date with a time": ("2024-04-01", "2024-04-01T00:00:00", "[[release]] row 1 uploaded:"),
    "a list as text": ('flows = ["one"]', 'flows = "one"', "[[release_line]] row 2 flows: 'one' is not a list of"),
    "a number as text": ("users = 500", 'users = "500"', "[profile.report] users: '500' is not int"),
    "a truth as a number": ("users = 500", "users = true", "[profile.report] users: True is not int"),
    "a fraction of a user": ("users = 500", "users = 1.5", "[profile.report] users: 1.5 is not int"),
    "a single table": ("[tools]", "[[tools]]", "[tools]"),
    "an engine that is no table": ("[suite]", "engine.x = 3\n[suite]", "[engine.x]: title is missing"),
    "a name": ("[engine.flask]", '[engine."a b"]', "[engine.a b]: a name has letters, digits"),
    "a release version": ('version = "1.10.0"', 'version = "one"', "[[release]] version: 'one' is not a version"),
    "a since of a line": ('since = "1.10.0"\np', 'since = "x"\np', "[[release_line]] since: 'x' is not a version"),
    "a since of an engine": ('"FastAPI"\nsince = "1.10.0"', '"F"\nsince = "x"', "[engine] since: 'x' is not a version"),
    "a Python": ('[suite]\npython = "3.11"', '[suite]\npython = "3"', "'3' is not a Python version such as '3.11'"),
    "a Python of the tools": ('python = "3.12"', 'python = "3.x"', "'3.x' is not a Python version"),
    "the tables' own Python": ('["3.9", "3.11"]', '["3.9"]', "since 1.10.0: pythons leaves out 3.11, [suite] python"),
    "a release twice": ('version = "1.9.0"', 'version = "1.10.0"', "[[release]] version: 1.10.0 is there twice"),
    "a line twice": ('since = "1.0.0"\np', 'since = "1.10.0"\np', "[[release_line]] since: 1.10.0 is there twice"),
    "a scenario twice": ('"fastapi"\nflow', '"flask"\nflow', "[[scenario]]: flask two is there twice"),
    "locked before the upload": ("as_of = 2024-04-15", "as_of = 2024-03-31", "1.10.0: as_of is before uploaded"),
    "no line for a release": ('since = "1.0.0"\np', 'since = "1.9.1"\np', "1.9.0: no [[release_line]] has a `since`"),
    "a requirement": ('"aiohttp"', '"aio http"', "since 1.10.0: 'aio http' is not a requirement"),
    "a placeholder": ('"aiohttp"', '"aiohttp=={release}"', "'aiohttp=={release}' is not a requirement"),
    "a brace": ('"aiohttp"', '"aiohttp{"', "'aiohttp{' is not a requirement"),
    "an engine of a scenario": (
        'engine = "fastapi"',
        'engine = "fastapy"',
        "unknown engine 'fastapy'; did you mean 'fas",
    ),
    "a flow of a scenario": (
        'flow = "one"',
        'flow = "ones"',
        "ones: no release line serves this flow; did you mean 'one'",
    ),
    "no user": ("users = 500", "users = 0", "[profile.report]: users must be at least 1"),
    "no spawn rate": ("spawn_rate = 50", "spawn_rate = 0", "[profile.report]: spawn_rate must be at least 1"),
    "no threads": ("threads = 4", "threads = -1", "[profile.report]: threads must be at least 1"),
    "a wait that is no number": ("wait_min_s = 1\n", "wait_min_s = nan\n", "wait_min_s: nan is not a finite number"),
    "an endless wait": ("wait_max_s = 2.0", "wait_max_s = inf", "wait_max_s: inf is not a finite number"),
    "a truth as seconds": ("wait_max_s = 2.0", "wait_max_s = true", "wait_max_s: True is not a finite number"),
    "a negative wait": ("wait_min_s = 1\n", "wait_min_s = -1\n", "[profile.report]: wait_min_s must not be negative"),
    "a negative drain": ("drain_s = 0", "drain_s = -1", "[profile.report]: drain_s must not be negative"),
    "waits upside down": ("wait_max_s = 2.0", "wait_max_s = 0.5", "wait_max_s is less than wait_min_s"),
    "backend waits upside down": ("backend_wait_min_s = 1.0", "backend_wait_min_s = 3", "backend_wait_max_s is less"),
    "an endless ramp": (
        "run_time_s = 60",
        "run_time_s = 10",
        "ramp and warm-up take 9 s of run_time_s (10 s), which leaves less than 3 s",
    ),
    "a long warm-up": (
        "run_time_s = 60",
        "run_time_s = 60\nwarm_up_s = 49",
        "ramp and warm-up take 58 s of run_time_s (60 s), which leaves less than 3 s",
    ),
    "a key of [capacity]": ("growth = 2", "grow = 2", "[capacity] grow: unknown key; did you mean 'growth'?"),
    "a start above the most": ("max_users = 100", "max_users = 9", "[capacity]: max_users is less than start_users"),
    "no profile to search with": ("[profile.capacity]", "[profile.capasity]", "there is no [profile.capacity]"),
    "a warm-up before its start": ("run_time_s = 60", "run_time_s = 60\nwarm_up_s = -1", "warm_up_s must not be"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(tmp_path: Path, name: str) -> None:
    """A mistake in the file is refused by the name of its table and key, with the nearest legal word."""
    old, new, message = MISTAKES[name]
    assert old in WHOLE
    assert message in refused(tmp_path, WHOLE.replace(old, new, 1))


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """One error lists everything that is wrong, with a number of problems that is right."""
    text = WHOLE.replace("uploaded", "upload").replace("users = 500", "user = 500").replace('"FastAPI"', "3")
    message = refused(tmp_path, text)
    assert message.startswith("suite.toml has 7 problem(s):")
    assert message.count("\n  - ") == 7


def test_table_in_the_place_of_rows(tmp_path: Path) -> None:
    """A single table where rows belong is refused with how to write them."""
    message = refused(tmp_path, SEARCH + WHOLE.partition("[[scenario]]")[0] + "[scenario]\nengine = 'flask'\n")
    assert message.splitlines() == ["suite.toml has 1 problem(s):", "  - [scenario]: write [[scenario]] for each row"]


def test_nothing_declared(tmp_path: Path) -> None:
    """A matrix without releases, lines or engines is refused."""
    message = refused(tmp_path, SEARCH + '[suite]\npython = "3.11"\n[tools]\npython = "3.11"\nas_of = 2026-01-02\n')
    for what in ("release", "release_line", "engine"):
        assert f"[{what}]: none declared" in message


@pytest.mark.parametrize("content", [b"[suite", b"\xff\xfe", None])
def test_unreadable(tmp_path: Path, content: bytes | None) -> None:
    """A file that is no TOML, no text or not there is refused by its name."""
    if content is not None:
        (tmp_path / "suite.toml").write_bytes(content)
    with pytest.raises(UsageError, match=r"suite.toml cannot be read"):
        suite.load(tmp_path / "suite.toml")


@pytest.mark.parametrize(
    ("what", "wrong", "nearest"),
    [("release", "1.12.1", "1.12.0"), ("engine", "fastpi", "fastapi"), ("profile", "smoky", "smoke")],
)
def test_unknown_choice(what: str, wrong: str, nearest: str) -> None:
    """A release, engine or profile that does not exist is refused with the nearest one."""
    with pytest.raises(UsageError, match=f"unknown {what} '{wrong}'; did you mean '{nearest}'"):
        getattr(suite.load(), what)(wrong)
