"""The address of a cluster as typed: what it means, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.config import cluster_address
from scripts.config.cluster_address import CA_FILE, CERTIFICATE_FILE, KEY_FILE, ClusterAddress
from scripts.config.errors import UsageError


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A directory that has the three files."""
    for name in (CA_FILE, CERTIFICATE_FILE, KEY_FILE):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("text", ["tls://10.0.0.1:8786", "tls://machine-a.example:1"])
def test_encrypted(certificates: Path, text: str) -> None:
    """With certificates, any host may be named."""
    found = cluster_address.parse_cluster(text, certificates, insecure=False)
    assert found == ClusterAddress(url=text, certificates=certificates)
    assert found.encrypted


@pytest.mark.parametrize("text", ["tcp://127.0.0.1:8786", "tcp://localhost:8786"])
def test_plain_on_this_machine(tmp_path: Path, text: str) -> None:
    """Plain TCP is for this machine, and needs no certificates."""
    assert not cluster_address.parse_cluster(text, tmp_path, insecure=False).encrypted


@pytest.mark.parametrize("text", ["tcp://10.0.0.1:8786", "tcp://0.0.0.0:8786", "tcp://127.0.0.1.example:8786"])
def test_plain_elsewhere(tmp_path: Path, text: str) -> None:
    """Plain TCP to another machine is refused, unless --insecure is typed."""
    with pytest.raises(UsageError, match="whoever can connect there runs commands as you") as caught:
        cluster_address.parse(text, tmp_path, insecure=False)
    assert text.replace("tcp", "tls", 1) in caught.value.then
    assert cluster_address.parse(text, tmp_path, insecure=True).url == text


def test_without_certificates(tmp_path: Path) -> None:
    """What the directory lacks is named, with the command that makes it."""
    (tmp_path / CA_FILE).touch()
    with pytest.raises(UsageError, match=f"has no {CERTIFICATE_FILE} and no {KEY_FILE}") as caught:
        cluster_address.parse("tls://10.0.0.1:8786", tmp_path, insecure=False)
    assert "nox -s certificates" in caught.value.then


@pytest.mark.parametrize("number", [1, 64])
def test_local(tmp_path: Path, number: int) -> None:
    """Workers on this machine need no certificates: they get their own."""
    assert cluster_address.parse_cluster(f"local:{number}", tmp_path, insecure=False).local == number


@pytest.mark.parametrize(
    "text",
    [
        "local:0",
        "local:65",
        "local",
        "tls://10.0.0.1",
        "tls://:8786",
        "udp://a:1",
        "tls://a:99999",
        "a:8786",
        "tls://[::1]:8786",
        "",
    ],
)
def test_no_address(certificates: Path, text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(UsageError):
        cluster_address.parse_cluster(text, certificates, insecure=False)
