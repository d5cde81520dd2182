"""List: `nox -s list -- releases` prints what can be named on a command line, with what one has to know of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable

from scripts.analysis.metrics import METRICS
from scripts.commands import cli, output
from scripts.config import flows, matrix_file
from scripts.config.errors import EXIT_OK
from scripts.config.matrix import Suite
from scripts.report import documents
from scripts.report.tables import markdown

Row = dict[str, str]


def main(argv: list[str]) -> int:
    """Print one kind of thing, or all of them."""
    args = _arguments(argv)
    suite = matrix_file.load()
    rows = {kind: list(_KINDS[kind](suite)) for kind in ([args.kind] if args.kind else _KINDS)}
    page = "\n\n".join(_table(kind, found, heading=not args.kind) for kind, found in rows.items())
    output.show(page, documents.document("list", "", **rows), as_json=args.json)
    return EXIT_OK


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("list", "Print what can be named on a command line.")
    parser.add_argument("kind", nargs="?", choices=tuple(_KINDS), help="what to print (default: all)")
    cli.add_json_option(parser)
    return parser.parse_args(argv)


def _table(kind: str, found: list[Row], *, heading: bool) -> str:
    headers = list(found[0])
    table = markdown.markdown(headers, [list(row.values()) for row in found], labels=len(headers))
    return f"# {kind.capitalize()}\n\n{table}" if heading else table


def _releases(suite: Suite) -> Iterable[Row]:
    for release in reversed(suite.releases):
        engines = [engine.name for engine in suite.engines if suite.has_engine(release, engine)]
        yield {
            "Release": release.version,
            "Uploaded": str(release.uploaded),
            "Pythons": ", ".join(suite.line(release).pythons),
            "Engines": ", ".join(engines),
            "Flows": ", ".join(suite.can_serve(release)),
        }


def _flows(suite: Suite) -> Iterable[Row]:
    for name in suite.flows:
        flow = flows.find(name)
        engines = [scenario.engine for scenario in suite.scenarios if scenario.flow == name]
        wait = "not declared" if flow.own_wait_s is None else f"{flow.own_wait_s:g} s"
        yield {"Flow": name, "Engines": ", ".join(engines), "Own wait": wait}


def _profiles(suite: Suite) -> Iterable[Row]:
    for profile in suite.profiles:
        yield {
            "Profile": profile.name,
            "Users": str(profile.users),
            "Server": f"{profile.workers} x {profile.threads}",
            "Run time": f"{profile.run_time_s} s",
            "What it is": profile.description,
        }


def _metrics(_: Suite) -> Iterable[Row]:
    for metric in METRICS:
        effect = metric.minimum_effect
        yield {
            "Metric": metric.name,
            "Good direction": metric.direction or "-",
            "Minimum effect": "not compared" if effect is None else f"{effect * 100:g} %",
            "Meaning": metric.meaning,
        }


def _engines(suite: Suite) -> Iterable[Row]:
    for engine in suite.engines:
        yield {"Engine": engine.name, "Title": engine.title, "Since": engine.since}


_KINDS: dict[str, Callable[[Suite], Iterable[Row]]] = {
    "releases": _releases,
    "flows": _flows,
    "profiles": _profiles,
    "metrics": _metrics,
    "engines": _engines,
}
