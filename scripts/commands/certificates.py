"""Certificates: `nox -s certificates` makes what the machines of a cluster know one another by."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from scripts.cluster import certificates
from scripts.commands import cli
from scripts.config.cluster_address import CERTIFICATES
from scripts.config.errors import EXIT_OK
from scripts.measure.session import shown


def main(argv: list[str]) -> int:
    """Write them into an empty directory."""
    parser = cli.parser("certificates", "Make the certificates of a cluster, to be copied to each of its machines.")
    parser.add_argument(
        "directory", nargs="?", type=Path, default=CERTIFICATES, metavar="DIR",
        help="a new or empty directory (default: .certificates)",
    )  # fmt: skip
    directory = parser.parse_args(argv).directory.resolve()
    certificates.make(directory, datetime.now(UTC))
    print(f"{shown(directory)}: valid for {certificates.DAYS} days; whoever has it can run commands on every machine")
    return EXIT_OK
