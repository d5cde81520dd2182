"""Texts and variables made fit for a public record."""

from __future__ import annotations

import getpass
import platform
import tempfile
from pathlib import Path

import pytest

from scripts.config.matrix import ROOT
from scripts.host import telemetry
from scripts.serving import redaction

HOME = Path.home()
TEMP = Path(tempfile.gettempdir())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"see {ROOT}/.scratch/x/server.log", "see .scratch/x/server.log"),
        (f"see {HOME}/flows/mine", "see flows/mine"),
        (f"in {HOME}", "in "),
        (f"in '{HOME}'", "in ''"),
        (f"{TEMP}/x.sock is taken", "x.sock is taken"),
        ('File "/usr/lib/python3.11/site-packages/x.py", line 3', 'File "x.py", line 3'),
        ("PATH=/usr/bin/:/opt/a-b/c", "PATH=:/opt/a-b/c"),
        ("GET /health and POST /score", "GET /health and POST /score"),
        ("http://127.0.0.1:4242/score", "http://127.0.0.1:PORT/score"),
        ("connect to 10.1.2.3:80 or 127.0.0.1", "connect to ADDRESS or 127.0.0.1"),
        (
            f"on {platform.node()}: refused",
            "on HOST: refused" if len(platform.node()) > 2 else f"on {platform.node()}: refused",
        ),
        ("see https://example.org/a/b/c", "see https://example.org/a/b/c"),
        ("3/4 of 1/2", "3/4 of 1/2"),
        ("see locks/1.12.0.txt", "see locks/1.12.0.txt"),
    ],
)
def test_text(text: str, expected: str) -> None:
    """Directories, addresses and ports of this machine are taken out; routes and the project's own paths stay."""
    assert redaction.text(text) == expected


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of this host and of its user are taken out, but not where they are part of another word."""
    monkeypatch.setattr(platform, "node", lambda: "build7")
    monkeypatch.setattr(getpass, "getuser", lambda: "alice")
    assert redaction.text("build7: alice, malice and build77") == "HOST: USER, malice and build77"


def test_environment() -> None:
    """A server's variables are shown sorted, without the marker, a path only as one, a port only as PORT."""
    shown = redaction.environment(
        {
            "PROMPTFLOW_WORKER_NUM": "8",
            "PATH": "/opt/x/bin:/usr/bin",
            "HOME": "/home/someone",
            "MOCK_API_ENDPOINT": "http://127.0.0.1:4242/",
            telemetry.MARKER: "/var/lock/x",
        }
    )
    assert list(shown.items()) == [
        ("HOME", "PATH"),
        ("MOCK_API_ENDPOINT", "http://127.0.0.1:PORT/"),
        ("PATH", "PATH"),
        ("PROMPTFLOW_WORKER_NUM", "8"),
    ]
