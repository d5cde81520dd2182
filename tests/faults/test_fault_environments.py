"""Virtualenvs that cannot be built as their lock says: each is refused, and nothing half built is used."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.faults.checkout import Checkout, copied, resealed

pytestmark = [pytest.mark.e2e, pytest.mark.fault]

TARGET = ("--release", "1.12.0", "--engine", "fastapi")
TINY = """
[[release]]
version = "9.0.0"
uploaded = 2024-12-10
as_of = 2024-12-24

[[release_line]]
since = "9.0.0"
pythons = ["3.11"]
requirements = ["six==1.17.0"]
image = []
"""
"""A release that is one small package."""


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A copy to spoil."""
    return copied(tmp_path / "copy")


def missing(lock: Path) -> None:
    """Take the lock away."""
    lock.unlink()


def altered(lock: Path) -> None:
    """Change a version in the lock, and not its seal."""
    text = lock.read_text(encoding="utf-8")
    assert "\ngunicorn==20.1.0 " in text
    lock.write_text(text.replace("\ngunicorn==20.1.0 ", "\ngunicorn==20.0.4 "), encoding="utf-8")


def stale(lock: Path) -> None:
    """Change what the lock was made from."""
    suite = lock.parent.parent / "suite.toml"
    text = suite.read_text(encoding="utf-8")
    assert "as_of = 2024-06-25" in text
    suite.write_text(text.replace("as_of = 2024-06-25", "as_of = 2024-06-26"), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (missing, "there is no lock for 1.12.0"),
        (altered, "locks/1.12.0.txt was altered after it was written"),
        (stale, "locks/1.12.0.txt is stale: what it was made from has changed since"),
    ],
    ids=["missing", "altered", "stale"],
)
def test_a_lock_that_is_not_whole_is_refused(checkout: Checkout, spoil: Callable[[Path], None], said: str) -> None:
    """A missing, altered or stale lock ends the command with exit code 4 and the command that writes it again."""
    spoil(checkout.lock("1.12.0"))
    ended = checkout.call("bench", *TARGET, "--profile", "smoke")
    assert ended.code == 4
    assert said in ended.err
    assert "next: nox -s lock -- 1.12.0" in ended.err
    assert not (checkout.root / ".envs").exists()


def test_a_hash_that_was_exchanged_with_its_seal_is_refused_by_the_installer(checkout: Checkout) -> None:
    """Whoever alters a hash and makes the seal good again is caught by what is downloaded."""
    suite = checkout.root / "suite.toml"
    suite.write_text(suite.read_text(encoding="utf-8") + TINY, encoding="utf-8")
    locked = checkout.call("lock", "9.0.0")
    assert locked.code == 0, locked.err
    lock = checkout.lock("9.0.0")
    text = lock.read_text(encoding="utf-8")
    for found in re.findall(r"sha256:([0-9a-f]{64})", text):
        text = resealed(text, found, "0" * 64)
    lock.write_text(text, encoding="utf-8")
    ended = checkout.call("bench", "--release", "9.0.0", "--engine", "fastapi", "--install-only")
    assert ended.code == 4
    assert "locks/9.0.0.txt cannot be installed:" in ended.err
    assert "Hash mismatch for `six==1.17.0`" in ended.err
    assert "\n  next: see " in ended.err
    assert list((checkout.root / ".envs").iterdir()) == []


def test_a_python_that_is_not_installed_is_named(checkout: Checkout, tmp_path: Path) -> None:
    """A Python that the lock covers and the machine lacks ends the command with exit code 4, and is not fetched."""
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    env = {"PATH": str(nothing), "UV_PYTHON_INSTALL_DIR": str(nothing)}
    ended = checkout.call("bench", *TARGET, "--python", "3.12", "--install-only", env=env)
    assert ended.code == 4
    assert "Python 3.12 is not installed" in ended.err
    assert "next: uv python install 3.12" in ended.err
    assert not list(checkout.root.glob(".envs/*"))


def test_without_network_the_error_says_so(checkout: Checkout, tmp_path: Path) -> None:
    """An install that needs the network and has none ends with exit code 4, and leaves no half virtualenv."""
    env = {"UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "cache")}
    ended = checkout.call("bench", *TARGET, "--install-only", env=env)
    assert ended.code == 4
    assert "locks/1.12.0.txt cannot be installed:" in ended.err
    assert "network" in ended.err.split("next:", maxsplit=1)[0].lower()
    assert "if there was no network, repeat this command when there is one" in ended.err
    assert list((checkout.root / ".envs").iterdir()) == []


def test_an_interrupted_install_leaves_nothing_that_runs_or_counts_as_built(checkout: Checkout) -> None:
    """Ctrl-C while a virtualenv is built stops the installer, and the next command builds it again."""
    session = checkout.start("bench", *TARGET, "--install-only")
    session.wait_until(lambda: any(checkout.root.glob(".envs/*/lib/python3*/site-packages/*.dist-info")))
    session.signal(signal.SIGINT)
    ended = session.end()
    assert ended.code == 130, ended.err
    assert "Traceback" not in ended.err
    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if str(checkout.root) in command]
    assert not list(checkout.root.glob(".envs/*/built.txt"))
