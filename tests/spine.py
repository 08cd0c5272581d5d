"""A box's voice (outbox, uplink, commands) and a center, wired as the processes wire them."""

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from agent.app import audit_desk
from agent.app.audit_desk import AuditDesk
from agent.commands import config_state, incident_store, journal
from agent.commands.desired import DesiredConfig
from agent.commands.ping import ping
from agent.commands.ptz import gates_for_orders
from agent.commands.ptz_lease import Leases
from agent.commands.registry import Commands
from agent.commands.signature import Signatures
from agent.contract.events import Event, EventData, EventKind, Phase, StreamName, type_of
from agent.contract.info import Info
from agent.contract.telemetry import LinkSample, Telemetry
from agent.contract.topics import BoxAddress
from agent.core import log
from agent.core.clock import SystemClock
from agent.core.component import Components
from agent.core.db import Database
from agent.core.errors import LinkError
from agent.core.ids import new_ulid
from agent.grants import policies
from agent.grants import store as grants
from agent.outbox import audit, store
from agent.outbox.audit import Audit
from agent.outbox.writer import Outbox
from agent.settings.in_effect import in_effect
from agent.settings.model import DataSettings
from agent.simulators.center.boxes import Patience
from agent.simulators.center.center import Center, CenterConfig
from agent.uplink import economy
from agent.uplink.backoff import Backoff
from agent.uplink.economy import Economy
from agent.uplink.inbound import Inbound
from agent.uplink.link import Link
from agent.uplink.presence import Presence, PresenceKeeper
from agent.uplink.replies import Replies
from agent.uplink.sender import Sender
from agent.uplink.telemetry import TelemetrySender

log.configure("test", "error")
QUICK = Backoff(first_s=0.1, base_s=0.1, cap_s=0.3, twin_s=0.5)
ADDRESS = BoxAddress("site-1", "box-1")
A, E, T, U = StreamName.ALARM, StreamName.EVENT, StreamName.TELEMETRY, StreamName.AUDIT


