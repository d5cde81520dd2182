"""Command lines that ask for what does not exist: each is answered before anything starts."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from scripts import __main__ as entry
from scripts.commands import cli
from scripts.config.matrix import ROOT
from tests.faults.checkout import Checkout, copied
from tests.faults.world import started

pytestmark = [pytest.mark.e2e, pytest.mark.fault]

TARGET = ("--release", "1.12.0", "--engine", "fastapi")


@pytest.mark.parametrize(
    ("args", "said", "then"),
    [
        (["--release", "1.21.0", "--engine", "flask"], "unknown release '1.21.0'; did you mean '1.2.0'?", "nox -l"),
        (["--release", "1.12.0", "--engine", "fastap"], "unknown engine 'fastap'; did you mean 'fastapi'?", "nox -l"),
        (
            [*TARGET, "--profile", "smokes"],
            "unknown profile 'smokes'; did you mean 'smoke'?",
            "repeat this command with another --profile",
        ),
        (
            [*TARGET, "--flow", "static_asink"],
            "did you mean 'static_async'?",
            "repeat this command with --flow and a name",
        ),
        ([*TARGET, "--profil", "smoke"], "did you mean '--profile'?", "nox -s bench-1.12.0-fastapi -- --help"),
        (
            [*TARGET, "--python", "3.13"],
            "does not cover Python 3.13; it covers 3.9",
            "nox -s bench-1.12.0-fastapi -- --python 3.11",
        ),
        ([*TARGET, "--rounds", "0"], "--rounds 0: from 1 to 1000", "nox -s bench-1.12.0-fastapi -- --rounds 1"),
        ([*TARGET, "--rounds", "many"], "invalid int value: 'many'", "nox -s bench-1.12.0-fastapi -- --help"),
        (["--release", "1.12.0"], "name --release and --engine, or --mock", "nox -s bench-1.12.0-fastapi -- --help"),
    ],
    ids=["release", "engine", "profile", "flow", "option", "python", "rounds", "number", "target"],
)
def test_a_wrong_word_is_answered_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    args: list[str], said: str, then: str,
) -> None:  # fmt: skip
    """A word that is not known ends the command with exit code 2, the nearest known one, and the next command."""
    lock = tmp_path / "machine.lock"
    monkeypatch.setenv("PROMPTFLOW_SERVE_BENCH_LOCK", str(lock))
    monkeypatch.setattr(sys, "argv", ["scripts", "bench", *args])
    with pytest.raises(SystemExit) as ended:
        cli.run(entry.main)
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert err.startswith("error: ")
    assert said in err
    assert f"\n  next: {then}" in err
    assert out == ""
    assert not lock.exists()


def test_a_flow_without_its_request_is_refused(tmp_path: Path) -> None:
    """A flow directory without request.json ends the command with exit code 2, and says what to write."""
    flow = tmp_path / "mine"
    shutil.copytree(ROOT / "flows" / "static_async", flow)
    (flow / "request.json").unlink()
    here = Checkout(root=ROOT, machine_lock=tmp_path / "machine.lock")
    ended = here.call("bench", *TARGET, "--flow", str(flow))
    assert ended.code == 2
    assert "flow 'mine' has no request.json" in ended.err
    assert f"next: write the body of a POST /score into {flow / 'request.json'}" in ended.err


def test_an_engine_that_the_release_never_had_is_refused(tmp_path: Path) -> None:
    """An engine that came with a later release ends the command with exit code 2, naming that release."""
    checkout = copied(tmp_path / "copy")
    suite = checkout.root / "suite.toml"
    text = suite.read_text(encoding="utf-8")
    assert 'since = "1.10.0"' in text
    suite.write_text(text.replace('since = "1.10.0"', 'since = "1.17.0"'), encoding="utf-8")
    ended = checkout.call("bench", *TARGET)
    assert ended.code == 2
    assert "promptflow 1.12.0 has no fastapi engine: it came with 1.17.0" in ended.err
    assert "next: nox -s bench-1.12.0-flask\n" in ended.err


def test_the_exit_code_passes_through_nox(tmp_path: Path) -> None:
    """A single nox session ends in the shell with the exit code of the command that it called."""
    argv = [sys.executable, "-m", "nox", "--session", "bench-1.12.0-fastapi", "--", "--profile", "zzz"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    lock = str(tmp_path / "machine.lock")
    ended = started(argv, ROOT, {"PROMPTFLOW_SERVE_BENCH_LOCK": lock, "PATH": path}).end()
    assert ended.code == 2, ended.err
    assert "error: unknown profile 'zzz'; known: " in ended.out + ended.err
