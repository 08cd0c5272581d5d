"""The grants that hold: taken, counted down on the monotonic clock, ended and reported.

An order in, a `StartPush` to the camera's worker out; at the end an audit entry with the report,
which the center acknowledges like all of stream `u`.
"""

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager

import msgspec
from msgspec import structs

from agent.contract.audit import AuditEntry
from agent.contract.commands import Args, Command
from agent.contract.events import TimeQuality
from agent.contract.grants import ENDED, GIVEN, GrantReport, MediaGrant, What
from agent.contract.needs import Need, need_of
from agent.core import log
from agent.core.clock import Clock, boot_id, to_tick_s
from agent.core.component import Service
from agent.core.db import Database
from agent.core.errors import CommandError, StorageError
from agent.grants import store
from agent.grants.check import lasting_s
from agent.grants.permit import check_covers
from agent.grants.pushes import Played, Pushes, Send
from agent.grants.store import Given
from agent.messages.push import PushState, StartPush

_TALLY_S, _LOOK_S, _IDLE_S = 10.0, 1.0, 5.0


class Grants(Service):
    """All grants of the box. `audit` writes an entry within the transaction it is given.

    `is_machinery` names orders that nobody is seen or spoken to by: a fan, a camera's supply.
    """

    name = "grants"

    def __init__(
        self,
        clock: Clock,
        db: Database,
        audit: Callable[[sqlite3.Connection, AuditEntry], object],
        cameras: Callable[[], Collection[str]],
        send: Send,
        this_boot: str = "",
        is_machinery: Callable[[Args], bool] = lambda _: False,
    ) -> None:
        super().__init__(clock)
        self._db, self._audit, self._cameras = db, audit, cameras
        self.pushes = Pushes(send)
        self._boot, self._is_machinery = this_boot or boot_id(), is_machinery
        self._holding: dict[str, Given] = {}
        self._resting: dict[str, set[asyncio.Timeout]] = {}  # by grant: what ends with it
        self._unreported: list[tuple[Given, str, float]] = []  # ended; why and when
        self.at_end: list[Callable[[str], None]] = []  # told each grant that ends
        self._loaded, self._changed = asyncio.Event(), asyncio.Event()
        self._changing = asyncio.Lock()
        self._log = log.get(self.name)

    async def give(self, command: Command, grant: MediaGrant) -> Given:
        """Take a grant and start what it asks for. The same again changes and prolongs nothing.

        Raises `CommandError`: see `check`, and grant.altered, grant.over.
        """
        await self._loaded.wait()
        digest = _digest(grant)
        async with self._changing:
            held = await self._given_before(grant, digest)
            if held is not None:
                return held
            left_s = lasting_s(grant, command, self._cameras(), self._clock)
            now_s = self._clock.monotonic_s()
            given = Given(
                grant=grant,
                by=command.by,
                boot=self._boot,
                since_mono_s=now_s,
                until_mono_s=now_s + left_s,
                left_s=left_s,
            )

            def write(connection: sqlite3.Connection) -> None:
                store.keep(connection, given, digest)
                self._audit(connection, _given_entry(given))

            await self._db.run(write)
            self._holding[grant.id] = given
            await self.pushes.follow(self._holding.values())
        self._changed.set()
        self._log.info("grant given", grant=grant.id, audience=grant.audience, left_s=round(left_s))
        return given

    async def would_last_s(self, command: Command, grant: MediaGrant) -> float:
        """Return how long a grant would hold if it came now; nothing is given. Raises as `give`."""
        await self._loaded.wait()
        held = await self._given_before(grant, _digest(grant))
        if held is not None:
            return held.until_mono_s - self._clock.monotonic_s()
        return lasting_s(grant, command, self._cameras(), self._clock)

    async def permit(self, command: Command) -> None:
        """Let an order pass that needs no grant, or carries one that holds; take a new one.

        Raises `CommandError`: see `check_covers` and `give`.
        """
        grant = self.covering(command)
        if grant is not None:
            await self.give(command, grant)

    def covering(self, command: Command) -> MediaGrant | None:
        """Return the grant that an order needs and carries, None when it needs none.

        Raises `CommandError`: see `check_covers`.
        """
        need = self._need(command)
        return None if need is None else check_covers(command, need)

    def rests_on(self, command: Command) -> str:
        """Return the grant that an order needs and carries; "" when there is none."""
        is_needed = command.grant is not None and self._need(command) is not None
        return command.grant.id if command.grant is not None and is_needed else ""

    def covers(self, incident: str, what: What, camera_id: str) -> bool:
        """Say whether a grant of this incident that holds allows it."""
        return any(
            one.grant.incident == incident
            and what in one.grant.what
            and camera_id in one.grant.cameras
            for one in self._holding.values()
        )

    async def call(self, incident: str, cameras: Collection[str]) -> None:
        """Push what grants of this incident want `on_call` from these cameras, and no others."""
        if frozenset(cameras) == self.pushes.called.get(incident, frozenset()):
            return
        self.pushes.called[incident] = frozenset(cameras)
        if not cameras:
            del self.pushes.called[incident]
        await self._follow()

    async def holds(self, grant_id: str) -> bool:
        """Say whether a grant was given and has not ended."""
        await self._loaded.wait()
        given = self._holding.get(grant_id)
        return given is not None and given.until_mono_s > self._clock.monotonic_s()

    @asynccontextmanager
    async def resting(self, grant_id: str) -> AsyncIterator[None]:
        """What is done inside ends with the grant, and does not begin after it.

        Raises `CommandError` grant.over then.
        """
        if not await self.holds(grant_id):
            raise _over()
        ends = self._resting.setdefault(grant_id, set())
        try:
            async with asyncio.timeout(None if grant_id in self._holding else 0.0) as end:
                ends.add(end)
                yield
        except TimeoutError:
            if not end.expired():
                raise
            raise _over() from None
        finally:
            ends.discard(end)
            if not ends:
                self._resting.pop(grant_id, None)

    async def play(self, grant_id: str, camera_id: str, order: StartPush) -> PushState:
        """Push recorded video under a grant that holds, and return how it went.

        Raises `CommandError` grant.over.
        """
        given = self._holding.get(grant_id)
        if given is None:
            raise _over()
        order = structs.replace(order, until_mono_s=given.until_mono_s)
        ended: asyncio.Future[PushState] = asyncio.get_running_loop().create_future()
        self.pushes.play(Played(grant_id, camera_id, order, ended))
        try:
            await self._follow()
            return await ended
        finally:
            self.pushes.drop(order.push_id)
            await self._follow()

    async def end(self, grant_id: str) -> None:
        """End a grant now; one that is over is no error. Raises `CommandError` grant.unknown."""
        await self._loaded.wait()
        async with self._changing:
            if grant_id in self._holding:
                await self._end([self._holding[grant_id]], "ended")
            elif await self._db.run(lambda c: store.digest_of(c, grant_id)) is None:
                raise CommandError("grant.unknown", f"The box never had a grant {grant_id}.")

    async def holding(self) -> list[tuple[Given, float]]:
        """Return the grants that hold, each with the seconds it has left."""
        await self._loaded.wait()
        now_s = self._clock.monotonic_s()
        return [(given, given.until_mono_s - now_s) for given in self._holding.values()]

    async def worker_came(self, camera_id: str) -> None:
        """A camera's worker has begun: order what it should push."""
        if self._loaded.is_set():
            async with self._changing:
                await self.pushes.worker_came(camera_id)

    async def told(self, state: PushState) -> None:
        """A worker says how a push does."""
        self.pushes.told(state)

    async def run(self) -> None:
        async with self._changing:
            await self._load()
        self._loaded.set()
        tally_s = self._clock.monotonic_s() + _TALLY_S
        while True:
            self.progressed()
            await self._pause()
            now_s = self._clock.monotonic_s()
            over = [one for one in self._holding.values() if one.until_mono_s <= now_s]
            if over:
                async with self._changing:
                    over = [one for one in over if one.grant.id in self._holding]
                    await self._whatever_the_disk(self._end(over, "expired"))
            if self.pushes.lapsed:
                await self._follow()
            if now_s >= tally_s:
                tally_s = now_s + _TALLY_S
                async with self._changing:
                    await self._whatever_the_disk(self._tally())
                    await self._whatever_the_disk(self._report())

    def _need(self, command: Command) -> Need | None:
        return None if self._is_machinery(command.args) else need_of(command.args)

    async def _follow(self) -> None:
        async with self._changing:
            await self.pushes.follow(self._holding.values())

    async def _pause(self) -> None:
        """Wait for the next end or a change; never long, for the clock also runs in suspend."""
        now_s = self._clock.monotonic_s()
        idle_s = to_tick_s(self._clock, _LOOK_S if self._holding else _IDLE_S)
        next_s = min((one.until_mono_s - now_s for one in self._holding.values()), default=idle_s)
        self._changed.clear()
        try:
            async with asyncio.timeout(min(idle_s, max(0.0, next_s))):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _given_before(self, grant: MediaGrant, digest: bytes) -> Given | None:
        known = await self._db.run(lambda c: store.digest_of(c, grant.id))
        if known is None:
            return None
        if known != digest:
            raise CommandError("grant.altered", "This id was used for another grant.")
        if grant.id not in self._holding:
            raise _over()
        return self._holding[grant.id]

    async def _load(self) -> None:
        """Go on with what held before. A boot's clock dies with it: then the rest must be sure."""
        told = {given.grant.id for given, _, _ in self._unreported}
        kept = [one for one in await self._db.run(store.holding) if one.grant.id not in told]
        now_s, is_sure = self._clock.monotonic_s(), self._clock.quality() is TimeQuality.NTP
        wall_s = self._clock.utc_now().timestamp()
        over: list[Given] = []
        for given in kept:
            if given.boot != self._boot:
                left_s = min(given.left_s, given.grant.exp - wall_s) if is_sure else 0.0
                given.boot, given.left_s = self._boot, left_s
                given.since_mono_s, given.until_mono_s = now_s, now_s + left_s
                if left_s <= 0:
                    over.append(given)
            self._holding[given.grant.id] = given
        await self._whatever_the_disk(self._end(over, "reboot"))  # others are found in a moment
        await self._whatever_the_disk(self._tally())

    async def _whatever_the_disk(self, writing: Awaitable[None]) -> None:
        """Grants go on and end in time although it can't be written down now."""
        try:
            await writing
        except StorageError as error:
            self._log.warning("grants not written down", reason=error.message)

    async def _tally(self) -> None:
        """Write down how far the grants are."""
        now_s = self._clock.monotonic_s()
        holding = list(self._holding.values())
        if not holding:
            return
        for given in holding:
            given.left_s = given.until_mono_s - now_s
            given.lasted_s += now_s - given.since_mono_s
            given.since_mono_s = now_s

        def write(connection: sqlite3.Connection) -> None:
            for given in holding:
                store.tally(connection, given)

        await self._db.run(write)

    async def _end(self, over: list[Given], why: str) -> None:
        """Stop what only these wanted, then report: nothing is sent after the report."""
        now_s = asyncio.get_running_loop().time()
        for given in over:
            del self._holding[given.grant.id]
            for end in self._resting.get(given.grant.id, ()):
                end.reschedule(now_s)
            for tell in self.at_end:
                tell(given.grant.id)
        await self.pushes.follow(
            one for one in self._holding.values() if one.until_mono_s > self._clock.monotonic_s()
        )
        now_s = self._clock.monotonic_s()
        self._unreported += [(given, why, now_s) for given in over]
        await self._report()

    async def _report(self) -> None:
        """Tell of those that ended; what the disk does not take now is told later."""
        ended = tuple(self._unreported)

        def write(connection: sqlite3.Connection) -> None:
            for given, why, at_s in ended:
                store.forget(connection, given.grant.id)
                self._audit(connection, _entry(given, why, at_s))

        if ended:
            await self._db.run(write)
        del self._unreported[: len(ended)]
        for given, why, _ in ended:
            self._log.info("grant ended", grant=given.grant.id, why=why, bytes=given.bytes)


