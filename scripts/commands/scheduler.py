"""Scheduler: `nox -s scheduler` joins workers and coordinators on several machines; see docs/several-machines.md."""

from __future__ import annotations

from scripts.cluster import dask_cluster
from scripts.commands import cli
from scripts.config import cluster_address
from scripts.config.cluster_address import PORT
from scripts.host.process import terminate_as_exception

_ANYWHERE = f"tls://0.0.0.0:{PORT}"


def main(argv: list[str]) -> int:
    """Be the scheduler until Ctrl-C."""
    parser = cli.parser("scheduler", "Join the workers of several machines to a cluster, until Ctrl-C.")
    parser.add_argument(
        "address", nargs="?", default=_ANYWHERE, metavar="ADDRESS", help=f"where to listen (default: {_ANYWHERE})"
    )
    cli.add_connection_options(parser)
    args = parser.parse_args(argv)
    terminate_as_exception()
    address = cluster_address.parse(args.address, args.certificates.resolve(), insecure=args.insecure)
    raise dask_cluster.serve_scheduler(address, cli.say)
