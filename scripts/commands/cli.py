"""What every verb's command line shares: a parser that names the nox session, and errors that become exit codes.

A verb is `def main(argv) -> int`.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

from scripts.config import cluster_address, shards
from scripts.config.cluster_address import CERTIFICATES, ClusterAddress
from scripts.config.errors import (
    EXIT_BROKEN_PIPE,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    NothingMeasuredError,
    SuiteError,
    Terminated,
    UsageError,
    did_you_mean,
)
from scripts.config.load_profiles import COMPARE, COUNT, DUET
from scripts.config.matrix import ROOT
from scripts.config.shards import Shard

logger = logging.getLogger(__name__)
_SUITE_LOGGER = logging.getLogger("scripts")
_TIME = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_COLUMNS = 100  # of a terminal that does not know its width
_EXAMPLE = ("1.12.0", "fastapi")  # the session that an error names when none was


class Parser(argparse.ArgumentParser):
    """argparse, with the nearest known option in the message about an unknown one.

    `prog` is the nox session as people type it, up to its `--`. Every verb takes how much it says from here.
    """

    def __init__(self, *, prog: str, description: str) -> None:
        """Options cannot be abbreviated."""
        super().__init__(prog=prog, description=description, allow_abbrev=False)
        self.output = self.add_argument_group("output")
        said = self.output.add_mutually_exclusive_group()
        said.add_argument("--quiet", action="store_true", help="print the result and the errors, and nothing else")
        said.add_argument(
            "--verbose", action="store_true", help="also print each step of a run, and the commands that are started"
        )

    def parse_args(self, args: Sequence[str] | None = None, namespace: None = None) -> argparse.Namespace:  # type: ignore[override]
        """The command line, which decides from now on how much is said."""
        found = super().parse_args(args, namespace)
        _SUITE_LOGGER.setLevel(logging.ERROR if found.quiet else logging.INFO if found.verbose else logging.NOTSET)
        return found

    def error(self, message: str) -> NoReturn:
        """Print the message and how to get help, and exit with code 2."""
        prefix = "unrecognized arguments: "
        if message.startswith(prefix):
            word = message.removeprefix(prefix).split()[0].split("=")[0]
            shown = [action for action in self._actions if action.help != argparse.SUPPRESS]
            known = [name for action in shown for name in action.option_strings if name != "-h"]
            message = f"{message}; {did_you_mean(word, known)}"
        self.exit(2, f"error: {message}\n  next: {self.prog} --help\n")


class _OfSession(argparse.Action):
    """An option that the session gives: whoever types another value after `--` wants another session."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> None:
        """Keep the value; UsageError for a second one that differs."""
        before = getattr(namespace, self.dest)
        if before not in (None, values):
            raise UsageError(
                f"{option_string} {values}: {parser.prog.removesuffix(' --')} has {self.dest} {before}, "
                "and cannot measure another",
                then="nox -l, which lists the session of each release and engine",
            )
        setattr(namespace, self.dest, values)


def parser(verb: str, description: str) -> Parser:
    """A parser for the session of a verb."""
    return Parser(prog=f"nox -s {verb.replace('_', '-')} --", description=description)


def add_json_option(parser: Parser) -> None:
    """The result as data."""
    parser.output.add_argument("--json", action="store_true", help="print the result as one JSON document")


def say(text: str) -> None:
    """Print on standard error what is no result: the plan before the work, and what is being done."""
    if logger.isEnabledFor(logging.WARNING):
        print(fitted(text, sys.stderr), file=sys.stderr, flush=True)


def columns() -> int:
    """The width of the terminal, or of one that does not know its own."""
    return shutil.get_terminal_size((_COLUMNS, 0)).columns


def fitted(text: str, stream: TextIO) -> str:
    """The lines for a terminal, wrapped at its width; tables, and what is indented to be copied, as they are."""
    if not stream.isatty():
        return text
    lines = (
        line if line.startswith((" ", "|")) else textwrap.fill(line, columns(), break_on_hyphens=False)
        for line in text.splitlines()
    )
    return "\n".join(lines)