def _digest(grant: MediaGrant) -> bytes:
    return hashlib.sha256(msgspec.json.encode(grant)).digest()


def _over() -> CommandError:
    return CommandError("grant.over", "This grant has ended.", hint="Issue a new one.")


def _given_entry(given: Given) -> AuditEntry:
    grant, by = given.grant, given.by
    return AuditEntry(
        command_id=grant.id,
        op=GIVEN,
        actor=by.user,
        agency=by.agency,
        case=by.case or grant.incident,
        outcome="done",
        detail=msgspec.json.encode(store.told(given, given.left_s)).decode(),
        grant=grant.id,
    )


def _entry(given: Given, why: str, now_s: float) -> AuditEntry:
    grant, by = given.grant, given.by
    lasted_s = given.lasted_s + max(0.0, now_s - given.since_mono_s)
    report = GrantReport(
        grant=grant.id,
        incident=grant.incident,
        audience=grant.audience,
        ended=why,
        lasted_s=round(lasted_s, 1),
        bytes=given.bytes,
        kbps=round(given.bytes * 8 / 1000 / lasted_s, 1) if lasted_s > 0 else 0.0,
        stalls=given.stalls,
        status=grant.status,
    )
    return AuditEntry(
        command_id=grant.id,
        op=ENDED,
        actor=by.user,
        agency=by.agency,
        case=by.case or grant.incident,
        outcome=why,
        detail=msgspec.json.encode(report).decode(),
        grant=grant.id,
    )
