"""What no linter checks: waiting goes through one door, and every test says what it shows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from scripts.config.matrix import ROOT

SCRIPTS = sorted((ROOT / "scripts").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


def name_of(path: Path) -> str:
    """The path below the project's root."""
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    """The module, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_no_sleep_outside_the_door(path: Path) -> None:
    """Only `host.process` waits on the clock, so tests never do."""
    sleeps = [
        node
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr == "sleep" and ast.unparse(node.value) == "time"
    ]
    assert name_of(path) == "scripts/host/process.py" or sleeps == []


@pytest.mark.parametrize("path", TESTS, ids=name_of)
def test_every_test_states_one_behaviour(path: Path) -> None:
    """A test's docstring is one sentence on one line."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            assert len((ast.get_docstring(node) or "\n").splitlines()) == 1, f"{path.name}:{node.name}"
