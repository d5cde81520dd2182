"""Certificates of a cluster: who they let in, and who can read them."""

from __future__ import annotations

import datetime
import ssl
import stat
from pathlib import Path

import pytest

from scripts.cluster import certificates
from scripts.config.cluster_address import CA_FILE, CERTIFICATE_FILE, KEY_FILE
from scripts.config.errors import UsageError

NOW = datetime.datetime.now(datetime.UTC)


def made(path: Path, now: datetime.datetime = NOW) -> Path:
    """A directory of certificates."""
    certificates.make(path, now)
    return path


def context(directory: Path, authority: Path, purpose: ssl.Purpose) -> ssl.SSLContext:
    """One end, which shows its certificate and asks for one that the authority has signed."""
    found = ssl.create_default_context(purpose, cafile=str(authority / CA_FILE))
    found.load_cert_chain(directory / CERTIFICATE_FILE, directory / KEY_FILE)
    found.check_hostname, found.verify_mode = False, ssl.CERT_REQUIRED
    return found


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """A handshake in memory; ssl.SSLError where either end refuses the other."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server, server_side=False),
    ]
    for _ in range(4):
        for end in reversed(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue


def test_one_directory_lets_in(tmp_path: Path) -> None:
    """Two machines with the same directory know each other."""
    here = made(tmp_path / "here")
    shake_hands(context(here, here, ssl.Purpose.CLIENT_AUTH), context(here, here, ssl.Purpose.SERVER_AUTH))


@pytest.mark.parametrize("stranger", ["server", "client"])
def test_another_directory_does_not(tmp_path: Path, stranger: str) -> None:
    """A machine with certificates of another cluster is refused, whichever end it is."""
    here, other = made(tmp_path / "here"), made(tmp_path / "other")
    server, client = (other, here) if stranger == "server" else (here, other)
    with pytest.raises(ssl.SSLError):
        shake_hands(context(server, here, ssl.Purpose.CLIENT_AUTH), context(client, here, ssl.Purpose.SERVER_AUTH))


def test_nobody_without_a_certificate(tmp_path: Path) -> None:
    """A client that shows none is refused."""
    here = made(tmp_path / "here")
    client = ssl.create_default_context(cafile=str(here / CA_FILE))
    client.check_hostname = False
    with pytest.raises(ssl.SSLError):
        shake_hands(context(here, here, ssl.Purpose.CLIENT_AUTH), client)


def test_expired(tmp_path: Path) -> None:
    """After a year they let nobody in."""
    old = made(tmp_path / "old", NOW - datetime.timedelta(days=certificates.DAYS + 1))
    with pytest.raises(ssl.SSLError, match="expired"):
        shake_hands(context(old, old, ssl.Purpose.CLIENT_AUTH), context(old, old, ssl.Purpose.SERVER_AUTH))


def test_readable_for_their_owner_alone(tmp_path: Path) -> None:
    """Nobody else can read the directory or a file in it, and the authority's key is nowhere."""
    here = made(tmp_path / "here")
    assert stat.S_IMODE(here.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in here.iterdir()}
    assert modes == dict.fromkeys((CA_FILE, CERTIFICATE_FILE, KEY_FILE), 0o600)


def test_directory_that_is_not_empty(tmp_path: Path) -> None:
    """Nothing is written beside other files, and certificates are never written over."""
    here = made(tmp_path / "here")
    before = {path: path.read_bytes() for path in here.iterdir()}
    with pytest.raises(UsageError, match="is not empty"):
        certificates.make(here, NOW)
    assert {path: path.read_bytes() for path in here.iterdir()} == before
