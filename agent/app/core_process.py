"""The core process: the box's voice. RuleHit -> event -> outbox -> center, and orders back.

A fresh interpreter started by the supervisor (`python -m agent.app.core_process FD PARENT`). It
never loads libav, numpy or TFLite.
"""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from agent.app import boots, coverage
from agent.app.birth import birth_document
from agent.app.box_view import CoreBoxView
from agent.app.camera_desk import CameraDesk
from agent.app.child import SupervisorLink, die_with_parent, orphaned
from agent.app.coverage import CoverageReporter
from agent.app.page import PageServer
from agent.app.run_dir import CORE_SOCKET, run_dir
from agent.app.supervisor_line import SupervisorLine, receive_settings
from agent.app.watch import Watch
from agent.app.worker_hub import WorkerHub
from agent.commands import desired, journal
from agent.commands.clip import DEADLINE_S as CLIP_DEADLINE_S
from agent.commands.clip import ClipHandler
from agent.commands.config import ConfigHandler
from agent.commands.counter import Counter
from agent.commands.desired import DesiredConfig
from agent.commands.lock import LockHandler
from agent.commands.ping import ping
from agent.commands.ptz import PtzHandler, gates_for_orders
from agent.commands.ptz_lease import Leases
from agent.commands.registry import Commands
from agent.commands.replay import replay
from agent.commands.signature import Signatures
from agent.commands.snapshot import SnapshotHandler
from agent.commands.upload_urls import UploadUrlsHandler
from agent.contract.config import ConfigReport
from agent.contract.info import Info
from agent.contract.topics import BoxAddress
from agent.core import log
from agent.core.clock import SystemClock, boot_id
from agent.core.component import Components, GaveUpError
from agent.core.db import Database
from agent.core.errors import CameraError, LinkError
from agent.core.lock import FileLock
from agent.core.log import Logger
from agent.enrol.renewal import CertificateRenewal
from agent.events import incidents
from agent.events.assembler import Assembler
from agent.events.incidents import Incidents, Origin
from agent.evidence.box_key import open_box_key
from agent.health.vitals import VitalsReader
from agent.messages.supervision import Configure
from agent.messages.worker import CameraState
from agent.outbox import audit, store
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
from agent.uploads import queue as uploads
from agent.uploads.sender import Uploads
from hardware.pick import pick_board

BOX_DATABASE = "box.db"
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
            settings.broker,
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
        self._commands = Commands(
            clock,
            db,
            signatures,
            Audit(self.outbox, clock, address.source),
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
        self._register_commands(data_dir, PtzHandler(gate, self._leases))

        # What the box knows of itself
        self._line = SupervisorLine(link, self._components, self.stop, clock)
        renewal = CertificateRenewal(clock, data_dir)
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
            self._desk,
            self._desired,
            renewal,
            self._link,
            PresenceKeeper(
                clock, self._link, self._presence, settle_s(settings.broker.keepalive_s)
            ),
            self._sender,
            LinkReporter(clock, self._link, self._sender, run_dir(settings)),
            self._uploads,
            self._commands,
            Counter(clock, self._commands, settings.box, run_dir(settings)),
            self._watch,
            telemetry,
            CoverageReporter(
                clock,
                db,
                self.outbox,
                lambda: open_box_key(data_dir),
                address.source,
                data_dir,
                lambda: [camera.camera_id for camera in self._settings.cameras],
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

    def _register_commands(self, data_dir: Path, ptz: PtzHandler) -> None:
        register = self._commands.register
        register("ping", ping(self._clock), idempotent=True)
        register(
            "snapshot", SnapshotHandler(self._hub, self._clock, self._uploads), idempotent=True
        )
        clip = ClipHandler(data_dir, self._uploads)
        register("clip", clip, idempotent=True, deadline_s=CLIP_DEADLINE_S)
        register("upload.urls", UploadUrlsHandler(self._uploads), idempotent=True)
        lock = LockHandler(self._hub)
        register("lock", lock, idempotent=True, deadline_s=20.0)
        register("unlock", lock, idempotent=True, deadline_s=20.0)
        register("ptz.move", ptz, idempotent=False, deadline_s=15.0)
        register("ptz.stop", ptz, idempotent=True, deadline_s=15.0)
        register("ptz.lease", self._leases.lease, idempotent=False, deadline_s=150.0, lasts=True)
        register("ptz.release", self._leases.release, idempotent=True)
        register("replay", replay(self.outbox), idempotent=True)
        register("config", ConfigHandler(self._desired), idempotent=True)

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
        )


async def serve(link: SupervisorLink) -> None:
    """Take the settings from the supervisor, open the database, run the core."""
    told = await receive_settings(link)
    settings = msgspec.json.decode(told.settings_json, type=Settings)
    log.configure("core", settings.log_level)
    lock = FileLock(run_dir(settings) / "core.lock", SystemClock())
    await asyncio.to_thread(lock.__enter__)  # an orphan of a killed supervisor ends first
    try:
        await _serve(settings, told, link)
    finally:
        lock.__exit__(None, None, None)


async def _serve(settings: Settings, told: Configure, link: SupervisorLink) -> None:
    the_log = log.get("core")
    db = Database(
        data_dir_of(settings) / BOX_DATABASE,
        [
            boots.PART,
            store.PART,
            audit.PART,
            incidents.PART,
            journal.PART,
            uploads.PART,
            desired.PART,
            coverage.PART,
        ],
    )
    await db.start()
    try:
        boot = await db.run(lambda connection: boots.number_of(connection, boot_id()))
        core = Core(settings, msgspec.json.decode(told.table_json), link, db, boot)
        await core.outbox.start()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, core.stop.set)
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C: the supervisor decides
        the_log.info("core ready", pid=os.getpid(), boot=boot, epoch=core.outbox.epoch)
        await _until_stopped(core, the_log)
    finally:
        await db.stop()


async def _until_stopped(core: Core, the_log: Logger) -> None:
    try:
        await core.run()
    except* GaveUpError as group:
        the_log.error("core gives up", reason=str(group.exceptions[0]))
        sys.exit(1)


def main() -> None:
    """Entry point of the process; arguments: the socket's number, the supervisor's pid."""
    handle, parent = int(sys.argv[1]), int(sys.argv[2])
    die_with_parent()
    if orphaned(parent):
        return
    sock = socket.socket(fileno=handle)
    log.configure("core")
    asyncio.run(serve(SupervisorLink(sock)))


if __name__ == "__main__":
    main()
