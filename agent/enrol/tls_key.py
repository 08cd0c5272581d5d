"""The key the box proves itself with at the broker: P-256, made on the box, never leaves it."""

from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.core.errors import EnrolError
from agent.core.whole_file import write_whole

_SHA256 = hashes.SHA256()


class TlsKey:
    """The box's private key for TLS."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self._private = private

    def csr(self) -> str:
        """Return a request for a certificate as PEM; the center decides the name in it."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box")])
        builder = x509.CertificateSigningRequestBuilder().subject_name(name)
        request = builder.sign(self._private, _SHA256)
        return request.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, message: bytes) -> bytes:
        """Return the key's ECDSA signature (DER) of `message`."""
        return self._private.sign(message, ec.ECDSA(_SHA256))

    def is_in(self, certificate: x509.Certificate) -> bool:
        """Say whether `certificate` is for this key."""
        return certificate.public_key() == self._private.public_key()


def open_tls_key(path: Path) -> TlsKey:
    """Return the key at `path`, made now when there is none. Raises `EnrolError` enrol.key."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(path, _new_key(), 0o600)
        return load_tls_key(path)
    except OSError as error:
        raise _bad_key(path, error) from error


def load_tls_key(path: Path) -> TlsKey:
    """Return the key at `path`. Raises `EnrolError` enrol.key."""
    try:
        private = serialization.load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise _bad_key(path, error) from error
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise _bad_key(path, "it is of another kind")
    return TlsKey(private)


def load_certificates(pem: str) -> list[x509.Certificate]:
    """Return the certificates in `pem`. Raises `EnrolError` enrol.certificate."""
    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError as error:
        raise EnrolError("enrol.certificate", f"A certificate can't be read: {error}.") from error


def check_certificate(pem: str, key: TlsKey, authority: str) -> None:
    """See that `pem` is for our `key` and signed by `authority`. Raises `EnrolError`."""
    chain = load_certificates(pem)
    roots = load_certificates(authority)
    if not key.is_in(chain[0]):
        raise EnrolError("enrol.certificate", "The center's certificate is for another key.")
    for certificate, issuers in zip(chain, [*([c] for c in chain[1:]), roots], strict=True):
        if not any(_is_issued_by(certificate, issuer) for issuer in issuers):
            raise EnrolError(
                "enrol.certificate", "The certificate is not signed by the center's authority."
            )


def life_of(pem: str) -> tuple[datetime, datetime]:
    """Return from when until when the first certificate in `pem` is good. Raises `EnrolError`."""
    first = load_certificates(pem)[0]
    return first.not_valid_before_utc, first.not_valid_after_utc


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _bad_key(path: Path, why: object) -> EnrolError:
    return EnrolError(
        "enrol.key",
        f"The box's TLS key {path} can't be used: {why}.",
        hint="Run as the agent's user; or move the file away and enrol with a new code.",
    )
