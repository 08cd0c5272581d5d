"""A new box's way to its identity, for `poleside enrol`; after a power cut it is simply run again.

The key and the files are what is kept; the code and the center's book decide all the rest.
"""

import asyncio
import secrets
from collections.abc import Callable

import msgspec

from agent.contract.enrolment import (
    REQUEST_PATH,
    Answer,
    CodeKey,
    Grant,
    Request,
    Standing,
    same,
)
from agent.core.clock import Clock
from agent.core.errors import EnrolError
from agent.core.retry import Backoff
from agent.enrol.center_door import CenterDoor
from agent.enrol.identity import Identity, IdentityFiles
from agent.enrol.tls_key import TlsKey, check_certificate, open_tls_key

_MAX_WAIT_S = 60.0


class Enrolment:
    """`await run()` returns once the center has approved and all is stored."""

    def __init__(
        self,
        clock: Clock,
        files: IdentityFiles,
        door: CenterDoor,
        code: str,
        say: Callable[[str], None],
    ) -> None:
        self._clock, self._files, self._door, self._say = clock, files, door, say
        try:
            self._code = CodeKey.of(code)
        except ValueError as error:
            raise _wrong_code(f"This is no code: {error}.") from error
        self._backoff = Backoff(2.0, _MAX_WAIT_S)
        self._said = ""

    async def run(self, patience_s: float | None = None) -> Identity:
        """Ask until there is an answer; raises `EnrolError`, enrol.waiting after `patience_s`."""
        key = await asyncio.to_thread(open_tls_key, self._files.key)
        deadline = None if patience_s is None else self._clock.monotonic_s() + patience_s
        while True:
            try:
                identity, wait_s = await asyncio.to_thread(self._ask, key)
                trouble = _waiting()
            except EnrolError as error:
                if not error.retryable:
                    raise
                identity, wait_s, trouble = None, self._backoff.next_s(), error
            if identity is not None:
                return identity
            self._tell(trouble)
            if deadline is not None and self._clock.monotonic_s() + wait_s > deadline:
                raise trouble
            await self._clock.sleep_s(wait_s)

    def _ask(self, key: TlsKey) -> tuple[Identity | None, float]:
        """Ask once; return the identity, or how long to wait."""
        nonce, box_nonce, csr = self._door.nonce(), secrets.token_urlsafe(18), key.csr()
        request = Request(
            label=self._code.label,
            nonce=nonce,
            box_nonce=box_nonce,
            csr=csr,
            proof=self._code.box_proof(nonce, box_nonce, csr),
        )
        answer = self._door.ask(REQUEST_PATH, request)
        self._backoff.reset()
        if answer.standing is Standing.REFUSED:
            raise refusal(answer)
        if answer.standing is Standing.WAITING:
            return None, min(max(answer.wait_s, 0.1), _MAX_WAIT_S)
        if not same(answer.proof, self._code.center_proof(nonce, box_nonce, answer.grant)):
            raise EnrolError(
                "enrol.tls",
                "The answer is not from the center that knows this box's code.",
                hint="Somebody may stand between: check --center, --ca and the network.",
            )
        grant = read_grant(answer)
        check_certificate(grant.certificate, key, grant.broker_ca)
        return self._files.store(grant, self._door.url), 0.0

    def _tell(self, trouble: EnrolError) -> None:
        if trouble.code != self._said:
            self._said = trouble.code
            self._say(trouble.message)


def read_grant(answer: Answer) -> Grant:
    """Return what the center gave. Raises `EnrolError`."""
    try:
        return msgspec.json.decode(answer.grant, type=Grant)
    except msgspec.MsgspecError as error:
        raise EnrolError(
            "enrol.not_understood",
            f"The center's answer can't be understood: {error}.",
            hint="The center may be of a newer version: update the box.",
        ) from error


def refusal(answer: Answer) -> EnrolError:
    """Return the center's refusal as an error; one that passes by itself is retryable."""
    if answer.code == "enrol.wrong_code":
        return _wrong_code(answer.message)
    hints = {
        "enrol.used": "Have the center make a new code for this box.",
        "enrol.refused": "Ask the center why; a new code begins anew.",
    }
    return EnrolError(
        answer.code or "enrol.refused",
        answer.message or "The center refuses this box.",
        hint=hints.get(answer.code, ""),
        retryable=answer.code in {"enrol.too_many", "enrol.old_nonce"},
    )


def _wrong_code(message: str) -> EnrolError:
    return EnrolError(
        "enrol.wrong_code",
        message or "The center does not know this code.",
        hint="Read it again from the label; each code works for one box, and not for ever.",
    )


def _waiting() -> EnrolError:
    return EnrolError(
        "enrol.waiting",
        "The code is right. Somebody at the center must approve this box.",
        hint="Run the same command again once it is approved.",
        retryable=True,
    )
