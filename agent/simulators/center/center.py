"""The center, one asyncio process: link, ingest, acks, orders, uploads, and what its page sees."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from starlette.routing import Route

from agent.contract.commands import Actor, Args, Bundle, Clip, Reply, ReplyState, Snapshot
from agent.contract.config import Desired
from agent.contract.events import Event
from agent.contract.presence import CenterState
from agent.contract.ptz import PtzStep
from agent.contract.topics import BoxAddress, center_state_topic, up_filter
from agent.core.clock import Clock, utc_at
from agent.core.component import Components
from agent.core.db import Database
from agent.settings.model import BrokerSettings
from agent.simulators.center import boxes, evidence, store
from agent.simulators.center.boxes import Patience
from agent.simulators.center.commander import Commander, load_key
from agent.simulators.center.district import District
from agent.simulators.center.file_desk import FileDesk
from agent.simulators.center.granting import Occasion
from agent.simulators.center.ingest import Acker, Ingest
from agent.simulators.center.joystick import Joystick
from agent.simulators.center.uploads import Uploads
from agent.simulators.center.view import BoxView, Doubt, Session, StoredEvent, Upload
from agent.simulators.center.wishes import Wishes
from agent.uplink.backoff import Backoff
from agent.uplink.link import Link, Outgoing

_EVENT_TYPE = "edge.event."
_UPLOAD_S = 300.0


@dataclass(frozen=True, slots=True)
class CenterConfig:
    """One center for one site. `base_url` is where boxes reach its web app."""

    data_dir: Path
    broker: BrokerSettings
    site: str = "site-1"
    base_url: str = "http://127.0.0.1:8480"
    backoff: Backoff | None = None
    patience: Patience = field(default_factory=Patience)


@dataclass(slots=True)
class _Presence:
    """The center's greeter: boxes stop draining while its ingest is away."""

    site: str
    storm_until: datetime | None = None
    back_after_s: float | None = None

    def will(self) -> Outgoing:
        return self._state(online=False)

    def greetings(self) -> Sequence[Outgoing]:
        return (self.present(),)

    def present(self) -> Outgoing:
        return self._state(online=True)

    def farewell(self) -> Outgoing:
        return self._state(online=False)

    def _state(self, *, online: bool) -> Outgoing:
        storm = self.storm_until if online else None
        back_after_s = self.back_after_s if online else None
        state = CenterState(online=online, storm_until=storm, back_after_s=back_after_s)
        return Outgoing(center_state_topic(self.site), msgspec.json.encode(state), retain=True)


