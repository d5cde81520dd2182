"""The options of a verb whose load may have other users, and may be made by several processes or machines."""

from __future__ import annotations

import argparse
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address

from scripts.commands import cli
from scripts.config.errors import UsageError
from scripts.config.load_profiles import LOOPBACK, MOST_GENERATORS, Generators
from scripts.config.plan import Plan

_MOST_USERS = 100_000


def add_options(parser: cli.Parser) -> None:
    """How many users there are, and which processes they belong to."""
    parser.add_argument(
        "--users", type=users, metavar="N",
        help="so many users in place of those of the profile; such runs are in no report",
    )  # fmt: skip
    generators = parser.add_mutually_exclusive_group()
    generators.add_argument(
        "--load-processes", type=_generators, default=1, metavar="N",
        help="make the load by N processes on this machine (default: 1)",
    )  # fmt: skip
    generators.add_argument(
        "--load-workers", type=_generators, metavar="N",
        help="make the load by N processes of other machines, which nox -s load-worker starts there",
    )  # fmt: skip
    parser.add_argument(
        "--bind", type=_address, default=LOOPBACK, metavar="ADDRESS",
        help=f"the address of this machine to which --load-workers come, and no other (default: {LOOPBACK})",
    )  # fmt: skip


def applied(plan: Plan, args: argparse.Namespace) -> Plan:
    """The plan with the load that was asked for; UsageError when its parts do not go together."""
    if args.bind != LOOPBACK and not args.load_workers:
        raise UsageError(
            f"--bind {args.bind} is for processes of other machines, and here all are on this one",
            then="repeat this command with --load-workers N as well, or without --bind",
        )
    generators = Generators(processes=args.load_processes, workers=args.load_workers or 0, address=args.bind)
    runs = [replace(run, generators=generators) for run in plan.runs]
    if args.users is not None:
        runs = [replace(run, profile=run.profile.unreported(args.users)) for run in runs]
    fewest = min((run.profile.users for run in runs), default=generators.number)
    if fewest < generators.number:
        raise UsageError(
            f"{fewest} users cannot be shared out to {generators.number} processes",
            then=f"repeat this command with --users {generators.number}, or with fewer processes",
        )
    return Plan(runs=tuple(runs))


def users(text: str) -> int:
    """A number of users, as a command line takes it."""
    return _number(text, _MOST_USERS)


def _generators(text: str) -> int:
    return _number(text, MOST_GENERATORS)


def _number(text: str, most: int) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to {most}")
    return int(text)


def _address(text: str) -> str:
    """One address; not that which stands for all, since whoever reaches locust's master may speak to it."""
    try:
        found = IPv4Address(text)
    except AddressValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not an IPv4 address such as 192.0.2.7") from error
    if found.is_unspecified or found.is_multicast:
        raise argparse.ArgumentTypeError(f"{text} is no address of one machine; name one such as 192.0.2.7")
    return str(found)
