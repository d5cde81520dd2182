"""Load-worker: `nox -s load-worker -- HOST` makes a part of the load of a session on another machine."""

from __future__ import annotations

import argparse
import time

from scripts.commands import cli
from scripts.host.process import RealSystem, terminate_as_exception
from scripts.host.progress import Progress
from scripts.measure import load_worker, loadgen, session


def main(argv: list[str]) -> int:
    """Take part in one load after the other, until Ctrl-C."""
    args = _arguments(argv)
    terminate_as_exception()
    load_worker.serve(args.host, loadgen.WORKERS_PORT, RealSystem(), Progress(time.monotonic), session.SCRATCH)


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser(
        "load-worker",
        "Make a part of the load of a session on another machine, which was started with --load-workers and --bind. "
        "Ctrl-C ends it.",
    )
    parser.add_argument("host", metavar="HOST", help="the address that the session was given with --bind")
    return parser.parse_args(argv)
