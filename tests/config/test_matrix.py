"""The matrix: the committed file as it is, and what belongs together in any."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from scripts.config import flows, matrix, matrix_file
from scripts.config.errors import UsageError
from scripts.config.matrix import ROOT

LOAD = """workers = 2
threads = 4
wait_min_s = 0.5
wait_max_s = 0.5
backend_wait_min_s = 0.5
backend_wait_max_s = 0.5
drain_s = 5
seed = 42
reported = false
"""
SEARCH = f"""[capacity]
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
{LOAD}[count]
warm_up_requests = 3
windows = 5
window_requests = 2
[profile.count]
description = "counted work"
users = 1
spawn_rate = 1
run_time_s = 10
workers = 1
threads = 1
wait_min_s = 0.0
wait_max_s = 0.0
backend_wait_min_s = 0.5
backend_wait_max_s = 0.5
drain_s = 5
seed = 42
reported = false
[soak]
releases = ["1.10.0"]
capacity_share = 0.5
memory_every_s = 10
[profile.soak]
description = "a long load"
users = 10
spawn_rate = 5
run_time_s = 100
{LOAD}"""
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
requirements = ["promptflow=={version}", "aiohttp"]
image = ["gunicorn==20.1.0"]
[[release_line]]
since = "1.0.0"
pythons = ["3.11"]
workers = 8
threads = 1
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
[[unsupported]]
flow = "two"
before = "1.10.0"
outcome = "failed"
reason = "it ends"
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
        matrix_file.load(write(path, text))
    assert caught.value.then
    return caught.value.message


def test_committed_file_loads() -> None:
    """The committed suite.toml is whole, and its report profile is the published Config."""
    report = matrix_file.load().profile("report")
    assert (report.users, report.spawn_rate, report.run_time_s) == (500, 50, 60)
    assert (report.workers, report.threads, report.reported) == (8, 4, True)


def test_committed_flows_exist() -> None:
    """Every flow that a scenario names lies in flows/, and can be read."""
    for name in matrix_file.load().flows:
        assert flows.read(ROOT / "flows" / name).name == name


def test_targets() -> None:
    """Every release has a session for each of its engines."""
    suite = matrix_file.load()
    names = [matrix.session_name(*target) for target in suite.targets()]
    assert len(names) == len(set(names))
    assert {f"bench-{release.version}-flask" for release in suite.releases} < set(names)
    assert "bench-1.10.0-fastapi" in names
    assert "bench-1.9.0-fastapi" not in names


def test_all_final_releases_are_there() -> None:
    """From 1.0.0 to 1.18.5 there were 33 final releases; the first and the last are named here."""
    versions = [release.version for release in matrix_file.load().releases]
    assert (len(versions), versions[0], versions[-1]) == (33, "1.0.0", "1.18.5")


def test_unsupported(tmp_path: Path) -> None:
    """A flow that a release cannot serve has a reason; of a flow that nobody knows nothing is said."""
    suite = matrix_file.load(write(tmp_path, WHOLE))
    old, new = suite.releases
    found = suite.why_unsupported(old, "two")
    assert found is not None
    assert (found.outcome, found.reason) == ("failed", "it ends")
    assert (
        suite.why_unsupported(new, "two"),
        suite.why_unsupported(old, "one"),
        suite.why_unsupported(old, "mine"),
    ) == (None, None, None)
    assert (suite.can_serve(old), suite.can_serve(new)) == (("one",), ("one", "two"))


def test_workers_that_a_release_fixes(tmp_path: Path) -> None:
    """Where the server's own command fixes workers and threads, the profile has these; elsewhere what it says."""
    suite = matrix_file.load(write(tmp_path, WHOLE))
    served = [suite.load(release, "report") for release in suite.releases]
    assert [(one.workers, one.threads, one.users) for one in served] == [(8, 1, 500), (8, 4, 500)]


