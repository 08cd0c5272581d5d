"""The center's side of enrolment: codes, approval, take-over, renewal. Blocks: SQLite and signing.

A box is approved by a person, who says which logical box it is: one of its own name, or one whose
place it takes. Then the certificates of the box before are revoked in the same transaction.
"""

import base64
import binascii
import sqlite3
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from agent.contract.enrolment import (
    Answer,
    CodeKey,
    Grant,
    Renewal,
    Request,
    SignedGrant,
    Standing,
    new_code,
    renewal_message,
    same,
)
from agent.contract.events import Slug
from agent.contract.topics import BoxAddress
from agent.core.clock import Clock
from agent.core.errors import EnrolError
from agent.simulators.center import enrolment_book as book
from agent.simulators.center.authority import BOX_LIFE, Authority
from agent.simulators.center.commander import load_key, public_keys_file, sign
from agent.simulators.center.enrolment_book import Entry, Issued

_POLL_S = 2.0
CODE_LIFE = timedelta(days=365)  # printed in the factory, used when the pole is built
_RENEW_AFTER_END = timedelta(days=90)  # a box that was cut off for long heals by itself


@dataclass(frozen=True, slots=True)
class BoxStanding:
    """One line of `poleside center boxes`."""

    name: str
    state: str  # code-made, asks, approved, refused, replaced
    address: BoxAddress | None = None
    ends_at: str = ""


class Registrar:
    """Everything the center knows and decides about enrolment, in `folder`."""

    def __init__(self, folder: Path, clock: Clock, broker_urls: tuple[str, ...] = ()) -> None:
        self._folder, self._clock, self._broker_urls = folder, clock, broker_urls
        self._path = folder / "enrolment.db"
        self.authority = Authority(folder / "ca", clock)
        load_key(folder)  # so that the public keys' file is there
        self.write_revoked()

    def new_code(self, name: str) -> str:
        """Return a code for a box of this name, to be printed on its label; kept is its digest."""
        _slug(name)
        code = new_code()
        with book.opened(self._path) as connection:
            until = self._clock.utc_now() + CODE_LIFE
            book.put_code(connection, name, CodeKey.of(code), until)
        return code

    def approve(
        self,
        name: str,
        site: str,
        take_over: BoxAddress | None = None,
        life: timedelta = BOX_LIFE,
    ) -> Issued:
        """Let the box in that asked with the code of `name`; done again, it changes nothing.

        Raises `EnrolError` enrol.unknown, enrol.not_asked or enrol.taken.
        """
        address = take_over or BoxAddress(_slug(site), name)
        now = self._clock.utc_now()
        with book.opened(self._path) as connection:
            entry = book.entry_named(connection, name)
            key = None if entry is None else entry.public_key
            if key is None:
                raise _nobody_asked(name, is_known=entry is not None)
            issued = book.newest_for_key(connection, key)
            if issued is None or issued.revoked_at is not None or issued.address != address:
                others = book.certificates_of_box(connection, address.box)
                if take_over is None and any(o.revoked_at is None for o in others):
                    raise _taken(address)
                book.revoke_box(connection, address.box, now)
                if issued is not None:  # it was somebody else until now
                    book.revoke_box(connection, issued.address.box, now)
                certificate = self.authority.issue_box(_public_key(key), address.box, life)
                issued = book.add_certificate(connection, certificate, address)
        self.write_revoked()
        return issued

    def refuse(self, name: str) -> None:
        """Turn a box away; only a new code lets it ask again."""
        with book.opened(self._path) as connection:
            if book.entry_named(connection, name) is None:
                raise _nobody_asked(name, is_known=False)
            book.refuse(connection, name)

    def boxes(self) -> list[BoxStanding]:
        """Return how far each box is."""
        with book.opened(self._path) as connection:
            return [_standing(connection, entry) for entry in book.entries(connection)]

    def write_revoked(self) -> None:
        """Write the list of revoked certificates anew; a broker reads it when told to reload."""
        with book.opened(self._path) as connection:
            revoked = book.revoked(connection)
        self.authority.write_revoked(revoked)

    def take_request(self, request: Request, who: str) -> Answer:
        """Answer a box that asks with its code; `who` is where it asks from."""
        now = self._clock.utc_now()
        with book.opened(self._path) as connection:
            wait_s = book.blocked_s(connection, who, now)
            if wait_s > 0:
                return _refused("enrol.too_many", "Too many wrong codes came from there.", wait_s)
            entry = book.entry_labelled(connection, request.label)
            if entry is None or not _is_proven(entry, request) or entry.good_until < now:
                book.count_wrong_guess(connection, who, now)
                return _refused("enrol.wrong_code", "The center does not know this code.")
            answer = self._answer_known(connection, entry, _key_of_csr(request.csr))
        if answer.standing is not Standing.APPROVED:
            return answer
        proof = entry.code.center_proof(request.nonce, request.box_nonce, answer.grant)
        return msgspec.structs.replace(answer, proof=proof)

    def _answer_known(
        self, connection: sqlite3.Connection, entry: Entry, key: bytes | None
    ) -> Answer:
        """Answer a box that has proved its code."""
        if key is None:
            return _UNUSABLE_CSR
        if entry.is_refused:
            return _refused("enrol.refused", "The center turned this box away.")
        if entry.public_key is None:
            book.bind_key(connection, entry.name, key, self._clock.utc_now())
        elif entry.public_key != key:
            return _refused("enrol.used", "Another key was enrolled with this code.")
        issued = book.newest_for_key(connection, key)
        if issued is None:
            return Answer(standing=Standing.WAITING, wait_s=_POLL_S)
        if issued.revoked_at is not None:
            return _refused("enrol.refused", "Another box has taken this one's place.")
        return Answer(standing=Standing.APPROVED, grant=self._grant(issued))

    def take_renewal(self, renewal: Renewal) -> Answer:
        """Answer a box that has a certificate and wants the next one for the same key."""
        now, key = self._clock.utc_now(), _key_of_csr(renewal.csr)
        if key is None or not _is_signed(key, renewal):
            return _UNUSABLE_CSR
        with book.opened(self._path) as connection:
            old = book.newest_for_key(connection, key)
            if old is None or old.revoked_at is not None or old.ends_at + _RENEW_AFTER_END < now:
                return _refused("enrol.refused", "This box has no certificate to renew.")
            certificate = self.authority.issue_box(_public_key(key), old.address.box)
            issued = book.add_certificate(connection, certificate, old.address)
        grant = self._grant(issued)
        return Answer(
            standing=Standing.APPROVED,
            grant=grant,
            signed=sign(
                SignedGrant(nonce=renewal.nonce, grant=msgspec.json.decode(grant, type=Grant)),
                load_key(self._folder),
            ).decode(),
        )

    def _grant(self, issued: Issued) -> str:
        grant = Grant(
            site=issued.address.site,
            box=issued.address.box,
            certificate=issued.pem,
            broker_ca=self.authority.trusted,
            center_ca=self.authority.trusted,
            center_keys=public_keys_file(self._folder).read_text("utf-8"),
            broker_urls=self._broker_urls,
        )
        return msgspec.json.encode(grant).decode()


