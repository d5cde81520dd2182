"""Campaign: `nox -s campaign` makes everything that is missing of the suite on this machine.

It asks the records what is there, so a repetition goes on where the last one ended.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from scripts.campaign import missing_work
from scripts.campaign.missing_work import Item
from scripts.commands import bench, capacity, cli, compare, count, output
from scripts.config import matrix_file
from scripts.config.errors import (
    EXIT_OK,
    InvalidMeasurementError,
    NothingMeasuredError,
    SuiteError,
    UsageError,
    ValgrindError,
)
from scripts.config.load_profiles import CAPACITY, COUNT
from scripts.config.matrix import MOCK
from scripts.host import machine
from scripts.host.process import RealSystem, terminate_as_exception
from scripts.report import documents
from scripts.report.tables import markdown

_VERBS: Mapping[str, Callable[[list[str]], int]] = {
    missing_work.BENCH: bench.main, COUNT: count.main, CAPACITY: capacity.main, missing_work.COMPARE: compare.main,
}  # fmt: skip
_SHARED_OUT = (
    missing_work.BENCH,
    COUNT,
    CAPACITY,
)  # verbs that share all of their items out to workers, and know what is missing
_MOST_INVALID = 3  # items in a row, before the machine is taken to be too busy
_FOR_ALL = (UsageError, NothingMeasuredError)  # what ends every other item in the same way
_HEADERS = ("Item", "Why it is not complete")


@dataclass(frozen=True, kw_only=True, slots=True)
class _End:
    """How an item ended."""

    item: Item
    error: SuiteError | None


def main(argv: list[str]) -> int:
    """Say what is missing and how long it takes; then make it, item by item."""
    args = _arguments(argv)
    suite = matrix_file.load()
    cli.say("reading the records ...")
    verbs = args.only or missing_work.VERBS
    found = missing_work.find(suite, args.results.resolve(), machine.describe(), RealSystem(), verbs)
    items = [item for work in found for item in work.missing if args.shard is None or args.shard.holds(item.cell)]
    if args.cluster:
        items = _for_a_cluster(items)
    if not items:
        output.show("", documents.campaign(_nothing(args), []), as_json=args.json)
        return EXIT_OK
    lines, expected_s = _described(items), sum(item.expected_s for item in items)
    if args.dry_run:
        output.show_plan(lines, expected_s, as_json=args.json)
        return EXIT_OK
    cli.say(lines)
    terminate_as_exception()
    ends = _make(items, args)
    problems = [end for end in ends if end.error is not None]
    answer = f"{len(ends) - len(problems)} of {len(items)} items are complete"
    rows = [[end.item.name, end.error.message.splitlines()[0]] for end in problems if end.error is not None]
    page = markdown.markdown(_HEADERS, rows, labels=2) if rows else ""
    output.show(page, documents.campaign(answer, [_data(end) for end in ends]), as_json=args.json)
    if problems:
        raise _all_of(problems, answer, shlex.join(["nox", "-s", "campaign", *(["--", *argv] if argv else [])]))
    return EXIT_OK


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser(
        "campaign",
        "Make everything that is missing of the suite on this machine: runs, counts, capacity searches, and rounds of "
        "the campaigns of suite.toml. Repeat the command to go on.",
    )
    parser.add_argument(
        "--only", action="append", default=[], choices=missing_work.VERBS,
        help="only what this verb makes; repeatable (default: all)",
    )  # fmt: skip
    cli.add_shard_option(parser)
    cli.add_cluster_options(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the items and their time; measure nothing")
    cli.add_output_options(parser)
    cli.add_json_option(parser)
    args = parser.parse_args(argv)
    if args.cluster and args.shard is not None:
        parser.error("--shard is for machines without a network: leave it out, or leave out --cluster")
    return args


def _for_a_cluster(items: Sequence[Item]) -> list[Item]:
    """The same work for a cluster: one item for all of a verb that shares them out by itself.

    The mock API alone is left out, which workers cannot load.
    """
    made: list[Item] = []
    for verb in _SHARED_OUT:
        if of_verb := [item for item in items if item.verb == verb and not item.what.startswith(MOCK)]:
            time_s = sum(item.expected_s for item in of_verb)
            all_of_it = f"{len(of_verb)} cells, on one worker"
            made.append(Item(verb=verb, what=all_of_it, cell=verb, argv=("--missing",), expected_s=time_s))
    return made + [item for item in items if item.verb not in _SHARED_OUT]


def _nothing(args: argparse.Namespace) -> str:
    where = f"in shard {args.shard}, " if args.shard is not None else ""
    return f"nothing is missing: {where}everything is measured validly under this machine's conditions"


def _described(items: Sequence[Item]) -> str:
    """One line for each item, then the time of all."""
    minutes = sum(item.expected_s for item in items) / 60
    return "\n".join(
        [
            *(f"{item.name}: about {item.expected_s / 60:.1f} minutes" for item in items),
            f"{len(items)} item(s), about {minutes:.0f} minutes, and virtualenvs that are not built",
        ]
    )


def _make(items: Sequence[Item], args: argparse.Namespace) -> list[_End]:
    """Make one item after the other, also after one that failed; the rest is left out once nothing can be made."""
    ends: list[_End] = []
    without_counts: SuiteError | None = None
    for number, item in enumerate(items, 1):
        if item.verb == COUNT and without_counts is not None:
            ends.append(_End(item=item, error=without_counts))
            continue
        left_min = sum(one.expected_s for one in items[number - 1 :]) / 60
        cli.say(f"item {number} of {len(items)}, about {left_min:.0f} minutes left: {item.name}")
        ends.append(_End(item=item, error=_made(item, args)))
        error = ends[-1].error
        if error is not None:
            cli.say(f"{item.name} is not complete: {error}")
        if isinstance(error, ValgrindError):
            without_counts = error
        last = [end.error for end in ends[-_MOST_INVALID:]]
        disturbed = len(last) == _MOST_INVALID and all(isinstance(one, InvalidMeasurementError) for one in last)
        if isinstance(error, _FOR_ALL) or disturbed:
            if number < len(items):
                cli.say(f"given up: {len(items) - number} item(s) are left out")
            break
    return ends


def _made(item: Item, args: argparse.Namespace) -> SuiteError | None:
    """Make one item; return why it is not complete. What its verb prints is no result of this one."""
    words = ["--results", str(args.results)]
    words += [option for option in ("--quiet", "--verbose", "--keep-logs") if getattr(args, _name(option))]
    words += ["--wait-quiet", f"{args.wait_quiet:g}s"] if args.wait_quiet is not None else []
    if args.cluster:
        words += ["--cluster", args.cluster, "--certificates", str(args.certificates)]
        words += ["--insecure"] if args.insecure else []
    with contextlib.redirect_stdout(io.StringIO() if args.quiet else sys.stderr):
        try:
            _VERBS[item.verb]([*item.argv, *words])
        except SuiteError as error:
            return error
    return None


def _name(option: str) -> str:
    """Of an option, as argparse keeps it."""
    return option.removeprefix("--").replace("-", "_")


def _data(end: _End) -> documents.Document:
    return {
        "verb": end.item.verb,
        "arguments": list(end.item.argv),
        "complete": end.error is None,
        "error": end.error.message if end.error is not None else "",
    }


def _all_of(problems: Sequence[_End], answer: str, command: str) -> SuiteError:
    """The last problem, which may have ended all, for everything that is not complete."""
    last = problems[-1].error
    if last is None:
        raise ValueError("an item without an error is complete")
    again = f"{command}, which makes only what is missing"
    ended = isinstance(last, _FOR_ALL)  # what it says to do holds for the whole campaign
    then = f"{last.then}: it makes only what is missing" if ended and "this command" in last.then else again
    return type(last)(
        f"{answer}; the last that is not: {problems[-1].item.name}: {last.message}", then=then
    )  # fmt: skip
