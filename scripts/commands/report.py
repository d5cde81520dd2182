"""Report: `nox -s report -- --open` writes results/report.html, in which a reader sorts, filters and compares."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path

from scripts.commands import cli
from scripts.config import matrix_file
from scripts.config.bounded_files import MIB
from scripts.config.errors import EXIT_OK
from scripts.host import cores
from scripts.inference import recorded_results
from scripts.report.explorer import contents, html

_NAME = "report.html"


def main(argv: list[str]) -> int:
    """Read the records, write the page, and say where it is."""
    args = _arguments(argv)
    results: Path = args.results.resolve()
    path = cli.output_file(args.output or results / _NAME)
    suite = matrix_file.load()
    with cores.spread() as spread:
        document = contents.document(suite, recorded_results.read(results, suite, spread), spread)
    page = html.page(document)
    path.write_bytes(page)
    for reason in document.skipped:
        cli.say(f"skipped {reason}")
    print(f"wrote {path}: {len(document.runs)} runs, {len(page) / MIB:.1f} MiB, loads nothing from the network")
    if args.open and not webbrowser.open(path.as_uri()):
        print("no browser was found: open the file yourself")
    return EXIT_OK


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("report", "Write everything that is recorded as one HTML file, to sort, filter and compare.")
    parser.add_argument("--open", action="store_true", help="open the file in a browser")
    parser.add_argument("--output", type=Path, metavar="FILE", help=f"write another file (default: results/{_NAME})")
    cli.add_results_option(parser)
    return parser.parse_args(argv)
