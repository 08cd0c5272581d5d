"""Keeps the box's certificate fresh: renewed at two thirds of its life, by the key it is for.

In the core process. The link reads the files at each connection, so nobody is told. What comes
signed with it (authorities, the center's keys, broker addresses) goes on trial: see `new_ways`.
"""

import asyncio
import base64
import threading
from datetime import datetime
from pathlib import Path

from agent.contract.enrolment import RENEW_PATH, Renewal, Standing, renewal_message
from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.errors import EnrolError
from agent.core.retry import Backoff
from agent.core.whole_file import write_whole
from agent.enrol.center_door import CenterDoor, Trust
from agent.enrol.center_keys import read_signed
from agent.enrol.enrolment import read_grant, refusal
from agent.enrol.identity import Identity, IdentityFiles
from agent.enrol.new_ways import NewWays
from agent.enrol.tls_key import TlsKey, check_certificate, life_of, load_tls_key

LOOK_EVERY_S = 3600.0
_FIRST_RETRY_S, _MAX_RETRY_S = 60.0, 6 * 3600.0


class CertificateRenewal(Service):
    """Looks every hour; `ends_at` is until when the box's certificate is good, None without one."""

    name = "enrol.renewal"

    def __init__(self, clock: Clock, data_dir: Path, ways: NewWays | None = None) -> None:
        super().__init__(clock)
        self._files = IdentityFiles.in_data_dir(data_dir)
        self._backoff = Backoff(_FIRST_RETRY_S, _MAX_RETRY_S)
        self._log = log.get(self.name)
        self._ways, self._renewing = ways, threading.Lock()
        self.ends_at: datetime | None = None

    async def run(self) -> None:
        while True:
            wait_s = LOOK_EVERY_S
            try:
                renewed = await asyncio.to_thread(self.look)
                self._backoff.reset()
                if renewed:
                    self._log.info("certificate renewed", ends_at=str(self.ends_at))
            except EnrolError as error:
                wait_s = self._backoff.next_s()
                self._log.warning("certificate not renewed", reason=str(error))
            await self._clock.sleep_s(wait_s)

    def look(self, *, now: bool = False) -> bool:
        """Renew when it is time, or `now`; return whether it was. Blocks. Raises `EnrolError`."""
        with self._renewing:
            return self._look(now=now)

    def _look(self, *, now: bool) -> bool:
        identity = self._files.read()
        if identity is None:
            self.ends_at = None
            return False
        begins_at, self.ends_at = self._life()
        if not now and self._clock.utc_now() < begins_at + (self.ends_at - begins_at) * 2 / 3:
            return False
        self._renew(identity, is_over=self._clock.utc_now() >= self.ends_at)
        _, self.ends_at = self._life()
        return True

    def _life(self) -> tuple[datetime, datetime]:
        try:
            return life_of(self._files.certificate.read_text("ascii"))
        except (OSError, ValueError) as error:
            raise EnrolError("enrol.certificate", f"No certificate: {error}.") from error

    def _renew(self, identity: Identity, *, is_over: bool) -> None:
        files, key = self._files, load_tls_key(self._files.key)
        try:
            authority = files.broker_ca.read_text("ascii")
            has_own_ca = files.center_ca.stat().st_size > 0
        except (OSError, ValueError) as error:
            raise EnrolError("enrol.identity", f"Part of the identity is lost: {error}.") from error
        # One that is over would end the handshake; the signature below says who asks as well.
        ours = None if is_over else (files.certificate, files.key)
        door = CenterDoor(
            identity.center_url, Trust(files.center_ca if has_own_ca else None, ours=ours)
        )
        nonce, csr = door.nonce(), key.csr()
        signature = base64.b64encode(key.sign(renewal_message(nonce, csr))).decode()
        answer = door.ask(RENEW_PATH, Renewal(nonce=nonce, csr=csr, signature=signature))
        if answer.standing is not Standing.APPROVED:
            raise refusal(answer)
        try:
            if answer.signed and self._ways and self._is_taken(answer.signed, nonce, key):
                return
        except EnrolError as error:  # the certificate may be good all the same
            self._log.warning("nothing but the certificate is taken", reason=str(error))
        certificate = read_grant(answer).certificate
        check_certificate(certificate, key, authority)
        try:
            write_whole(files.certificate, certificate.encode())
        except OSError as error:
            raise EnrolError("enrol.storage", f"It can't be stored: {error.strerror}.") from error

    def _is_taken(self, signed: str, nonce: str, key: TlsKey) -> bool:
        """Take what is new of a signed grant; return False when nothing is."""
        identity = self._files.read()
        grant = read_signed(signed, nonce, self._files.center_keys.read_text("utf-8"))
        if identity is None or self._ways is None or not self._ways.is_new(grant):
            return False
        if (grant.site, grant.box) != (identity.site, identity.box):
            raise EnrolError("enrol.signature", "The center's answer is for another box.")
        check_certificate(grant.certificate, key, grant.broker_ca)
        self._ways.adopt(grant, identity.center_url)
        return True
