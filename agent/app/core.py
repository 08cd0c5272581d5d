"""The core's parts joined: what the box sees, its voice, and what it knows of itself."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any

from msgspec.structs import replace

from agent.app.alarm_files import AlarmFiles
from agent.app.alarm_watch import AlarmWatch
from agent.app.bell_call import BellCall
from agent.app.birth import birth_document
from agent.app.box_view import CoreBoxView
from agent.app.camera_watchdog import CameraWatchdog
from agent.app.child import SupervisorLink
from agent.app.core_disk import claim_book, disk_to_tell_of
from agent.app.counter_answers import CounterAnswers
from agent.app.coverage import CoverageReporter
from agent.app.dry_tries import DryTries
from agent.app.evidence_report import EvidenceReporter
from agent.app.fault_events import troubles
from agent.app.former_cameras import FormerCameras
from agent.app.grants_desk import make_grants, make_policies
from agent.app.health_hour import HealthReporter, Look
from agent.app.heat_guard import HeatGuard
from agent.app.incident_desk import make_sessions
from agent.app.orders import register_orders
from agent.app.page import PageServer
from agent.app.reboot_note import RebootNote
from agent.app.run_dir import image_run, run_dir
from agent.app.service_tools import service_tools
from agent.app.setup_tools import setup_tools
from agent.app.sight import Sight
from agent.app.status_lamp import make_lamp
from agent.app.supervisor_line import SupervisorLine
from agent.app.time_floor import FloorKeeper
from agent.app.update_desk import make_updates
from agent.app.voice import Voice
from agent.app.watch import Watch
from agent.buffer.journal import Signer
from agent.contract.info import Info
from agent.contract.telemetry import BoardSample
from agent.core.clock import SystemClock, boot_id
from agent.core.component import Component, Components
from agent.core.db import Database
from agent.core.disk_wait import DiskWait
from agent.core.errors import StorageError
from agent.enrol.identity import present_broker
from agent.enrol.new_ways import NewWays
from agent.enrol.renewal import CertificateRenewal
from agent.events.box_faults import BoxFaults
from agent.evidence.box_key import BoxKey
from agent.evidence.key_store import KeyRing, load_box_key
from agent.health.note import HealthNotes
from agent.health.settings_file import settings_faults, stick_faults, told_of_stick
from agent.health.stored_settings import stored_faults
from agent.health.updates import update_faults
from agent.health.vitals import VitalsReader
from agent.local.access.claim import ClaimCheck
from agent.local.setup.read_back import ReadBack
from agent.settings.diff import SettingsDiff
from agent.settings.load import data_dir_of
from agent.settings.model import Settings
from agent.settings.pole import Meaning
from agent.uplink import coding
from agent.uplink.telemetry import TelemetrySender
from hardware.pick import pick_board

DRAIN_S = 3.0


class Core:
    """Wires the core's components; `run` keeps them alive."""

    def __init__(
        self,
        settings: Settings,
        table: dict[str, Any],
        link: SupervisorLink,
        db: Database,
        boot: int,
        left_out: tuple[str, ...] = (),
    ) -> None:
        self._settings, self._boot, self._left_out = settings, boot, left_out
        self._stick = told_of_stick(image_run(settings))
        self._clock = clock = SystemClock()
        self.stop = asyncio.Event()
        self._components = Components(clock)
        data_dir = data_dir_of(settings)
        board = pick_board(kind=settings.board.kind, lines_folder=run_dir(settings) / "lines")
        self._sight = sight = Sight(settings, db, boot, board, clock)
        self.outbox = sight.outbox
        self._voice = voice = Voice(
            settings,
            table,
            db,
            boot,
            sight,
            clock,
            info=self._info,
            apply=self._apply,
            works=lambda: self._works(self._sight.online()),
        )
        self._disk = DiskWait((db.calls,), clock)
        self._line = SupervisorLine(link, self._components, self.stop, self._disk, clock)
        ways = NewWays(
            clock,
            data_dir,
            use=lambda identity: voice.link.use(identity.broker_of(self._settings.broker)),
            link_is_up=lambda: voice.link.status.connected,
        )
        renewal = CertificateRenewal(clock, data_dir, ways)
        register_orders(
            sight, voice, partial(renewal.look, now=True), db, lambda: self._settings, clock
        )
        self._watch = Watch(
            settings,
            VitalsReader(board, disk_to_tell_of(settings, table), clock),
            self._line,
            sight.hub,
            sight.desk,
            voice.link,
            voice.sender,
            self.outbox,
            renewal,
            run_dir(settings),
            clock,
        )
        self._heat = HeatGuard(
            sight.hub,
            lambda: self._watch.vitals.temperatures if self._watch.vitals else (),
            lambda: self._settings.cameras,
            run_dir(settings),
            clock,
        )
        self._camera_watchdog = CameraWatchdog(
            db,
            sight.hub,
            sight.pole.outputs,
            lambda: self._settings.cameras,
            self._note,
            clock,
        )
        bell_call = BellCall(
            sight.hub, voice.leases, voice.gates, self._bell_preset_of, self._note, clock
        )
        sight.pole.on_press = bell_call.pressed
        faults = BoxFaults(
            db, sight.assembler.incidents, lambda: troubles(self._watch, sight.hub), clock
        )
        self._reboot_note = RebootNote(data_dir, boot_id(), faults.is_told, clock)
        self._alarm_watch = AlarmWatch(db, sight.assembler, settings, clock)
        grants = make_grants(
            sight.hub,
            voice.commands,
            voice.uploads,
            voice.audit_desk.chain,
            db,
            lambda: [camera.camera_id for camera in self._settings.cameras],
            lambda: self._settings.pole.outputs,
            clock,
        )
        policies, policy_watch = make_policies(grants, voice.commands, db, settings, clock)
        self._sessions = make_sessions(sight, voice, grants, policies, run_dir(settings), db, clock)
        self._updates = make_updates(voice, grants, run_dir(settings), settings, clock)
        lamp = make_lamp(board.lamp, self._watch, voice, self._updates, clock)
        self._read_back = ReadBack(clock)
        self._tell_watch()
        for component in (
            self._line,
            *sight.components,
            *voice.components,
            grants,
            policy_watch,
            self._sessions,
            self._updates,
            renewal,
            ways,
            AlarmFiles(clock, db, data_dir, sight.hub, voice.uploads, sight.assembler.incidents),
            self._watch,
            self._heat,
            self._camera_watchdog,
            bell_call,
            self._alarm_watch,
            faults,
            self._reboot_note,
            HealthNotes(
                clock,
                run_dir(settings),
                lambda: self._watch.faults,
                works=lambda: self._works(self._sight.recorded()),
            ),
            FloorKeeper(settings, clock),
            lamp,
            self._telemetry(),
            *self._reporters(db),
            HealthReporter(clock, self.outbox, voice.address.source, self._look),
            FormerCameras(clock, lambda: self._settings, lambda: _signer(self._settings)),
        ):
            self._components.add(component)
        view = CoreBoxView(
            self._watch,
            self._line,
            sight.hub,
            sight.desk,
            voice.link,
            self.outbox,
            db,
            board,
            clock,
        )
        voice.counter.answerer = answers = CounterAnswers(
            view, sight.hub, sight.desk, voice.desired, voice.audit_desk, voice.uploads, clock
        )
        answers.also(DryTries(voice, grants, policies, self._sessions, db, clock).handlers)
        if settings.page.enabled:
            claim = ClaimCheck(
                data_dir,
                run_dir(settings),
                clock,
                claim_book(settings),
                image_run(settings),
                has_button=any(one.meaning is Meaning.CLAIM for one in settings.pole.inputs),
            )
            sight.pole.on_claim = claim.pressed
            note = voice.audit_desk.note
            tools = setup_tools(sight, voice, self._read_back, lambda: self._settings, clock)
            self._components.add(
                PageServer(
                    view,
                    settings.page,
                    data_dir,
                    settings.box,
                    claim,
                    tools,
                    service_tools(tools, sight, lamp, lambda: self._settings, table, clock),
                    db,
                    note,
                    clock,
                )
            )

    async def _note(self, operation: str, outcome: str, detail: str) -> None:
        """Audit what the box did by itself."""
        await self._voice.audit_desk.note(operation, "box", outcome, detail=detail)

    def _bell_preset_of(self, camera_id: str) -> str:
        camera = self._settings.camera(camera_id)
        return camera.ptz.bell_preset if camera else ""

    def _tell_watch(self) -> None:
        """Give the watch what others know of themselves."""
        watch, voice = self._watch, self._voice
        watch.uploads = lambda: voice.uploads.backlog
        watch.with_pole = self._with_pole
        watch.data = voice.economy.sample
        watch.center_ahead = lambda: voice.signatures.center_time.ahead_s
        watch.read_back = lambda: self._read_back.code
        watch.alarms, watch.disk = self._alarm_watch, self._disk
        watch.pole = lambda: (
            *self._sight.pole.faults(),
            *self._heat.faults(),
            *self._camera_watchdog.faults(),
            *self._reboot_note.faults(),
            *self._sessions.faults(),
            *update_faults(self._updates.told()),
            *settings_faults(self._left_out),
            *stored_faults(voice.desired.left_out),
            *stick_faults(self._stick),
        )

    def _with_pole(self, sample: BoardSample) -> BoardSample:
        """Add to the board's figures what hangs on the pole and how heat is met."""
        pole = self._sight.pole
        return replace(
            sample,
            heat_band=self._heat.band.name,
            contacts={signal.input_id: signal.state.value for signal in pole.signals},
            outputs={state.output_id: state.is_on for state in pole.outputs.states},
            bell_tests={
                bell: verdict.value for bell, (_, verdict) in pole.bell_test.verdicts.items()
            },
        )

    def _telemetry(self) -> TelemetrySender:
        settings, voice = self._settings, self._voice
        return TelemetrySender(
            self._clock,
            voice.link,
            voice.address,
            settings.center.telemetry_s,
            lambda: self._watch.telemetry(voice.presence),
            coding.pack if settings.broker.telemetry_coding == "zstd" else bytes,
            stretch=lambda: voice.economy.stretch,
            held=voice.economy.held_samples,
            facts=lambda: self._watch.facts,
        )

    def _reporters(self, db: Database) -> tuple[Component, ...]:
        """Return what tells the center, signed, what was recorded and how it is proven."""
        data_dir = data_dir_of(self._settings)
        return tuple(
            reporter(
                self._clock,
                db,
                self.outbox,
                KeyRing(data_dir).key,
                self._voice.address.source,
                data_dir,
                lambda: [camera.camera_id for camera in self._settings.cameras],
            )
            for reporter in (CoverageReporter, EvidenceReporter)
        )

    def _look(self) -> Look:
        """Return how the box does, for the hour's roll-up."""
        watch, status = self._watch, self._voice.link.status
        return Look(
            board=watch.vitals.board_sample() if watch.vitals else None,
            cameras=[camera.camera_id for camera in self._settings.cameras],
            statuses=self._sight.hub.statuses(),
            is_connected=status.connected,
            connects_total=status.connects_total,
            puback_ms=status.puback_ms,
            ack_ms=self._voice.sender.ack_ms,
        )

    async def run(self) -> None:
        """Run until `stop` is set. Raises `GaveUpError` when a component can't be kept alive."""
        for camera in self._settings.cameras:
            self._sight.assembler.expect(camera.camera_id)
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
        while self._voice.link.status.connected and self._clock.monotonic_s() < until_s:
            if await self._voice.waiting() == 0:
                return
            await self._clock.sleep_s(0.05)

    async def _apply(self, new: Settings, change: SettingsDiff) -> None:
        """Take over what the core itself needs; the supervisor restarts the rest."""
        self._settings = self._watch.settings = new
        sight = self._sight
        self._alarm_watch.use(new)
        for camera in new.cameras:
            sight.assembler.expect(camera.camera_id)
        for camera_id in change.removed:
            sight.assembler.forget(camera_id)
        sight.desk.use(new.cameras)
        sight.handover.use(new)
        self._voice.minder.use(new.cameras)
        self._voice.aimer.use(new.cameras)
        self._voice.uploads.settings = self._updates.settings = new.uploads
        if "broker" in change.sections:
            self._voice.link.use(present_broker(data_dir_of(new), new.broker))
        self._line.ask_reload()
        await self._heat.tell()

    def _works(self, cameras: frozenset[str]) -> frozenset[str]:
        """Name what works now: a change that loses any of it is taken back."""
        link = {"link"} if self._voice.link.status.connected else set()
        return frozenset({f"camera/{camera_id}" for camera_id in cameras} | link)

    def _info(self) -> Info:
        return birth_document(
            self._settings,
            self._sight.desk,
            self._watch.capacity,
            boot=self._boot,
            epoch=self.outbox.epoch,
            commands=self._voice.commands.operations,
            settings_hash=self._voice.desired.report().hash,
            key=_box_key(self._settings),
            update=self._updates.told(),
        )


def _signer(settings: Settings) -> Signer | None:
    key = _box_key(settings)
    return None if key is None else lambda body: (key.public.fingerprint, key.sign(body))


def _box_key(settings: Settings) -> BoxKey | None:
    with suppress(StorageError):
        return load_box_key(data_dir_of(settings))
    return None
