"""The core's parts wired in the order events flow: RuleHit, event, outbox, center, and back."""

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from agent.app.alarm_files import AlarmFiles
from agent.app.audit_desk import AuditDesk
from agent.app.birth import birth_document
from agent.app.box_view import CoreBoxView
from agent.app.camera_desk import CameraDesk
from agent.app.child import SupervisorLink
from agent.app.coverage import CoverageReporter
from agent.app.evidence_report import EvidenceReporter
from agent.app.fault_events import troubles
from agent.app.orders import register_orders
from agent.app.page import PageServer
from agent.app.run_dir import CORE_SOCKET, run_dir
from agent.app.supervisor_line import SupervisorLine
from agent.app.watch import Watch
from agent.app.worker_hub import WorkerHub
from agent.commands.counter import Counter
from agent.commands.desired import DesiredConfig
from agent.commands.ptz import PtzHandler, gates_for_orders
from agent.commands.ptz_lease import Leases
from agent.commands.registry import Commands
from agent.commands.renew import renew
from agent.commands.signature import Signatures
from agent.contract.config import ConfigReport
from agent.contract.info import Info
from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from agent.core.component import Components
from agent.core.db import Database
from agent.core.errors import CameraError, LinkError, StorageError
from agent.enrol.identity import present_broker
from agent.enrol.new_ways import NewWays
from agent.enrol.renewal import CertificateRenewal
from agent.events.assembler import Assembler
from agent.events.box_faults import BoxFaults
from agent.events.incidents import Incidents, Origin
from agent.evidence.box_key import BoxKey
from agent.evidence.key_store import KeyRing, load_box_key
from agent.health.vitals import VitalsReader
from agent.messages.worker import CameraState
from agent.outbox.audit import Audit
from agent.outbox.store import Store
from agent.outbox.writer import Outbox
from agent.settings.diff import SettingsDiff
from agent.settings.load import data_dir_of
from agent.settings.model import Settings
from agent.uplink import coding
from agent.uplink.inbound import Inbound
from agent.uplink.link import Link
from agent.uplink.link_report import LinkReporter
from agent.uplink.presence import Presence, PresenceKeeper, settle_s
from agent.uplink.replies import Replies
from agent.uplink.sender import Sender
from agent.uplink.telemetry import TelemetrySender
from agent.uploads.sender import Uploads
from hardware.pick import pick_board

DRAIN_S = 3.0