class Box:
    def __init__(
        self,
        folder: Path,
        broker,
        address=ADDRESS,
        keys_file=None,
        *,
        clock=None,
        boot=1,
        data=None,
        echo=lambda _: None,
        **outbox,
    ):
        self.clock, self.address = clock or SystemClock(), address
        parts = [store.PART, audit.PART, journal.PART, config_state.PART, economy.PART]
        parts += [audit_desk.PART, grants.PART, policies.PART, incident_store.PART]
        self.db = Database(folder / "box.db", parts)
        limits = {"max_bytes": 50_000_000} | outbox
        self.outbox = Outbox(self.db, store.Store(self.clock, boot, **limits), self.clock)
        self.presence = Presence(
            self.clock, address, boot, self._info, config=self._report, beat_s=0.5
        )
        self.inbound = Inbound(address, self._acked, self._center, self._command, self._config)
        self.link = Link(
            self.clock,
            broker,
            address.box,
            greeter=self.presence,
            subscriptions=self.inbound.subscriptions,
            received=self.inbound.received,
            backoff=QUICK,
        )
        self.keeper = PresenceKeeper(self.clock, self.link, self.presence, 0.3, 0.05)
        self.inbound.on_call = self.keeper.ask
        self.economy = Economy(
            self.clock,
            self.db,
            data or DataSettings(),
            is_lte=lambda: self.link.kind == "lte",
            carried=lambda: self.link.carried_bytes,
            waiting=self._waiting,
            is_sending=lambda: self.link.status.connected and self.sender.center_online,
            changed=self._tell_beat,
        )
        self.inbound.on_storm = self.economy.told
        self.sender = Sender(
            self.clock,
            self.link,
            self.outbox,
            address,
            broker.window_bytes,
            lighten=self.economy.lighten,
            echo=echo,
        )
        self.telemetry = TelemetrySender(
            self.clock,
            self.link,
            address,
            0.5,
            self._sample,
            stretch=lambda: self.economy.stretch,
            held=self.economy.held_samples,
        )
        signatures = Signatures(keys_file, address.box, self.clock)
        self.gates, self.others = {}, []
        self.leases = Leases(
            self.clock, gates_for_orders(self.gates.get), lambda: self.link.status.connected
        )
        self.table = {"cameras": [{"camera_id": "gate", "main_url": "rtsp://10.0.0.1/m"}]}
        self.applied, self.works = [], {"link", "camera/gate"}
        settings = in_effect(self.table, folder).settings
        chain = Audit(self.outbox, self.clock, address.source)
        self.audit_desk = AuditDesk(self.clock, self.db, chain, folder, settings)
        self.desired = DesiredConfig(
            self.clock,
            self.db,
            signatures,
            self.table,
            settings,
            folder,
            apply=self._apply,
            works=lambda: frozenset(self.works),
            tell=self._tell,
            audit=self.audit_desk.note_change,
        )
        self.commands = Commands(
            self.clock,
            self.db,
            signatures,
            chain,
            Replies(self.clock, self.link, address).answer,
            lambda: self.presence.state.nonce,
            step=self.leases.step,
        )
        self.commands.register("ping", ping(self.clock), idempotent=True)

    async def open(self):
        await self.db.start()
        await self.outbox.start()

    async def run(self):
        components = Components(self.clock)
        for component in (
            self.desired,
            self.commands,
            self.sender,
            self.link,
            self.keeper,
            self.economy,
            self.telemetry,
            *self.others,
        ):
            components.add(component)
        try:
            await components.run()
        finally:
            await self.db.stop()

    async def say(self, stream=E, phase=Phase.NEW, event_id="", pad="", kind=EventKind.INTRUSION):
        """Queue one event; return its number."""
        event_id = event_id or new_ulid(self.clock.utc_now())

        def build(seq):
            at, epoch = self.clock.utc_now(), self.outbox.epoch
            return encoded_event(self.address, epoch, stream, seq, event_id, phase, pad, at=at)

        return await self.outbox.append(
            stream, build, event_id=event_id, phase=phase, true_mono_s=self.clock.monotonic_s()
        )

    async def all_acknowledged(self):
        while any(c.waiting for c in (await self.outbox.counts()).values()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def _waiting(self):
        return (await self.outbox.sample()).waiting

    def _tell_beat(self):
        self.presence.beats(0.5 * self.economy.stretch)
        self.keeper.ask()

    async def _acked(self, acks):
        await self.sender.acknowledged(acks)

    def _center(self, online):
        self.sender.center_is(online)

    async def _command(self, token):
        await self.commands.handle(token)

    async def _config(self, token):
        await self.desired.handle(token)

    def _report(self):
        return self.desired.report()

    async def _apply(self, settings, change):
        self.applied.append(change)

    async def _tell(self, report):
        with suppress(LinkError):
            await self.link.publish(self.presence.config_report(report))

    def _info(self):
        return Info(
            box=self.address.box,
            site=self.address.site,
            model="test",
            version="0",
            boot=1,
            epoch=self.outbox.epoch,
            commands=self.commands.operations,
        )

    async def _sample(self):
        return Telemetry(
            t=self.clock.utc_now(),
            mono=self.clock.monotonic_s(),
            tq=self.clock.quality(),
            state=self.presence.state,
            outbox=await self.outbox.sample(self.sender.resent_total),
            link=LinkSample(mqtt=self.link.status.mqtt, data=self.economy.sample()),
        )


def encoded_event(address, epoch, stream, seq, event_id, phase=Phase.NEW, pad="", boot=1, at=None):
    now = at or datetime.now(UTC)
    return msgspec.json.encode(
        Event(
            id=event_id,
            source=address.source,
            type=type_of(EventKind.INTRUSION),
            subject="cam-1",
            time=now,
            seq=seq,
            stream=stream,
            epoch=epoch,
            boot=boot,
            mono=1.0,
            tq=SystemClock().quality(),
            phase=phase,
            data=EventData(kind=EventKind.INTRUSION, started_at=now, detail=pad or None),
        )
    )


@asynccontextmanager
async def running(thing):
    """Open and run a box or a center for the length of a `with` block."""
    await thing.open()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(thing.run())
        try:
            yield thing
        finally:
            task.cancel()


def make_center(folder: Path, broker) -> Center:
    patience = Patience(away_s=0.3, silent_s=0.5, answer_s=1.5)
    return Center(CenterConfig(folder, broker, backoff=QUICK, patience=patience), SystemClock())


async def visit(folder: Path, broker) -> None:
    """Let the center connect once and go: its session stays, and boxes know that it is away."""
    async with running(make_center(folder, broker)) as center:

        async def is_connected():
            return center.link() == ""

        await eventually(is_connected)


async def stored(center, address=ADDRESS):
    """Return (id, seq) of all stored events of a box, oldest first."""
    events = await center.events(100_000)
    return [
        (e.event.id, e.event.stream.value, e.event.seq)
        for e in reversed(events)
        if e.address == address
    ]


async def eventually(condition):
    """Wait until `await condition()` is true; the test's own time-out bounds it."""
    while not await condition():  # noqa: ASYNC110
        await asyncio.sleep(0.03)
