"""The options of a verb that has two forms: a session of one release and engine, and a session of what is named."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from scripts.campaign.request import Selection
from scripts.commands import cli


def parser(verb: str, description: str, argv: Sequence[str], *, what: str, default: str) -> cli.Parser:
    """The parser of the form that `argv` has; `what`: is named, and by default so much of it."""
    if "--release" in argv:
        made = cli.target_parser(verb, description, argv, required=True)
        made.set_defaults(target=[])
        return made
    return by_name(verb, description, what=what, default=default)


def by_name(verb: str, description: str, *, what: str, default: str) -> cli.Parser:
    """The parser of the second form."""
    made = cli.parser(verb, description)
    made.add_argument(
        "target", nargs="*", metavar="RELEASE|PATH|git+URL",
        help=f"{what}; FIRST..LAST stands for both and all releases between (default: {default}); "
        "see docs/candidates.md",
    )  # fmt: skip
    made.add_argument(
        "--engine", action="append", default=[], metavar="NAME", help="only this engine; repeatable (default: all)"
    )
    made.set_defaults(release=None)
    return made


def selection(args: argparse.Namespace, profile: str) -> Selection:
    """The engines, flows and Python, as typed."""
    engines = [args.engine] if args.release is not None else args.engine
    return Selection(engines=tuple(engines), flows=tuple(args.flow), profile=profile, python=args.python)
