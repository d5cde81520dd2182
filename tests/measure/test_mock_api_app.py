"""The mock API: its settings by table, its waits and its counts for real."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.measure.mock_api_app import Settings, SettingsError, read_settings
from tests.fakes.ports import wait_for_port

ROOT = Path(__file__).resolve().parent.parent.parent
LEAST_S, MOST_S, SEED = 0.05, 0.15, 7


def command(port: int) -> list[str]:
    """Start the mock as the suite does."""
    server = ["-m", "uvicorn", "scripts.measure.mock_api_app:app", "--host", "127.0.0.1", "--port", str(port)]
    return [sys.executable, *server, "--no-access-log", "--timeout-keep-alive", "75"]


def environment(**settings: str) -> dict[str, str]:
    """Make a small environment."""
    return {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **settings}


@contextmanager
def running() -> Iterator[tuple[str, int]]:
    """Serve the mock; give its URL and port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = environment(MIN_WAIT_TIME_SEC=str(LEAST_S), MAX_WAIT_TIME_SEC=str(MOST_S), MOCK_SEED=str(SEED))
    with subprocess.Popen(command(port), cwd=ROOT, env=variables, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port)
            yield f"http://127.0.0.1:{port}", port
        finally:
            process.terminate()


def get(url: str) -> Any:  # noqa: ANN401 - JSON
    """GET a JSON object."""
    with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310 - loopback
        return json.load(reply)


@pytest.mark.parametrize(
    ("variables", "settings"),
    [
        ({}, Settings(min_wait_s=1, max_wait_s=1, seed=42)),
        (
            {"MIN_WAIT_TIME_SEC": "0", "MAX_WAIT_TIME_SEC": "2.5", "MOCK_SEED": "-3"},
            Settings(min_wait_s=0, max_wait_s=2.5, seed=-3),
        ),
    ],
)
def test_settings(variables: dict[str, str], settings: Settings) -> None:
    """Settings come from the environment, and are the published ones where it says nothing."""
    assert read_settings(variables) == settings


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"MIN_WAIT_TIME_SEC": "soon"}, "MIN_WAIT_TIME_SEC"),
        ({"MIN_WAIT_TIME_SEC": "-1"}, "MIN_WAIT_TIME_SEC"),
        ({"MAX_WAIT_TIME_SEC": "nan"}, "MAX_WAIT_TIME_SEC"),
        ({"MAX_WAIT_TIME_SEC": "inf"}, "MAX_WAIT_TIME_SEC"),
        ({"MAX_WAIT_TIME_SEC": ""}, "MAX_WAIT_TIME_SEC"),
        ({"MIN_WAIT_TIME_SEC": "2", "MAX_WAIT_TIME_SEC": "1"}, "is less than"),
        ({"MOCK_SEED": "1.5"}, "MOCK_SEED"),
    ],
)
def test_bad_settings(variables: dict[str, str], named: str) -> None:
    """A setting that makes no sense is refused by name."""
    with pytest.raises(SettingsError, match=named):
        read_settings(variables)


@pytest.mark.e2e
def test_does_not_start_on_bad_settings() -> None:
    """The mock ends at once and says which variable is wrong."""
    ended = subprocess.run(
        command(0),
        cwd=ROOT,
        env=environment(MOCK_SEED="x"),
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert ended.returncode != 0
    assert "MOCK_SEED must be an integer, not 'x'" in ended.stderr


@pytest.mark.e2e
def test_waits_and_counts() -> None:
    """Waits repeat with the seed and are really waited; a caller that goes away is received, not answered."""
    draws = random.Random(SEED)  # noqa: S311 - the mock draws the same
    with running() as (url, port):
        assert get(f"{url}/health") == {"status": "ok"}
        for _ in range(3):
            before = time.monotonic()
            answer = get(f"{url}/")
            assert answer == {
                "total_time_sec": draws.uniform(LEAST_S, MOST_S),
                "min_wait_time_sec": LEAST_S,
                "max_wait_time_sec": MOST_S,
            }
            assert time.monotonic() - before >= answer["total_time_sec"]
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.sendall(b"GET / HTTP/1.1\r\nHost: mock\r\n\r\n")
            time.sleep(LEAST_S / 2)
        time.sleep(2 * MOST_S)
        assert get(f"{url}/counts") == {"received": 4, "answered": 3}
