"""Whether an order is really the center's, for this box, and still in time.

A command is a JWS in compact form (RFC 7515) signed with Ed25519 or ES256; the algorithms are
listed, so neither `none` nor a symmetric key can slip in. The broker's rights say who may reach a
box; this signature says who ordered.
"""

import base64
import binascii
from pathlib import Path
from typing import TypeVar

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from agent.commands.center_time import CenterTime
from agent.contract.commands import SIGNATURE_ALGORITHMS, Command
from agent.contract.config import Desired
from agent.contract.events import TimeQuality
from agent.contract.incidents import IncidentCall
from agent.core.clock import Clock
from agent.core.errors import CommandError

T = TypeVar("T")
_CALL_FRESH_S = 60  # a call is said again before it is so old
_EARLY_S = 5  # how far the center's clock may be ahead of the box's
_decoder = msgspec.json.Decoder(Command)
_incident = msgspec.json.Decoder(IncidentCall)
_desired = msgspec.json.Decoder(Desired)


class _ClaimedId(msgspec.Struct):
    id: str


class Signatures:
    """Checks commands against the public keys in a JWKS file; reads it again when it changes."""

    def __init__(self, keys_file: Path | None, box: str, clock: Clock) -> None:
        self._file, self._box, self._clock = keys_file, box, clock
        self._keys: KeySet | None = None
        self._changed_ns = -1
        self.center_time = CenterTime(clock)

    def verify(self, token: bytes) -> Command:
        """Return the command if its signature is good and it is for this box.

        Reads the key file: call it in a thread. Raises `CommandError`: command.no_keys,
        bad_signature, malformed, wrong_box.
        """
        command = self.look(token)
        self.center_time.heard(command.iat)
        return command

    def look(self, token: bytes) -> Command:
        """Return the command as `verify` does, and learn nothing from it."""
        command = self._claims(token, _decoder)
        self._check_box(command.box)
        return command

    def verify_config(self, token: bytes) -> Desired:
        """Return the desired configuration, on the same conditions as a command."""
        desired = self._claims(token, _desired)
        self._check_box(desired.box)
        return desired

    def verify_incident(self, token: bytes, site: str) -> IncidentCall:
        """Return the call if its signature is good, it is for this site, and of now.

        Raises `CommandError` also incident.wrong_site, clock_unsure, stale.
        """
        call = self._claims(token, _incident)
        if call.site != site:
            raise CommandError("incident.wrong_site", f"This is {site}, the call for {call.site}.")
        if self._clock.quality() is TimeQuality.UNSYNCED:
            raise CommandError("incident.clock_unsure", "The box can't tell how old the call is.")
        now_s = self._clock.utc_now().timestamp()
        if not call.iat - _EARLY_S <= now_s < min(call.exp, call.iat + _CALL_FRESH_S):
            raise CommandError("incident.stale", "The call is not of now.")
        return call

    def _claims(self, token: bytes, decoder: msgspec.json.Decoder[T]) -> T:
        keys = self._load()
        try:
            payload = jws.deserialize_compact(token, keys, algorithms=SIGNATURE_ALGORITHMS).payload
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise CommandError(
                "command.bad_signature",
                f"The signature is not one of this box's center: {error}.",
                hint="Sign with a key whose public half is in the box's `center.keys_file`.",
            ) from error
        try:
            return decoder.decode(payload)
        except msgspec.MsgspecError as error:
            raise CommandError(
                "command.malformed",
                f"The order is not understood: {error}.",
                hint="Check it against the contract's version of this box.",
            ) from error

    def _check_box(self, box: str) -> None:
        if box != self._box:
            raise CommandError("command.wrong_box", f"This is {self._box}, the order is for {box}.")

    def check_time(self, command: Command, nonce: str) -> None:
        """Raise `CommandError` not_yet, expired or clock_unsure when it may not be obeyed now.

        `nonce` is that of this connection's presence.
        """
        if self._clock.quality() is TimeQuality.UNSYNCED:
            if not nonce or command.nonce != nonce:
                raise CommandError(
                    "command.clock_unsure",
                    "The box's clock is not set, so it can't tell how old the order is.",
                    hint="Send it again with the `nonce` of the box's `up/state`.",
                    retryable=True,
                )
            return
        now = self._clock.utc_now().timestamp()
        if now < command.nbf - _EARLY_S:
            raise CommandError("command.not_yet", "The order is not valid yet.", retryable=True)
        if now >= command.exp:
            raise CommandError(
                "command.expired", "The order came too late.", hint="Order it again."
            )

    def _load(self) -> KeySet:
        if self._file is None:
            raise _no_keys("`center.keys_file` is not set")
        try:
            changed_ns = self._file.stat().st_mtime_ns
            if self._keys is None or changed_ns != self._changed_ns:
                self._keys = KeySet.import_key_set(msgspec.json.decode(self._file.read_bytes()))
                self._changed_ns = changed_ns
        except (OSError, msgspec.MsgspecError, JoseError, KeyError, TypeError, ValueError) as error:
            raise _no_keys(str(error)) from error
        return self._keys


def claimed_id(token: bytes) -> str:
    """Return the id an unverified command claims, only to answer it, or "" when it has none."""
    try:
        part = token.split(b".")[1]
        claims = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
        return msgspec.json.decode(claims, type=_ClaimedId).id[:64]
    except (IndexError, binascii.Error, msgspec.MsgspecError, RecursionError):
        return ""


def _no_keys(why: str) -> CommandError:
    return CommandError(
        "command.no_keys",
        f"The box knows no center to obey: {why}.",
        hint="Put the center's public keys (JWKS) into the file `center.keys_file`.",
        retryable=True,
    )
