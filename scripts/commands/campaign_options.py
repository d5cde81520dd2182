"""The options of every verb that carries out a campaign."""

from __future__ import annotations

import argparse

from scripts.campaign.request import Selection
from scripts.campaign.stopping_rule import ROUNDS
from scripts.commands import cli
from scripts.config.plan import MAX_ROUNDS
from scripts.host.quiet import Quiet
from scripts.inference import intervals
from scripts.inference.comparison import LEVEL
from scripts.measure import session


def selection(args: argparse.Namespace) -> Selection:
    """The engines, flows, profile and Python, as typed."""
    return Selection(engines=tuple(args.engine), flows=tuple(args.flow), profile=args.profile, python=args.python)


def add_options(
    parser: cli.Parser, default_end: str = f"{ROUNDS} rounds", *, at_once: bool = False, several_pythons: bool = False
) -> None:  # fmt: skip
    """The options of every verb that carries out a campaign.

    `at_once`: of two releases at the same time by default. `several_pythons`: more than one may be named.
    """
    parser.add_argument(
        "--engine", action="append", default=[], metavar="NAME", help="only this engine; repeatable (default: all)"
    )
    parser.add_argument(
        "--flow", action="append", default=[], metavar="NAME|DIR",
        help="only this flow of flows/, or your own flow directory; repeatable (default: the scenarios of the engines)",
    )  # fmt: skip
    cli.add_campaign_options(parser, at_once=at_once, several_pythons=several_pythons)
    ends = parser.add_mutually_exclusive_group()
    ends.add_argument("--rounds", type=rounds, metavar="N", help=f"make N rounds of each flow (default: {default_end})")
    ends.add_argument(
        "--budget",
        type=cli.duration_s,
        metavar="TIME",
        help="instead: stop as soon as every verdict is conclusive, at the latest after this time, e.g. 90s, 10m, 1h",
    )


def options(args: argparse.Namespace) -> session.Options:
    """How the session is carried out."""
    return session.Options(
        results=args.results.resolve(),
        keep_logs=args.keep_logs,
        quiet=Quiet(wait_s=args.wait_quiet),
        cluster=cli.cluster(args),
    )


def number(text: str) -> int:
    """A number from 1, as a command line takes it."""
    if not text.isdecimal() or not 1 <= int(text) <= MAX_ROUNDS:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to {MAX_ROUNDS}")
    return int(text)


def rounds(text: str) -> int:
    """A number of rounds, as a command line takes it."""
    fewest = intervals.fewest_rounds(LEVEL)
    if not text.isdecimal() or not fewest <= int(text) <= MAX_ROUNDS:
        raise argparse.ArgumentTypeError(
            f"{text} is not a number of rounds from {fewest}, the fewest that allow a verdict, to {MAX_ROUNDS}"
        )
    return int(text)