class Core:
    """Wires the core's components in the order events flow; `run` keeps them alive."""

    def __init__(
        self,
        settings: Settings,
        table: dict[str, Any],
        link: SupervisorLink,
        db: Database,
        boot: int,
    ) -> None:
        self._settings, self._db, self._boot = settings, db, boot
        self._clock = clock = SystemClock()
        self.stop = asyncio.Event()
        self._components = Components(clock)
        data_dir = data_dir_of(settings)
        address = BoxAddress(settings.site, settings.box)
        board = pick_board(kind=settings.board.kind)

        # Eyes to events to outbox
        self.outbox = Outbox(
            db,
            Store(
                clock,
                boot,
                max_bytes=settings.outbox.max_bytes,
                keep_acked_days=settings.outbox.keep_acked_days,
            ),
            clock,
        )
        origin = Origin(
            settings.site, settings.box, boot, lambda: self.outbox.epoch, settings.status
        )
        self._assembler = Assembler(
            db,
            Incidents(self.outbox.append_in, origin, clock),
            clock,
            thumbnails=settings.center.thumbnails,
        )
        self._hub = WorkerHub(
            run_dir(settings) / CORE_SOCKET,
            clock,
            self._assembler.take,
            self._assembler.saw,
            self._assembler.take_finding,
        )
        self._desk = CameraDesk(settings.cameras, self._hub, clock)

        # Outbox to center and back
        self._presence = Presence(
            clock,
            address,
            boot,
            self._info,
            config=lambda: self._desired.report(),  # noqa: PLW0108 - made below
            beat_s=settings.center.telemetry_s,
        )
        self._inbound = Inbound(
            address,
            on_acks=lambda acks: self._sender.acknowledged(acks),  # noqa: PLW0108 - made below
            on_center=lambda online: self._sender.center_is(online),  # noqa: PLW0108 - made below
            on_command=lambda token: self._commands.handle(token),  # noqa: PLW0108 - made below
            on_config=lambda token: self._desired.handle(token),  # noqa: PLW0108 - made below
        )
        self._link = Link(
            clock,
            present_broker(data_dir, settings.broker),
            settings.box,
            greeter=self._presence,
            subscriptions=self._inbound.subscriptions,
            received=self._inbound.received,
        )
        self._sender = Sender(clock, self._link, self.outbox, address, settings.broker.window_bytes)
        keys_file = Path(settings.center.keys_file) if settings.center.keys_file else None
        signatures = Signatures(keys_file, settings.box, clock)
        gate = gates_for_orders(self._desk.gate)
        self._leases = Leases(clock, gate, lambda: self._link.status.connected)
        answer = Replies(clock, self._link, address).answer
        self._uploads = Uploads(clock, db, data_dir, answer, settings.uploads)
        self.audit_desk = AuditDesk(
            clock, db, Audit(self.outbox, clock, address.source), data_dir, settings
        )
        self._commands = Commands(
            clock,
            db,
            signatures,
            self.audit_desk.chain,
            answer,
            lambda: self._presence.state.nonce,
            step=self._leases.step,
        )
        self._desired = DesiredConfig(
            clock,
            db,
            signatures,
            table,
            settings,
            data_dir,
            apply=self._apply,
            works=self._works,
            tell=self._tell_config,
        )
        register_orders(
            self._commands,
            self._hub,
            self._uploads,
            self._desired,
            self.outbox,
            PtzHandler(gate, self._leases),
            self._leases,
            data_dir,
            clock,
        )

        # What the box knows of itself
        self._line = SupervisorLine(link, self._components, self.stop, clock)
        ways = NewWays(
            clock,
            data_dir,
            use=lambda identity: self._link.use(identity.broker_of(settings.broker)),
            link_is_up=lambda: self._link.status.connected,
        )
        renewal = CertificateRenewal(clock, data_dir, ways)
        look = partial(renewal.look, now=True)
        self._commands.register("enrol.renew", renew(look), idempotent=True, deadline_s=60.0)
        self._watch = Watch(
            settings,
            VitalsReader(board, data_dir, clock),
            self._line,
            self._hub,
            self._desk,
            self._link,
            self._sender,
            self.outbox,
            renewal,
            run_dir(settings),
            clock,
        )
        self._watch.uploads = lambda: self._uploads.backlog
        telemetry = TelemetrySender(
            clock,
            self._link,
            address,
            settings.center.telemetry_s,
            lambda: self._watch.telemetry(self._presence),
            coding.pack if settings.broker.telemetry_coding == "zstd" else bytes,
        )
        view = CoreBoxView(
            self._watch,
            self._line,
            self._hub,
            self._desk,
            self._link,
            self.outbox,
            db,
            board,
            clock,
        )
        for component in (
            self._line,
            self._hub,
            self._assembler,
            self.audit_desk,
            self._desk,
            self._desired,
            renewal,
            ways,
            self._link,
            PresenceKeeper(clock, self._link, self._presence, settle_s(settings.broker.ping_s)),
            self._sender,
            LinkReporter(clock, self._link, self._sender, run_dir(settings)),
            self._uploads,
            AlarmFiles(clock, db, data_dir, self._hub, self._uploads, self._assembler.incidents),
            self._commands,
            Counter(clock, self._commands, settings.box, run_dir(settings)),
            self._watch,
            BoxFaults(
                db, self._assembler.incidents, lambda: troubles(self._watch, self._hub), clock
            ),
            telemetry,
            *(
                reporter(
                    clock,
                    db,
                    self.outbox,
                    KeyRing(data_dir).key,
                    address.source,
                    data_dir,
                    lambda: [camera.camera_id for camera in self._settings.cameras],
                )
                for reporter in (CoverageReporter, EvidenceReporter)
            ),
        ):
            self._components.add(component)
        if settings.page.enabled:
            self._components.add(PageServer(view, settings.page.listen, clock))

    async def run(self) -> None:
        """Run until `stop` is set. Raises `GaveUpError` when a component can't be kept alive."""
        for camera in self._settings.cameras:
            self._assembler.expect(camera.camera_id)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self._components.run())
            await asyncio.wait(
                [running, tasks.create_task(self.stop.wait())],
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not self._line.is_orphan:
                await self._drain()
            running.cancel()
            self.stop.set()

    async def _drain(self) -> None:
        """At a planned stop, give what is queued a moment to reach the center."""
        until_s = self._clock.monotonic_s() + DRAIN_S
        while self._link.status.connected and self._clock.monotonic_s() < until_s:
            if (await self.outbox.sample()).waiting == 0:
                return
            await self._clock.sleep_s(0.05)

    async def _apply(self, new: Settings, change: SettingsDiff) -> None:
        """Take over what the core itself needs; the supervisor restarts the rest."""
        self._settings = self._watch.settings = new
        for camera in new.cameras:
            self._assembler.expect(camera.camera_id)
        for camera_id in change.removed:
            self._assembler.forget(camera_id)
        self._desk.use(new.cameras)
        self._uploads.settings = new.uploads
        self._line.ask_reload()
        for camera in new.cameras:
            if camera.camera_id in change.retuned:
                with suppress(CameraError):  # a worker that starts anew reads them itself
                    await self._hub.retune(camera)

    def _works(self) -> frozenset[str]:
        """Name what works now: a change that loses any of it is taken back."""
        cameras = {
            f"camera/{status.camera_id}"
            for status in self._hub.statuses()
            if status.main.state is CameraState.ONLINE
        }
        return frozenset(cameras | ({"link"} if self._link.status.connected else set()))

    async def _tell_config(self, report: ConfigReport) -> None:
        code = report.errors[0].code if report.errors else ""
        detail = f"version {report.version}, hash {report.hash}"
        await self.audit_desk.note(
            "config.desired", "center", report.status.value, code=code, detail=detail
        )
        with suppress(LinkError):  # it is told at each connection
            await self._link.publish(self._presence.config_report(report))

    def _info(self) -> Info:
        return birth_document(
            self._settings,
            self._desk,
            self._watch.capacity,
            boot=self._boot,
            epoch=self.outbox.epoch,
            commands=self._commands.operations,
            settings_hash=self._desired.report().hash,
            key=_box_key(self._settings),
        )


def _box_key(settings: Settings) -> BoxKey | None:
    with suppress(StorageError):
        return load_box_key(data_dir_of(settings))
    return None
