"""Worker: `nox -s worker -- tls://HOST:8786` makes runs on this machine for whoever uses the cluster."""

from __future__ import annotations

import argparse
import secrets
import tempfile
import time
from pathlib import Path

from scripts.campaign.worker import Worker
from scripts.cluster import dask_cluster
from scripts.commands import cli
from scripts.config import cluster_address, matrix_file
from scripts.config.errors import UsageError
from scripts.config.toml_tables import NAME
from scripts.host.process import RealSystem, terminate_as_exception
from scripts.host.progress import Progress
from scripts.measure import session
from scripts.measure.session import SCRATCH, Options

_NAME = "worker"


def main(argv: list[str]) -> int:
    """Hold this machine and make runs until Ctrl-C."""
    args = _arguments(argv)
    address = cluster_address.parse(args.address, args.certificates.resolve(), insecure=args.insecure)
    terminate_as_exception()
    suite, name = matrix_file.load(), f"{args.name}-{secrets.token_hex(2)}"
    SCRATCH.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH, prefix="worker-") as folder:
        options = Options(results=Path(folder) / "results")
        with session.opened(options, 0, RealSystem(), Progress(time.monotonic)) as context:
            worker = Worker(name, suite, context, Path(folder))
            ended = dask_cluster.serve_worker(address, name, args.port, worker, cli.say)
    raise ended


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = cli.parser("worker", "Make runs on this machine for whoever uses the cluster, until Ctrl-C.")
    parser.add_argument("address", metavar="ADDRESS", help="of the scheduler, e.g. tls://HOST:8786")
    parser.add_argument(
        "--name", default=_NAME, metavar="NAME",
        help="how messages call this worker, with four digits of its own behind it; in no record "
        f"(default: {_NAME})",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=int, default=0, metavar="N",
        help="the port on which the scheduler reaches this worker, for a firewall; without it, any that is free",
    )  # fmt: skip
    cli.add_connection_options(parser)
    args = parser.parse_args(argv)
    if not NAME.fullmatch(args.name):
        raise UsageError(
            f"--name {args.name!r}: a name has letters, digits, '_', '.' and '-'",
            then=f"repeat this command with --name {_NAME}",
        )
    if not 0 <= args.port <= cluster_address.MOST_PORT:
        raise UsageError(
            f"--port {args.port}: from 0, any that is free, to {cluster_address.MOST_PORT}",
            then="repeat this command without --port",
        )
    return args