class Center:
    """`await open()`, then `await run()`. Fulfils `CenterView`."""

    def __init__(self, config: CenterConfig, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self._db = Database(config.data_dir / "center.db", [store.PART, evidence.PART])
        self._acker = Acker(clock)
        self._changes, self._changed = 0, asyncio.Event()
        self._uploads = Uploads(
            clock, self._db, config.data_dir / "uploads", config.base_url, self._change
        )
        self._files = FileDesk(clock, self._db, self._uploads, self._order)
        ingest = Ingest(clock, self._db, self._acker, self._replied, self._change)
        self._presence = _Presence(config.site)
        self._link = Link(
            clock,
            config.broker,
            f"center-{config.site}",
            greeter=self._presence,
            subscriptions=[(up_filter(config.site), 1)],
            received=ingest.received,
            clean_session=False,  # the broker keeps what comes while the center is away
            backoff=config.backoff,
        )
        self._acker.link = self._link
        self.district = District(clock, self._link.publish)
        self.district.on_change = self._change
        self._joystick = Joystick(clock, self.command, self._link.publish)
        self._commander: Commander | None = None

    async def open(self) -> None:
        """Open the database and the key; writes the public keys' file."""
        key = await asyncio.to_thread(load_key, self._config.data_dir)
        self.district.key = key
        self._commander = Commander(self._clock, key, self._link.publish, self._config.site)
        await self._db.start()

    async def run(self) -> None:
        """Work until cancelled."""
        components = Components(self._clock)
        components.add(self._acker)
        components.add(self._link)
        components.add(self._files)
        components.add(self._joystick)
        components.add(self.district)
        components.spawn("center.link-watch", self._watch_link)
        try:
            await components.run()
        finally:
            await self._db.stop()

    def routes(self) -> list[Route]:
        """Return the routes boxes need, for the center's web app."""
        return self._uploads.routes()

    def link(self) -> str:
        status = self._link.status
        return "" if status.connected else str(status.error or "Not connected yet.")

    async def events(self, limit: int = 50, after: int = 0) -> list[StoredEvent]:
        rows = await self._db.run(
            partial(store.newest, type_prefix=_EVENT_TYPE, limit=limit, after=after)
        )
        return [event for row in rows if (event := _stored_event(row)) is not None]

    async def doubts(self, limit: int = 20) -> list[Doubt]:
        return await self._db.run(partial(evidence.doubts, limit=limit))

    async def boxes(self) -> list[BoxView]:
        now, listening_since = self._clock.utc_now(), self._listening_since()
        patience = self._config.patience
        return await self._db.run(
            lambda connection: boxes.views(
                connection, store.counts(connection), now, patience, listening_since
            )
        )

    async def sessions(self, address: BoxAddress, limit: int = 50) -> list[Session]:
        """Return a box's newest connections; what lies between them are its gaps."""
        return await self._db.run(partial(boxes.sessions, address=address, limit=limit))

    async def configure(self, address: BoxAddress, settings: dict[str, Any], by: Actor) -> Desired:
        """Order a whole configuration; what came of it is in the box's view, as `config`."""
        assert self._commander is not None, "open() first"  # noqa: S101  a mistake in the program
        known = next((box.config for box in await self.boxes() if box.address == address), None)
        desired = await self._commander.configure(address, settings, by, known)
        wishes = Wishes(self._config.data_dir)
        await asyncio.to_thread(wishes.write, address, settings)
        return desired

    async def storm(self, until: datetime | None) -> None:
        """Ask all boxes to be sparing until then; None ends it. Raises `LinkError`."""
        self._presence.storm_until = until
        await self._link.publish(self._presence.present())

    async def come_back_after(self, seconds: float | None) -> None:
        """Tell all boxes that the broker will be away, and when to come back. Raises `LinkError`.

        Said for this time alone: who connects later is not told.
        """
        self._presence.back_after_s = seconds
        try:
            await self._link.publish(replace(self._presence.present(), retain=False))
        finally:
            self._presence.back_after_s = None

    async def changed(self, known: int) -> int:
        while self._changes == known:
            await self._changed.wait()
        return self._changes

    async def command(
        self,
        address: BoxAddress,
        args: Args,
        by: Actor,
        *,
        valid_s: float = 30.0,
        occasion: Occasion | None = None,
    ) -> AsyncIterator[Reply]:
        assert self._commander is not None, "open() first"  # noqa: S101  a mistake in the program
        state = await self._db.run(partial(boxes.state_of, address=address))
        nonce = "" if state is None else state.nonce
        command = self._commander.new_command(
            address, args, by, valid_s=valid_s, nonce=nonce, occasion=occasion
        )
        if isinstance(args, Snapshot | Clip | Bundle) and not args.upload_url:
            await self._db.run(partial(store.expect_file, command_id=command.id, address=address))
            url = self._uploads.address_for(command.id, valid_s + _UPLOAD_S)
            args = msgspec.structs.replace(args, upload_url=url)
            command = msgspec.structs.replace(command, args=args)
        async for reply in self._commander.send(address, command):
            yield reply

    async def steer(
        self, address: BoxAddress, camera_id: str, by: Actor, step: PtzStep
    ) -> Reply | None:
        return await self._joystick.steer(address, camera_id, by, step)

    async def uploads(self, limit: int = 50) -> list[Upload]:
        return await self._db.run(partial(store.uploads, limit=limit))

    async def upload_of(self, command_id: str) -> Upload | None:
        return await self._db.run(partial(store.upload_of, command_id=command_id))

    async def _order(self, address: BoxAddress, args: Args) -> None:
        """Give an order of the center's own, whatever becomes of it."""
        async for _ in self.command(address, args, Actor(user="center")):
            pass

    def _replied(self, address: BoxAddress, reply: Reply) -> None:
        if reply.need is not None:
            self._files.needed(address, reply.id, reply.need)
        elif reply.state is ReplyState.FAILED:
            self._files.failed(address, reply.id)
        self.district.replied(address, reply)
        if self._commander is not None:
            self._commander.replied(reply)

    def _change(self) -> None:
        self._changes += 1
        self._changed.set()
        self._changed = asyncio.Event()

    def _listening_since(self) -> datetime | None:
        status = self._link.status
        return utc_at(self._clock, status.since_mono_s) if status.connected else None

    async def _watch_link(self) -> None:
        known = self._link.status
        while True:
            await self._clock.sleep_s(0.5)
            if self._link.status.connected != known.connected:
                self._change()
            known = self._link.status


def _stored_event(row: store.StoredRecord) -> StoredEvent | None:
    """Return None for an event of a newer contract than this center's: stored, but not shown."""
    try:
        event = msgspec.json.decode(row.body, type=Event)
    except msgspec.MsgspecError:
        return None
    delay_s = (row.received_at - event.time).total_seconds()
    return StoredEvent(row.number, row.address, event, row.received_at, delay_s, row.redelivered)
