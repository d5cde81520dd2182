"""Where the scheduler of a cluster is, and who may connect to it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from scripts.config.errors import UsageError
from scripts.config.matrix import ROOT

PORT = 8786  # Dask's own
CERTIFICATES = ROOT / ".certificates"
CA_FILE, CERTIFICATE_FILE, KEY_FILE = "ca.pem", "certificate.pem", "key.pem"
MOST_LOCAL = 64
_ADDRESS = re.compile(r"(?P<protocol>tls|tcp)://(?P<host>[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")
_LOCAL = re.compile(r"local:(?P<number>[0-9]{1,3})")
MOST_PORT = 65_535


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterAddress:
    """A cluster to connect to, or to start here."""

    url: str  # tls://HOST:PORT or tcp://HOST:PORT; empty: started here
    local: int = 0  # workers to start here
    certificates: Path = CERTIFICATES  # the directory of the files above; unused with tcp

    @property
    def encrypted(self) -> bool:
        """Whether both ends show certificates."""
        return self.url.startswith("tls:")


def parse(text: str, certificates: Path, *, insecure: bool) -> ClusterAddress:
    """The scheduler's address as typed; UsageError for one that is none, and for plain TCP beyond this machine."""
    found = _ADDRESS.fullmatch(text)
    if found is None or not 0 < int(found["port"]) <= MOST_PORT:
        raise UsageError(f"{text!r} is no address of a scheduler", then=f"repeat this command with tls://HOST:{PORT}")
    if found["protocol"] == "tcp":
        if not insecure and not _is_loopback(found["host"]):
            raise UsageError(
                f"{text} is plain TCP: whoever can connect there runs commands as you",
                then=f"repeat this command with {text.replace('tcp', 'tls', 1)}; or with --insecure, on a network that "
                "nobody else can reach",
            )
        return ClusterAddress(url=text)
    missing = [name for name in (CA_FILE, CERTIFICATE_FILE, KEY_FILE) if not (certificates / name).is_file()]
    if missing:
        raise UsageError(
            f"{certificates} has no {' and no '.join(missing)}",
            then="copy the directory there from the machine that has it, or make one: nox -s certificates",
        )
    return ClusterAddress(url=text, certificates=certificates)


def parse_cluster(text: str, certificates: Path, *, insecure: bool) -> ClusterAddress:
    """The same, or local:N."""
    local = _LOCAL.fullmatch(text)
    if local is None:
        return parse(text, certificates, insecure=insecure)
    number = int(local["number"])
    if not 1 <= number <= MOST_LOCAL:
        raise UsageError(f"{text}: from 1 to {MOST_LOCAL} workers", then="repeat this command with --cluster local:2")
    return ClusterAddress(url="", local=number)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
