"""Every kind of mistake in suite.toml, and how it is reported."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scripts.config import matrix_file
from scripts.config.errors import UsageError
from tests.config.test_matrix import SEARCH, WHOLE, refused

MISTAKES = {
    "a table": ("[suite]", "[suit]", "table suit: unknown key; did you mean 'suite'?"),
    "a key of [suite]": ("[suite]\n", "[suite]\npyhton = 1\n", "[suite] pyhton: unknown key; did you mean 'python'?"),
    "no python": ('[suite]\npython = "3.11"', "[suite]", "[suite]: `python` must be a version such as '3.11'"),
    "a key of a release": ("uploaded = 2024-04-01", "upload = 2024-04-01", "did you mean 'uploaded'?"),
    "a missing key": ("uploaded = 2024-04-01\n", "", "[[release]] row 1: uploaded is missing"),
    "a date as text": ("uploaded = 2024-04-01", 'uploaded = "2024-04-01"', "[[release]] row 1 uploaded:"),
    "a date with a time": ("2024-04-01", "2024-04-01T00:00:00", "[[release]] row 1 uploaded:"),
    "a list as text": ('["3.9", "3.11"]', '"3.11"', "[[release_line]] row 1 pythons: '3.11' is not a list of"),
    "a version of what is unsupported": (
        'before = "1.10.0"',
        'before = "x"',
        "[[unsupported]] before: 'x' is not a version",
    ),
    "a release of a cause": (
        "[profile.report]",
        '[[cause]]\nrelease = "1.10.9"\nmetrics = []\ntext = ""\n[profile.report]',
        "[[cause]] 1.10.9: unknown release '1.10.9'; did you mean '1.10.0'",
    ),
    "an engine of a cause": (
        "[profile.report]",
        '[[cause]]\nrelease = "1.10.0"\nmetrics = []\nengines = ["fask"]\ntext = ""\n[profile.report]',
        "[[cause]] 1.10.0: unknown engine 'fask'; did you mean 'flask'",
    ),
    "a flow of a hole": ('"two"\nbefore', '"too"\nbefore', "too: no scenario has this flow; did you mean 'two'"),
    "an outcome of a hole": ('outcome = "failed"', 'outcome = "fails"', "'fails' is no outcome; did you mean 'failed'"),
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
    "no profile to count under": ("[profile.count]", "[profile.cuont]", "there is no [profile.count]"),
    "few windows": ("windows = 5", "windows = 4", "[count]: windows must be at least 5"),
    "no warm-up": ("warm_up_requests = 3", "warm_up_requests = 0", "[count]: warm_up_requests must be at least 1"),
    "a key of [soak]": ("capacity_share = 0.5", "capacity = 1", "[soak] capacity: unknown key; did you mean 'capa"),
    "no release to soak": ('releases = ["1.10.0"]', "releases = []", "[soak]: releases must name one at least"),
    "a release to soak": ('ses = ["1.10.0"]', 'ses = ["1.10.9"]', "[soak]: unknown release '1.10.9'; did you mean"),
    "more than the capacity": ("capacity_share = 0.5", "capacity_share = 2", "[soak]: capacity_share must be above 0"),
    "memory all the time": ("memory_every_s = 10", "memory_every_s = 4", "[soak]: memory_every_s must be at least 5"),
    "no profile to soak with": ("[profile.soak]", "[profile.soke]", "[soak]: there is no [profile.soak]"),
    "three at once": ("run_time_s = 60", "run_time_s = 60\nat_once = 3", "at_once must be 1 or 2"),
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
        matrix_file.load(tmp_path / "suite.toml")


@pytest.mark.fault
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("users = 1" + "0" * 5000, "cannot be read: Exceeds the limit"),
        ("a = " + "[" * 50_000, "cannot be read: "),
        ("[capacity]\ngrowth = 1" + "0" * 400, r"\[capacity\] growth: 1000*\.\.\. is not a finite number"),
        ("[capacity]\nstart_users = 1" + "0" * 400, r"\[capacity\] start_users: 1000*\.\.\. is not int"),
    ],
)
def test_absurd_content_is_refused(tmp_path: Path, content: str, message: str) -> None:
    """A number of thousands of digits and nesting without end are mistakes in the file, not tracebacks."""
    (tmp_path / "suite.toml").write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        matrix_file.load(tmp_path / "suite.toml")


@pytest.mark.fault
def test_pipe_is_no_suite_file(tmp_path: Path) -> None:
    """A pipe in the place of suite.toml is named; nothing waits for a writer."""
    os.mkfifo(tmp_path / "suite.toml")
    with pytest.raises(UsageError, match="it is a pipe, a device or a socket, not a file"):
        matrix_file.load(tmp_path / "suite.toml")
