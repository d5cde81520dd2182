"""What errors say to type next: collected from the code, and held against the sessions and their options."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import __main__ as entry
from scripts.config import matrix, matrix_file
from scripts.config.errors import UsageError
from scripts.config.matrix import ROOT
from tests.commands.test_help import parser_of

SUITE = matrix_file.load()
TARGET_VERBS = ("bench", "capacity", "count")
VERBS = {
    **{matrix.session_name(*target, verb): verb for verb in TARGET_VERBS for target in SUITE.targets()},
    **{verb: verb for verb in entry.verbs()},
    "bench-mock": "bench",
}
TAGS = set(TARGET_VERBS)
# What stands for an expression in a command. One that is not named here is "1.12.0", which no option takes for a word.
SAMPLES = {
    "CAPACITY": "capacity", "COUNT": "count", "args.engine": "fastapi", "ENGINE": "fastapi",
    "usual": "--max-overhead-p99 250", "addition.command": "nox -s add-release -- 1.12.0",
    "others[0]": "bench-1.12.0-flask", "command": "nox -s bench-1.12.0-fastapi --", "suite.python": "3.11",
    "can_serve[0]": "static_async", "inputs.command": "nox -s lock -- 1.12.0", "suite.engines[0].name": "flask",
    "_command(args, args.range)": "nox -s find -- --metric cpu_per_request --flow static_async 1.10.0..1.18.5",
    "everything": "nox -s find -- --metric cpu_per_request --flow static_async 1.10.0..1.18.5",
    "_EXAMPLE": "--max cpu_per_request=+3%", "example": "--max cpu_per_request=+3%",
    "worse": "+", "parts['percent']": "3", "metric.name": "cpu_per_request", "parts['name']": "cpu_per_request",
}  # fmt: skip
# A command ends where the sentence goes on: at a comma, a semicolon, a colon, or the end.
COMMAND = re.compile(r"nox -[^,;]*?(?=[,;]|: | or |$)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")


def texts(node: ast.expr) -> Iterator[str]:
    """All texts that an expression can become, with samples for what it fills in."""
    if isinstance(node, ast.Constant):
        yield str(node.value)
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(next(texts(part)) for part in node.values)
    elif isinstance(node, ast.FormattedValue):
        yield from texts(node.value)
    else:
        yield SAMPLES.get(ast.unparse(node), "1.12.0")


def steps() -> Iterator[tuple[str, str]]:
    """Where each next step stands, and what it says."""
    for path in sorted((ROOT / "scripts").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_argument = isinstance(node, ast.keyword) and node.arg == "then"
            is_variable = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "then"
            if isinstance(node, ast.keyword | ast.Assign) and (is_argument or is_variable):
                where = f"{path.relative_to(ROOT).as_posix()}:{node.value.lineno}"
                yield from ((where, text) for text in texts(node.value))


STEPS = sorted(set(steps()))


def parsed(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail unless nox has the session, and its verb takes what stands after `--`."""
    words = shlex.split(command)
    if words[:2] == ["nox", "-l"]:
        assert len(words) == 2
        return
    own = words[words.index("--") + 1 :] if "--" in words else []
    name = words[2]
    assert words[:2] in (["nox", "-s"], ["nox", "-t"]), command
    assert name in (VERBS if words[1] == "-s" else TAGS), f"no session {name!r}"
    assert len(words) == (3 if "--" not in words else 4 + len(own)), f"{command}: words that nox does not know"
    verb = VERBS.get(name, name)
    if own:
        target = re.fullmatch(r"(?:bench|capacity|count)-(.+)-(\w+)", name)
        given = ["--release", target[1], "--engine", target[2]] if target else []
        with monkeypatch.context() as patch:
            parser = parser_of(verb, patch, [*given, *own])
        if own != ["--help"]:
            parser.parse_args([*given, *own])


def options(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Every option of every verb."""
    found: set[str] = set()
    for verb in entry.verbs():
        with monkeypatch.context() as patch:
            found |= {name for action in parser_of(verb, patch)._actions for name in action.option_strings}
    return found


@pytest.mark.parametrize(("where", "text"), STEPS, ids=[where for where, _ in STEPS])
def test_commands_parse(where: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A next step that begins a command with `nox` names a session, and options that its verb takes."""
    for command in COMMAND.findall(text):
        try:
            parsed(command.strip(), monkeypatch)
        except (SystemExit, UsageError) as error:
            pytest.fail(f"{where}: {command}: {error}")


def test_options_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option in a next step is one of some verb, or of the tool that the step names."""
    known = options(monkeypatch)
    wrong = {
        f"{where}: {option}"
        for where, text in STEPS
        if not text.startswith("run `uv ")
        for option in OPTION.findall(text)
        if option not in known
    }
    assert not wrong


@pytest.mark.parametrize(
    "command",
    [
        "nox -s compar -- 1.12.0 1.18.5",
        "nox -s compare -- --help (compares)",
        "nox -s capacity-1.12.0-fastapi -- --rounds 2",
        "nox -s bench-1.12.0-fastapi --flow static_async",
    ],
)
def test_wrong_commands_are_noticed(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session or an option that does not exist, or words that belong to no command, are noticed here."""
    with pytest.raises((AssertionError, SystemExit, UsageError)):
        parsed(command, monkeypatch)


def test_they_are_collected() -> None:
    """The steps of all packages are seen, and an expression with two outcomes gives both."""
    assert len(STEPS) > 100
    assert {Path(where).parts[1] for where, _ in STEPS} >= {"campaign", "commands", "config", "environments", "serving"}