def target_parser(verb: str, description: str, argv: Sequence[str], *, required: bool) -> Parser:
    """A parser for a session that is named after its release and engine, which `argv` holds."""
    release, engine = _value("--release", argv) or _EXAMPLE[0], _value("--engine", argv) or _EXAMPLE[1]
    made = parser(f"{verb}-{release}-{engine}", description)
    for option in ("--release", "--engine"):  # the session's name has both
        made.add_argument(option, action=_OfSession, required=required, help=argparse.SUPPRESS)
    return made


def _value(option: str, argv: Sequence[str]) -> str:
    """What a command line gives an option; empty when it does not."""
    return next((value for name, value in itertools.pairwise(argv) if name == option), "")


def add_flow_options(
    parser: Parser, *, shown: bool = True, default: str = "the scenarios of the engine"
) -> None:  # fmt: skip
    """What is served, and by which Python; `shown`: in the help; `default`: which flows without one."""
    parser.add_argument(
        "--flow",
        action="append",
        default=[],
        metavar="NAME|DIR",
        help=f"a flow of flows/, or your own flow directory; repeatable (default: {default})"
        if shown
        else argparse.SUPPRESS,
    )
    add_python_option(parser, shown=shown)


def add_campaign_options(
    parser: Parser, *, at_once: bool = False, profile_of_metric: bool = False, several_pythons: bool = False
) -> None:  # fmt: skip
    """How interleaved rounds are carried out.

    `at_once`: by default, two releases are loaded at the same time. `profile_of_metric`: the metric has its own.
    `several_pythons`: `pythons`, in place of `python`, has all that are named.
    """
    default = DUET if at_once else COMPARE
    profiles = parser.add_mutually_exclusive_group()
    if profile_of_metric:
        text = f"a load profile of suite.toml; without it {COMPARE}, and {COUNT} for a counted metric"
        profiles.add_argument("--profile", metavar="NAME", help=text)
    else:
        profiles.add_argument(
            "--profile", default=default, metavar="NAME", help=f"a load profile of suite.toml (default: {default})"
        )
    if at_once:
        profiles.add_argument(
            "--sequential", dest="profile", action="store_const", const=COMPARE,
            help=f"load one release after the other, under profile {COMPARE}; without it, two at the same time",
        )  # fmt: skip
    if several_pythons:
        parser.add_argument(
            "--python", dest="pythons", action="append", default=[], metavar="X.Y",
            help="a Python that the locks cover (default: [suite] python of suite.toml); repeatable: compares each "
            "release with itself on the Pythons named",
        )  # fmt: skip
    else:
        add_python_option(parser)
    parser.add_argument(
        "--dry-run", action="store_true",
        help="print the plan and its time, and measure nothing; the wheels and the lock of a candidate are still made",
    )  # fmt: skip
    add_cluster_options(parser)
    add_output_options(parser)
    add_json_option(parser)


def add_python_option(parser: Parser, *, shown: bool = True) -> None:
    """By which Python the releases are served; `shown`: in the help."""
    help_text = "a Python that the release's lock covers (default: [suite] python of suite.toml)"
    parser.add_argument("--python", metavar="X.Y", help=help_text if shown else argparse.SUPPRESS)


def add_session_options(parser: Parser) -> None:
    """How a measuring session is carried out."""
    add_output_options(parser)
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--dry-run", action="store_true", help="print the plan, the commands and the time; measure nothing"
    )
    only.add_argument("--install-only", action="store_true", help="build the virtualenv, and measure nothing")


def add_output_options(parser: Parser) -> None:
    """Where and how runs are recorded."""
    parser.add_argument(
        "--keep-logs",
        action="store_true",
        help="keep the logs of all processes and the raw request log under .scratch/",
    )
    parser.add_argument(
        "--wait-quiet",
        type=duration_s,
        metavar="TIME",
        help="wait before the first run until others use little of the machine, at most this time, e.g. 5m; "
        "without it a busy machine is refused",
    )
    add_results_option(parser)


def add_shard_option(parser: Parser) -> None:
    """The part of the work of one of several machines."""
    parser.add_argument(
        "--shard", type=shard, metavar="I/N",
        help="only part I of N, e.g. 1/4, for one of N machines; see docs/several-machines.md",
    )  # fmt: skip


