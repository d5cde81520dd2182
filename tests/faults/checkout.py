"""A copy of what a command line needs of the checkout, to be spoilt."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.config.matrix import ROOT
from tests.faults.world import Ended, Session, started

NEEDED = ("noxfile.py", "suite.toml", "pyproject.toml", "scripts", "locks", "flows", "locustfiles", "docs")


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkout:
    """A directory with `scripts`, and a lock of the machine that no other test shares."""

    root: Path
    machine_lock: Path

    def call(self, verb: str, *args: str, env: Mapping[str, str] | None = None) -> Ended:
        """Call `python -m scripts <verb>` in it."""
        return self.start(verb, *args, env=env).end()

    def start(self, verb: str, *args: str, env: Mapping[str, str] | None = None) -> Session:
        """Start the same, and do not wait for it."""
        argv = [sys.executable, "-m", "scripts", verb, *args]
        return started(argv, self.root, {"PROMPTFLOW_SERVE_BENCH_LOCK": str(self.machine_lock), **(env or {})})

    def lock(self, name: str) -> Path:
        """One of its locks."""
        return self.root / "locks" / f"{name}.txt"


def copied(at: Path) -> Checkout:
    """A copy of the checkout in a directory."""
    for name in NEEDED:
        source, target = ROOT / name, at / name
        if source.is_dir():
            shutil.copytree(source, target)  # with what is compiled already
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return Checkout(root=at, machine_lock=at / "machine.lock")


def resealed(lock: str, old: str, new: str) -> str:
    """A lock's text with something replaced in its body, and the seal over the body made good again."""
    head, body = lock.split("\n# content sha256 ")
    seal, body = body.split("\n", 1)
    assert seal == hashlib.sha256(body.encode()).hexdigest()
    assert old in body
    body = body.replace(old, new)
    return f"{head}\n# content sha256 {hashlib.sha256(body.encode()).hexdigest()}\n{body}"
