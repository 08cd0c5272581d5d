"""The page's own certificate, made on the box: P-256, signed by itself, its key never leaves.

A phone has no authority to check it with: the person compares the fingerprint once, at the console
(`poleside claim code` shows it).
"""

import ipaddress
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.core.clock import RELEASE_FLOOR, Clock
from agent.core.errors import StorageError
from agent.core.whole_file import write_whole
from agent.local.web.server import ServerTls

_LASTS: Final = timedelta(days=10 * 365)  # it is compared by fingerprint, not by its dates
_SHA256: Final = hashes.SHA256()


def own_certificate(data_dir: Path, name: str, hosts: Iterable[str], clock: Clock) -> ServerTls:
    """Return key and certificate, made now when there are none. Raises `StorageError`."""
    folder = data_dir / "keys"
    tls = ServerTls(folder / "page-cert.pem", folder / "page-key.pem")
    if tls.certificate.exists() and tls.key.exists():
        return tls
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _signed(key, name, hosts, clock)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(
            tls.key,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
            0o600,
        )
        write_whole(tls.certificate, certificate.public_bytes(serialization.Encoding.PEM))
    except OSError as error:
        raise StorageError(
            "storage.not_writable",
            f"The page's certificate can't be stored in {folder}: {error.strerror}.",
            hint="Free or repair the data disk.",
            retryable=True,
        ) from error
    return tls


def fingerprint(certificate: Path) -> str:
    """Return the SHA-256 a browser shows of a certificate. Raises `OSError`, `ValueError`."""
    found = x509.load_pem_x509_certificate(certificate.read_bytes())
    return found.fingerprint(_SHA256).hex(":").upper()


def _signed(
    key: ec.EllipticCurvePrivateKey, name: str, hosts: Iterable[str], clock: Clock
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = max(clock.utc_now(), RELEASE_FLOOR)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LASTS)
        .add_extension(x509.SubjectAlternativeName([_alternative(host) for host in hosts]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .sign(key, _SHA256)
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return x509.DNSName(host)
