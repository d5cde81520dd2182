"""Makes the certificates of a cluster: an authority of its own, and one pair of certificate and key that it signed.

The authority's key is thrown away, so nobody can sign another pair. Whoever has the directory belongs to the cluster.
"""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from scripts.config.cluster_address import CA_FILE, CERTIFICATE_FILE, KEY_FILE
from scripts.config.errors import UsageError

DAYS = 365  # of which both are valid
_CLOCK_SLACK = datetime.timedelta(hours=1)  # by which another machine's clock may be behind
_CURVE = ec.SECP256R1()


def make(directory: Path, now: datetime.datetime) -> None:
    """Write the three files, readable for their owner alone; UsageError when the directory is not empty."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise UsageError(
            f"{directory} is not empty", then=f"name another directory, or remove this one: rm -r {directory}"
        )
    directory.chmod(0o700)
    authority_key, key = ec.generate_private_key(_CURVE), ec.generate_private_key(_CURVE)
    authority_name, name = _name("promptflow-serve-bench authority"), _name("promptflow-serve-bench cluster")
    authority = (
        _certificate(authority_name, authority_name, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        _certificate(name, authority_name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    _write(directory / CA_FILE, authority.public_bytes(serialization.Encoding.PEM))
    _write(directory / CERTIFICATE_FILE, certificate.public_bytes(serialization.Encoding.PEM))
    _write(
        directory / KEY_FILE,
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SLACK)
        .not_valid_after(now + datetime.timedelta(days=DAYS))
    )


def _write(path: Path, content: bytes) -> None:
    """Nobody else can read it at any time, not even before its mode is set."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
