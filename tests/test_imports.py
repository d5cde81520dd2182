"""The shape of the code: who may import whom, and how long a file and a function may be."""

from __future__ import annotations

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.suite import ROOT

CODE = [ROOT / "noxfile.py"] + [
    path for folder in ("scripts", "locustfiles", "flows", "tests") for path in sorted((ROOT / folder).rglob("*.py"))
]
SCRIPTS = [path for path in CODE if path.is_relative_to(ROOT / "scripts")]
NOUNS = {  # what both halves share, and what of ours each may import
    "scripts.errors": set[str](),
    "scripts.toml_rows": {"scripts.errors"},
    "scripts.known": set(),
    "scripts.loads": set(),
    "scripts.capacity_search": {"scripts.loads"},
    "scripts.suite": {"scripts.errors", "scripts.known", "scripts.loads", "scripts.toml_rows"},
    "scripts.flow": {"scripts.errors", "scripts.suite", "scripts.toml_rows"},
    "scripts.record": {"scripts.loads"},
    "scripts.hdr": {"scripts.record"},
    "scripts.record_files": {"scripts.hdr", "scripts.record"},
    "scripts.plan": {"scripts.errors", "scripts.suite", "scripts.loads", "scripts.flow"},
    "scripts.cli": {"scripts.errors", "scripts.suite"},
}
SHARED = set(NOUNS) - {"scripts.cli"}
ONLY_IN = {
    "matplotlib": {f"scripts.report.{name}" for name in ("canvas", "charts", "forest", "history")},
    "tabulate": {"scripts.report.tables"},
    "hdrh": {"scripts.hdr"},
    "subprocess": {"scripts.measure.process"},
    "signal": {"scripts.measure.process"},
    "socket": {"scripts.measure.process"},
}
BARE = {  # run before there is any virtualenv of the tools, so they need no more than nox itself brings
    "noxfile",
    *(
        "scripts.errors",
        "scripts.toml_rows",
        "scripts.known",
        "scripts.loads",
        "scripts.suite",
        "scripts.cli",
        "scripts.lock",
    ),
    *("scripts.measure.locks", "scripts.measure.process", "scripts.measure.environment"),
    *("scripts.measure.bytecode", "scripts.measure.sharing", "scripts.measure.wheels"),
}
MOST_LINES, MOST_FUNCTION_LINES, MOST_MEDIAN = 300, 50, 12


def name_of(path: Path) -> str:
    """The module's dotted name."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def tree(path: Path) -> ast.Module:
    """The module, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[str]:
    """Dotted names of all that a module imports, wherever it does."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: import by full name"
            module = node.module or ""
            below = [f"{module}.{alias.name}" for alias in node.names]
            yield from (name if (ROOT / (name.replace(".", "/") + ".py")).is_file() else module for name in below)


def ours(path: Path) -> set[str]:
    """Our own modules that a module imports."""
    return {name for name in imports(path) if name.split(".")[0] in ("scripts", "locustfiles", "flows", "tests")}


def allowed(module: str, imported: str) -> bool:
    """Whether the direction holds: errors, shared nouns, measure or report, verbs, noxfile."""
    if module in NOUNS:
        return imported in NOUNS[module]
    for half in ("scripts.measure", "scripts.report"):
        if module == half or module.startswith(f"{half}."):
            return imported in SHARED or imported.startswith(f"{half}.")
    return imported.startswith("scripts.") and (module != "noxfile" or imported in ("scripts.errors", "scripts.suite"))


@pytest.mark.parametrize("path", [*SCRIPTS, ROOT / "noxfile.py"], ids=name_of)
def test_direction(path: Path) -> None:
    """Imports point one way: errors, shared nouns, measure or report, verbs, noxfile."""
    assert [name for name in ours(path) if not allowed(name_of(path), name)] == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_only_in(library: str) -> None:
    """Charts, tables, and the outside are each behind one module."""
    users = {name_of(path) for path in SCRIPTS if library in {name.split(".")[0] for name in imports(path)}}
    assert users == ONLY_IN[library]


@pytest.mark.parametrize("path", [path for path in CODE if name_of(path) in BARE], ids=name_of)
def test_bare(path: Path) -> None:
    """What runs beside nox imports only the standard library and what nox brings, `packaging` and `uv`."""
    at_hand = {*sys.stdlib_module_names, "scripts", "packaging", "nox", "uv"}
    assert {name.split(".")[0] for name in imports(path)} <= at_hand


def test_bare_modules_import_no_other() -> None:
    """What runs beside nox imports nothing of ours that does not."""
    assert [path.name for path in CODE if name_of(path) in BARE and not ours(path) <= BARE] == []


@pytest.mark.parametrize("folder", ["flows", "locustfiles", "scripts/measure/mock_api_app.py"])
def test_standing_alone(folder: str) -> None:
    """Flows, locustfiles and the mock API import nothing of ours but, for locustfiles, each other."""
    for path in [path for path in CODE if path.is_relative_to(ROOT / folder)]:
        assert {name for name in ours(path) if not name.startswith("locustfiles.")} == set(), path.name


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_no_sleep_outside_the_seam(path: Path) -> None:
    """Only the seam waits on the clock, so tests never do."""
    sleeps = [
        node
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr == "sleep" and ast.unparse(node.value) == "time"
    ]
    assert name_of(path) == "scripts.measure.process" or sleeps == []


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_length_of_files(path: Path) -> None:
    """A file has at most 300 lines."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function of a file with its length in lines."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.name}:{node.name}", (node.end_lineno or 0) - node.lineno + 1


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_length_of_functions(path: Path) -> None:
    """A function has at most 50 lines."""
    assert [name for name, length in functions(path) if length > MOST_FUNCTION_LINES] == []


def test_median_length_of_functions() -> None:
    """Functions are short as a rule."""
    assert statistics.median(length for path in SCRIPTS for _, length in functions(path)) <= MOST_MEDIAN


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    """A module begins with what it is for."""
    assert ast.get_docstring(tree(path))


@pytest.mark.parametrize("path", [path for path in CODE if path.name.startswith("test_")], ids=name_of)
def test_every_test_states_one_behaviour(path: Path) -> None:
    """A test's docstring is one sentence on one line."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            assert len((ast.get_docstring(node) or "\n").splitlines()) == 1, f"{path.name}:{node.name}"
