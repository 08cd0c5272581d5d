"""The center's small certificate authority: boxes, its own servers, and the list of the revoked.

A real city has one; this one shows what a box and a broker need of it. Files in `{data_dir}/ca/`.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.core.clock import Clock
from agent.core.whole_file import write_whole
from agent.local.web.server import ServerTls

BOX_LIFE = timedelta(days=90)
_OWN_LIFE, _SERVER_LIFE, _CRL_LIFE = timedelta(days=3650), timedelta(days=365), timedelta(days=30)
_SLACK = timedelta(hours=1)  # a box's clock may be a little behind
_SHA256 = hashes.SHA256()
_PEM = serialization.Encoding.PEM
_CLIENT, _SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


class Authority:
    """Signs with the key in `folder`; made at the first use."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self.ca_file, self.crl_file = folder / "ca.pem", folder / "crl.pem"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._key = _key(folder / "ca-key.pem")
        if not self.ca_file.exists():
            write_whole(self.ca_file, self._own_certificate().public_bytes(_PEM))
        self._ca = x509.load_pem_x509_certificate(self.ca_file.read_bytes())
        if not self.crl_file.exists():
            self.write_revoked(())

    @property
    def pem(self) -> str:
        """The authority's own certificate."""
        return self.ca_file.read_text("ascii")

    @property
    def trusted(self) -> str:
        """What boxes are told to trust: this authority, and one that will take its place.

        Its certificate is put into `also-trusted.pem` beside this one's, long before it signs.
        """
        also = self.ca_file.with_name("also-trusted.pem")
        return self.pem + (also.read_text("ascii") if also.exists() else "")

    def issue_box(
        self, public_key: ec.EllipticCurvePublicKey, box: str, life: timedelta = BOX_LIFE
    ) -> x509.Certificate:
        """Return a client certificate whose common name is `box`."""
        return self._issue(public_key, box, life, _CLIENT)

    def server_files(self, name: str, hosts: Sequence[str]) -> ServerTls:
        """Return a fresh certificate for one of the center's servers, broker or HTTPS."""
        return self._files(name, hosts, _SERVER)

    def client_files(self, name: str) -> ServerTls:
        """Return what one of the center's own programs proves itself with at the broker."""
        return self._files(name, (), _CLIENT)

    def write_revoked(self, revoked: Iterable[tuple[int, datetime]]) -> None:
        """Write the list (CRL) of serial numbers, each with when, for brokers to load."""
        now = self._clock.utc_now()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._ca.subject)
            .last_update(now - _SLACK)
            .next_update(now + _CRL_LIFE)
        )
        for serial, at in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
            builder = builder.add_revoked_certificate(entry.build())
        write_whole(self.crl_file, builder.sign(self._key, _SHA256).public_bytes(_PEM))

    def _files(self, name: str, hosts: Sequence[str], use: x509.ObjectIdentifier) -> ServerTls:
        key_file, certificate_file = self._folder / f"{name}-key.pem", self._folder / f"{name}.pem"
        public_key = _key(key_file).public_key()
        certificate = self._issue(public_key, name, _SERVER_LIFE, use, hosts)
        write_whole(certificate_file, certificate.public_bytes(_PEM))
        return ServerTls(certificate_file, key_file, self.ca_file)

    def _issue(
        self,
        public_key: ec.EllipticCurvePublicKey,
        name: str,
        life: timedelta,
        use: x509.ObjectIdentifier,
        hosts: Sequence[str] = (),
    ) -> x509.Certificate:
        builder = (
            self._builder(_name(name), public_key, life)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False
            )
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, _SHA256)

    def _own_certificate(self) -> x509.Certificate:
        public_key = self._key.public_key()
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            self._builder(_name("Poleside stand-in center"), public_key, _OWN_LIFE, is_own=True)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .sign(self._key, _SHA256)
        )

    def _builder(
        self,
        name: x509.Name,
        public_key: ec.EllipticCurvePublicKey,
        life: timedelta,
        *,
        is_own: bool = False,
    ) -> x509.CertificateBuilder:
        now = self._clock.utc_now()
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name if is_own else self._ca.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SLACK)
            .not_valid_after(now + life)
        )


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    if not path.exists():
        pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_whole(path, pem, 0o600)
    loaded = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)  # noqa: S101  nobody else writes it
    return loaded


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