def add_cluster_options(parser: Parser) -> None:
    """On whose machines the runs are made."""
    parser.add_argument(
        "--cluster", metavar="ADDRESS",
        help="make the runs on the workers of the scheduler at tls://HOST:PORT; local:N starts N workers here; "
        "see docs/several-machines.md",
    )  # fmt: skip
    add_connection_options(parser)


def add_connection_options(parser: Parser) -> None:
    """Who may connect to whom."""
    parser.add_argument(
        "--certificates", type=Path, default=CERTIFICATES, metavar="DIR",
        help="the certificates of the cluster, as nox -s certificates makes them (default: .certificates)",
    )  # fmt: skip
    parser.add_argument(
        "--insecure", action="store_true",
        help="allow plain tcp:// to another machine: whoever can connect there runs commands as you",
    )  # fmt: skip


def cluster(args: argparse.Namespace) -> ClusterAddress | None:
    """The cluster as typed; None without one, and for a verb that takes none."""
    if getattr(args, "cluster", None) is None:
        return None
    return cluster_address.parse_cluster(args.cluster, args.certificates.resolve(), insecure=args.insecure)


def add_results_option(parser: Parser) -> None:
    """The directory of the records."""
    parser.add_argument(
        "--results", type=Path, default=ROOT / "results", metavar="DIR",
        help="the directory of the records (default: results)",
    )  # fmt: skip


def output_file(path: Path) -> Path:
    """Where a file is to be written, made absolute; UsageError when its folder is missing."""
    found = path.resolve()
    if not found.parent.is_dir():
        raise UsageError(
            f"{found.parent} is not a directory", then=f"mkdir -p {found.parent}, then repeat this command"
        )
    return found


def duration_s(text: str) -> float:
    """A time such as 90s, 10m or 1h, as a command line takes it."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90s, 10m or 1h")
    seconds = float(found[1]) * _SECONDS[found[2]]
    if not seconds:
        raise argparse.ArgumentTypeError(f"{text} is no time at all; name one such as 90s, 10m or 1h")
    return seconds


def shard(text: str) -> Shard:
    """A shard such as 1/4, as a command line takes it."""
    try:
        return shards.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def run(main: Callable[[list[str]], int]) -> NoReturn:
    """Call `main` with the command line and leave the process with its exit code."""
    try:
        try:
            code = _code(main)
        finally:  # also after --help: at the end of the interpreter it is too late for an exit code
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output has ended, as with `| head`
        _give_up_output()
        code = EXIT_BROKEN_PIPE
    sys.exit(code)


def _code(main: Callable[[list[str]], int]) -> int:
    """The exit code of `main`, or of its error, which is printed."""
    try:
        logging.basicConfig(level=_log_level(), format="%(levelname)s: %(message)s")
        return main(sys.argv[1:])
    except SuiteError as error:
        return _reported(error)
    except KeyboardInterrupt:
        print("interrupted: everything that was started has been stopped", file=sys.stderr)
        return EXIT_INTERRUPTED
    except Terminated:
        print("terminated: everything that was started has been stopped", file=sys.stderr)
        return EXIT_TERMINATED
    except BrokenPipeError:
        raise
    except OSError as error:
        logger.debug("where it happened:", exc_info=True)
        return _reported(_of_the_system(error))


def _give_up_output() -> None:
    """Send what nobody reads to nowhere, so that the end of the interpreter does not fail on it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())


def _reported(error: SuiteError) -> int:
    """Print the error; return its exit code."""
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code


def _of_the_system(error: OSError) -> SuiteError:
    """The error of a file or disk, outside of a run: the system's own words, and the file if it names one."""
    where = f"{error.filename}: " if error.filename is not None else ""
    return NothingMeasuredError(
        f"{where}{error.strerror or error}", then="give access to it or make room on its disk, then repeat this command"
    )


def _log_level() -> str:
    """The LOGLEVEL of the environment; UsageError when there is no such level."""
    level = (os.environ.get("LOGLEVEL") or "WARNING").upper()
    known = logging.getLevelNamesMapping()
    if level not in known:
        raise UsageError(f"LOGLEVEL: unknown level {level!r}; {did_you_mean(level, known)}", then="unset LOGLEVEL")
    return level
