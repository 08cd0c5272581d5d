"""Everything that lets somebody in, changes who may come in, or turns somebody away: audited here.

Page handlers -> here -> `box.db` and the audit chain. Core process.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from agent.contract.audit import AuditRecord
from agent.core import log
from agent.core.clock import Clock
from agent.core.db import Database
from agent.core.errors import CommandError, StorageError
from agent.local.access import people
from agent.local.access.back_off import BackOff
from agent.local.access.claim import ClaimCheck
from agent.local.access.people import AccessError, Person, Role
from agent.local.access.sessions import Session, Sessions
from agent.outbox.audit import audit_head, audit_tail

TELL_EVERY_S: Final = 60.0  # of one kind of refusal: a flood must not fill the chain
_MOST_KINDS: Final = 64
_STRANGERS: Final = 64  # unknown names share so many counts: they can't fill the disk


class Note(Protocol):
    """`agent.app.audit_desk.AuditDesk.note`."""

    def __call__(
        self, op: str, actor: str, outcome: str = "done", *, code: str = "", detail: str = ""
    ) -> Awaitable[None]: ...


async def _no_shell(_name: str) -> bool:
    return False


class AccessDesk:
    """`is_open`: who isn't signed in may read as a visitor (loopback only).

    `end_shell_of` takes away the shell key that a person gave (False: there is none); it goes
    with his sessions whenever his right is taken or given anew. Raises `CommandError`.
    """

    end_shell_of: Callable[[str], Awaitable[bool]]

    def __init__(
        self, db: Database, claim: ClaimCheck, note: Note, clock: Clock, *, is_open: bool
    ) -> None:
        self._db, self.claim_check, self._note, self._clock = db, claim, note, clock
        self.is_open = is_open
        self.end_shell_of = _no_shell
        self.sessions = Sessions(clock)
        self._back_off = BackOff(db, clock)
        self._one_at_a_time = asyncio.Lock()  # scrypt takes memory: never two of them
        self._refused: dict[tuple[str, str, str], tuple[float, int]] = {}
        self._log = log.get("page-access")

    async def is_claimed(self) -> bool:
        """Say whether anybody may come in at all."""
        return bool(await self._db.run(people.everybody))

    async def login(self, name: str, password: str) -> str:
        """Return a session's token. Raises `AccessError` access.wait, access.login."""
        found = await self._db.run(lambda connection: people.find(connection, name))
        who = f"name:{name}" if found else f"stranger:{_digest(name) % _STRANGERS}"
        actor = f"page:{name}" if found else "page:?"  # a password typed as name stays untold
        await self._charge(who, "page.login", actor)
        verifier = found[1] if found else ""
        async with self._one_at_a_time:
            is_right = await asyncio.to_thread(people.is_right, password, verifier)
        if not (found and is_right):
            await self._tell("page.login", actor, "refused", "access.login")
            raise AccessError("access.login", "Name or password is wrong.")
        await self._back_off.forgive(who)
        await self._tell("page.login", actor, detail=f"as {found[0].role}")
        return self.sessions.begin(found[0])

    async def claim(self, secret: str, code: str, name: str, password: str) -> str:
        """Make `name` a technician; return a session's token. Raises `AccessError`."""
        people.check_name(name)
        people.check_password(password)  # before a try is counted, so that it takes none back
        await self._charge("claim", "page.claim", "page:?")
        try:
            async with self._one_at_a_time:
                verifier = await asyncio.to_thread(people.verifier_of, password)
                await asyncio.to_thread(self.claim_check.check, secret, code)
        except AccessError as error:
            await self._tell("page.claim", "page:?", "refused", error.code)
            raise
        person = Person(name=name, role=Role.TECHNICIAN)
        await self._db.run(lambda connection: people.put(connection, person, verifier))
        await self._back_off.forgive("claim")
        await self._back_off.forgive(f"name:{name}")
        await self._end_of(name, person)
        await self._tell("page.claim", f"page:{name}", detail="is a technician now")
        return self.sessions.begin(person)

    async def put(self, by: Person, person: Person, password: str) -> None:
        """Add a person or change one. Raises `AccessError`."""
        people.check_name(person.name)
        if person.name == by.name and person.role is not Role.TECHNICIAN:
            raise AccessError("access.last_technician", "Nobody takes his own right away.")
        people.check_password(password)
        await self._check_reach(by, person.name, person)
        async with self._one_at_a_time:
            verifier = await asyncio.to_thread(people.verifier_of, password)
        await self._db.run(lambda connection: people.put(connection, person, verifier))
        await self._end_of(person.name, by)
        detail = f"{person.name} is {person.role} of {', '.join(person.cameras)}"
        await self._tell("page.people", f"page:{by.name}", detail=detail)

    async def remove(self, by: Person, name: str) -> None:
        """Take a person away, and sign him out. Raises `AccessError`."""
        await self._check_reach(by, name)
        if await self._db.run(lambda connection: people.remove(connection, name)):
            await self._end_of(name, by)
            await self._tell("page.people", f"page:{by.name}", detail=f"{name} is removed")

    async def everybody(self) -> list[Person]:
        """Return the people of this box."""
        return await self._db.run(people.everybody)

    async def done(self, limit: int) -> tuple[list[AuditRecord], str]:
        """Return the newest entries of the audit chain still on the box, and the chain's head."""
        return await self._db.run(
            lambda connection: (audit_tail(connection, limit), audit_head(connection))
        )

    async def logout(self, token: str, by: Person) -> None:
        """Sign out."""
        self.sessions.end(token)
        await self._tell("page.logout", f"page:{by.name}")

    async def viewed(self, session: Session, camera_id: str) -> None:
        """Chain the first time a session sees a camera's picture."""
        if camera_id not in session.viewed:
            session.viewed.add(camera_id)
            await self._tell("page.view", f"page:{session.person.name}", detail=camera_id)

    async def did(self, by: Person, op: str, outcome: str, detail: str, code: str = "") -> None:
        """Chain what somebody did at the page."""
        await self._tell(op, f"page:{by.name}", outcome, code, detail)

    async def refused(self, by: Person, code: str, what: str) -> None:
        """Chain that somebody was turned away; a flood of one kind is one entry a minute."""
        actor = f"page:{by.name or '?'}"
        kind, now_s = (actor, code, what), self._clock.monotonic_s()
        told_s, untold = self._refused.get(kind, (None, 0))
        if told_s is not None and now_s - told_s < TELL_EVERY_S:
            self._refused[kind] = (told_s, untold + 1)
            return
        if len(self._refused) >= _MOST_KINDS:
            self._refused.clear()
        self._refused[kind] = (now_s, 0)
        more = f" ({untold} more untold)" if untold else ""
        await self._tell("page.refused", actor, "refused", code, f"{what}{more}")

    async def _end_of(self, name: str, by: Person) -> None:
        """Sign a person out everywhere; what he may from now on is stored already."""
        self.sessions.end_of(name)
        try:
            if await self.end_shell_of(name):
                await self.did(by, "page.shell", "done", f"the key that {name} gave is taken away")
        except CommandError as error:
            await self.did(by, "page.shell", "failed", f"the key that {name} gave", error.code)

    async def _check_reach(self, by: Person, name: str, told: Person | None = None) -> None:
        """Who sees some cameras alone gives no others, and changes nobody who has others."""
        found = await self._db.run(lambda connection: people.find(connection, name))
        if not all(by.covers(one) for one in (told, found[0] if found else None) if one):
            raise AccessError("access.cameras", "Nobody gives or takes what is not his to see.")

    async def _charge(self, who: str, op: str, actor: str) -> None:
        try:
            await self._back_off.charge(who)
        except AccessError as error:
            by = Person(name=actor.removeprefix("page:"), role=Role.VISITOR)
            await self.refused(by, error.code, op)
            raise

    async def _tell(
        self, op: str, actor: str, outcome: str = "done", code: str = "", detail: str = ""
    ) -> None:
        try:
            await self._note(op, actor, outcome, code=code, detail=detail)
        except StorageError as error:  # a technician must get in to a box whose disk is full
            self._log.error("not in the audit chain", op=op, actor=actor, detail=str(error))


def _digest(name: str) -> int:
    return hashlib.sha256(name.encode()).digest()[0]
