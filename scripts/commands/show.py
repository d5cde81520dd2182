"""Show: `nox -s show -- 1.17.0 1.18.5` prints what the recorded campaigns say of two releases. Measures nothing."""

from __future__ import annotations

import argparse

from scripts.analysis import run_reader
from scripts.commands import cli, output
from scripts.config import matrix_file
from scripts.config.errors import EXIT_OK, NothingMeasuredError, UsageError
from scripts.host import cores
from scripts.inference import comparison, paired_rounds, recorded_pairs
from scripts.report import documents
from scripts.report.pages import comparison_page


def main(argv: list[str]) -> int:
    """Print one table for each scenario and profile, of the campaign with the most rounds."""
    args = _arguments(argv)
    suite = matrix_file.load()
    old, new = (suite.release(version).version for version in (args.old, args.new))
    if old == new:
        raise UsageError(f"{old} is named twice", then=f"nox -s show -- {old} {suite.newest_but(old)}")
    with cores.spread() as spread:
        found = run_reader.read(args.results.resolve(), (), spread)
    campaigns, _ = paired_rounds.pair_each(found.runs)
    pairs = recorded_pairs.most_rounds(campaigns, [(old, new)])
    if not pairs:
        raise NothingMeasuredError(
            f"no recorded campaign has both {old} and {new} in its rounds", then=f"nox -s compare -- {old} {new}"
        )
    judged = comparison.judge(pairs, comparison.noise_floors(campaigns))
    title = f"{new} against {old}"
    page = comparison_page.render(pairs, judged, title=title).decode()
    document = documents.compared(comparison_page.answer(judged), title, pairs, judged)
    output.show(page, document, as_json=args.json)
    return EXIT_OK


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("show", "Print what the recorded campaigns say of two releases, without measuring.")
    parser.add_argument("old", metavar="OLD", help="the release that is compared with")
    parser.add_argument("new", metavar="NEW", help="the release that is judged")
    cli.add_results_option(parser)
    cli.add_json_option(parser)
    return parser.parse_args(argv)
