"""What --help says: every default that it names is the one that the code has."""

from __future__ import annotations

import argparse
import importlib
import re
from pathlib import Path

import pytest

from scripts import __main__ as entry
from scripts.campaign.stopping_rule import ROUNDS
from scripts.commands import cli, gate
from scripts.config.matrix import ROOT

TARGET = ["--release", "1.12.0", "--engine", "fastapi"]
CALLS: list[tuple[str, list[str]]] = [(verb, []) for verb in entry.verbs()] + [("bench", ["--mock"])]
# Where the parser has no default of its own, and the verb looks it up.
LOOKED_UP = {
    "the scenarios of the engine", "the scenarios of the engines", "all", "all locks", "this one",
    "[suite] python of suite.toml", "that of the flow's scenario", "overhead_p99_max_ms of suite.toml's [capacity]",
    "the metrics and thresholds of docs/comparing.md", "results/report.html", "the first scenario of each engine",
    "run_time_s of suite.toml's [profile.soak]",
}  # fmt: skip

ENDS = ("rounds",)  # of campaigns: the next test


class CapturedError(Exception):
    """Ends a verb as soon as its parser is complete."""


def parser_of(verb: str, monkeypatch: pytest.MonkeyPatch, argv: list[str] | None = None) -> cli.Parser:
    """The complete parser of a verb."""
    found: list[cli.Parser] = []

    def capture(self: cli.Parser, *_arguments: object) -> None:
        found.append(self)
        raise CapturedError

    monkeypatch.setattr(cli.Parser, "parse_args", capture)
    with pytest.raises(CapturedError):
        importlib.import_module(f"scripts.commands.{verb.replace('-', '_')}").main(argv or [])
    return found[0]


@pytest.mark.parametrize(("verb", "argv"), CALLS, ids=[" ".join([verb, *argv]) for verb, argv in CALLS])
def test_defaults(monkeypatch: pytest.MonkeyPatch, verb: str, argv: list[str]) -> None:
    """A default that the help of an option names is the parser's, or the verb is known to look it up."""
    for action in parser_of(verb, monkeypatch, argv)._actions:
        named = re.search(r"\(default: (.*)\)$", action.help or "")
        if named is None:
            assert action.help == argparse.SUPPRESS or action.default in (None, [], False, argparse.SUPPRESS), action
        elif action.default in (None, [], False) or action.dest == "nox_python":
            assert named[1] in LOOKED_UP or action.dest in ENDS, (verb, action.dest, named[1])
        else:
            default = action.default
            shown = default.relative_to(ROOT).as_posix() if isinstance(default, Path) else str(default)
            assert named[1] == shown, (verb, action.dest)


@pytest.mark.parametrize(
    ("verb", "ends"),
    [
        ("compare", f"{ROUNDS} rounds"),
        ("attribute", f"{ROUNDS} rounds"),
        ("gate", f"a budget of {gate.BUDGET_S / 60:.0f}m for each flow"),
    ],
)
def test_default_ends(monkeypatch: pytest.MonkeyPatch, verb: str, ends: str) -> None:
    """What ends a campaign without --rounds and --budget is what the help of --rounds says."""
    action = next(one for one in parser_of(verb, monkeypatch)._actions if one.dest == "rounds")
    assert action.help is not None
    assert action.help.endswith(f"(default: {ends})")