def _standing(connection: sqlite3.Connection, entry: Entry) -> BoxStanding:
    if entry.is_refused:
        return BoxStanding(entry.name, "refused")
    if entry.public_key is None:
        return BoxStanding(entry.name, "code-made")
    issued = book.newest_for_key(connection, entry.public_key)
    if issued is None:
        return BoxStanding(entry.name, "asks")
    state = "approved" if issued.revoked_at is None else "replaced"
    return BoxStanding(entry.name, state, issued.address, issued.ends_at.isoformat())


def _is_proven(entry: Entry, request: Request) -> bool:
    proof = entry.code.box_proof(request.nonce, request.box_nonce, request.csr)
    return same(proof, request.proof)


def _is_signed(key: bytes, renewal: Renewal) -> bool:
    try:
        signature = base64.b64decode(renewal.signature, validate=True)
        message = renewal_message(renewal.nonce, renewal.csr)
        _public_key(key).verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error):
        return False
    return True


def _key_of_csr(pem: str) -> bytes | None:
    """Return the P-256 key that signed a request, as DER; None when it can't be used."""
    try:
        csr = x509.load_pem_x509_csr(pem.encode())
        key = csr.public_key()
    except ValueError:
        return None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        return None
    if not csr.is_signature_valid:
        return None
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _public_key(der: bytes) -> ec.EllipticCurvePublicKey:
    key = serialization.load_der_public_key(der)
    assert isinstance(key, ec.EllipticCurvePublicKey)  # noqa: S101  `_key_of_csr` saw to it
    return key


def _slug(name: str) -> str:
    try:
        return msgspec.convert(name, Slug)
    except msgspec.ValidationError as error:
        raise EnrolError(
            "enrol.bad_name",
            f"`{name}` can't be the name of a box or site.",
            hint="Use up to 32 of a-z, 0-9 and -.",
        ) from error


def _refused(code: str, message: str, wait_s: float = 5.0) -> Answer:
    return Answer(standing=Standing.REFUSED, code=code, message=message, wait_s=wait_s)


_UNUSABLE_CSR = _refused("enrol.csr", "The request for a certificate can't be used.")


def _nobody_asked(name: str, *, is_known: bool) -> EnrolError:
    if not is_known:
        return EnrolError(
            "enrol.unknown",
            f"There is no code for a box {name}.",
            hint=f"Make one: `poleside center enrol-code {name}`.",
        )
    return EnrolError(
        "enrol.not_asked",
        f"No box has asked with the code of {name} yet.",
        hint="Run `poleside enrol` at the box first.",
    )


def _taken(address: BoxAddress) -> EnrolError:
    return EnrolError(
        "enrol.taken",
        f"There is a box {address.site}/{address.box} already.",
        hint=f"To replace it: `--take-over {address.site}/{address.box}`.",
    )