def test_new_release_row_adds_its_sessions(tmp_path: Path) -> None:
    """One more [[release]] row is all that a release needs for its sessions and its lock."""
    row = '[[release]]\nversion = "2.0.0"\nuploaded = 2027-01-01\nas_of = 2027-01-15\n'
    committed = (ROOT / "suite.toml").read_text(encoding="utf-8")
    before = matrix_file.load()
    after = matrix_file.load(write(tmp_path, committed + row))
    added = [matrix.session_name(*target) for target in after.targets() if target not in before.targets()]
    assert added == ["bench-2.0.0-flask", "bench-2.0.0-fastapi"]
    assert "promptflow==2.0.0" in after.requirements(after.release("2.0.0"))


def test_order_is_by_version(tmp_path: Path) -> None:
    """Releases are in version order, however they are written: 1.9.0 before 1.10.0."""
    suite = matrix_file.load(write(tmp_path, WHOLE))
    assert [release.version for release in suite.releases] == ["1.9.0", "1.10.0"]


def test_newest_line_applies(tmp_path: Path) -> None:
    """A release takes the newest line that is not after it, whole."""
    suite = matrix_file.load(write(tmp_path, WHOLE))
    old, new = suite.releases
    assert suite.line(old).workers == 8
    assert suite.line(new).workers == 0
    assert suite.requirements(old) == ("promptflow==1.9.0",)
    assert suite.requirements(new) == ("promptflow==1.10.0", "aiohttp", "gunicorn==20.1.0")


def test_engine_and_flow_by_release(tmp_path: Path) -> None:
    """A release has only engines that it had, and its scenarios only flows that it can serve."""
    suite = matrix_file.load(write(tmp_path, WHOLE))
    old, new = suite.releases
    flask, fastapi = suite.engines
    assert suite.targets() == [(old, flask), (new, flask), (new, fastapi)]
    assert suite.scenario_flows(old, flask) == ("one",)
    assert suite.scenario_flows(new, flask) == ("one", "two")


def test_values_are_typed(tmp_path: Path) -> None:
    """A whole number may stand for a number of seconds, and dates are dates."""
    suite = matrix_file.load(write(tmp_path, WHOLE))
    assert isinstance(suite.profile("report").wait_min_s, float)
    assert suite.tools.as_of == datetime.date(2026, 1, 2)
    assert suite.profile("report").ramp_s == 9


def test_shortest_steady_window(tmp_path: Path) -> None:
    """Three seconds with all users are enough for a profile."""
    assert (
        matrix_file.load(write(tmp_path, WHOLE.replace("run_time_s = 60", "run_time_s = 12", 1))).profiles[0].ramp_s
        == 9
    )


@pytest.mark.parametrize(
    ("what", "wrong", "nearest"),
    [("release", "1.12.00", "1.12.0"), ("engine", "fastpi", "fastapi"), ("profile", "smoky", "smoke")],
)
def test_unknown_choice(what: str, wrong: str, nearest: str) -> None:
    """A release, engine or profile that does not exist is refused with the nearest one."""
    with pytest.raises(UsageError, match=f"unknown {what} '{wrong}'; did you mean '{nearest}'"):
        getattr(matrix_file.load(), what)(wrong)


@pytest.mark.parametrize(
    ("text", "version"), [("1.12.0", "1.12.0"), ("v1.12.0", "1.12.0"), ("latest", None), ("vv1.12.0", ""), ("dist", "")]
)
def test_names_of_a_release(text: str, version: str | None) -> None:
    """A release is named by its version, with a v before it, or as the latest; nothing else names one."""
    suite = matrix_file.load()
    found, newest = suite.named(text), suite.releases[-1].version
    assert (found.version if found else "") == (newest if version is None else version)


def test_last_release_of_each_minor_line() -> None:
    """Each minor line has one last release, a post-release and a patch release among them."""
    last = [release.version for release in matrix_file.load().last_of_minors]
    assert {"1.0.0", "1.15.1", "1.16.2", "1.18.5"} <= set(last)
    assert not {"1.1.0", "1.15.0", "1.15.0.post1"} & set(last)
    assert len({tuple(version.split(".")[:2]) for version in last}) == len(last)
