"""What the box sees, in the core: worker lines, incidents, the pole's contacts, the outbox.

RuleHit -> assembler -> incident -> outbox, one transaction on the way.
"""

import msgspec

from agent.app.camera_desk import CameraDesk
from agent.app.handover_watch import HandoverWatch
from agent.app.pole_desk import PoleDesk
from agent.app.run_dir import CORE_SOCKET, run_dir
from agent.app.worker_hub import WorkerHub
from agent.core.clock import Clock
from agent.core.component import Component
from agent.core.db import Database
from agent.events.assembler import Assembler
from agent.events.incidents import Incidents
from agent.events.telling import Origin
from agent.messages.worker import CameraState
from agent.outbox.ages import MaxAge
from agent.outbox.store import Store
from agent.outbox.writer import Outbox
from agent.settings.load import data_dir_of
from agent.settings.model import Settings
from hardware.interface import Board


class Sight:
    """Joins the workers' lines, the cameras' control and the pole to the outbox."""

    def __init__(
        self, settings: Settings, db: Database, boot: int, board: Board, clock: Clock
    ) -> None:
        limits = settings.outbox
        self.outbox = Outbox(
            db,
            Store(
                clock,
                boot,
                max_bytes=limits.max_bytes,
                keep_acked_days=limits.keep_acked_days,
                max_age=MaxAge(**msgspec.structs.asdict(limits.max_age_days)),
            ),
            clock,
        )
        origin = Origin(
            settings.site, settings.box, boot, lambda: self.outbox.epoch, settings.status
        )
        self.assembler = Assembler(
            db,
            Incidents(self.outbox.append_in, origin, clock),
            clock,
            thumbnails=settings.center.thumbnails,
        )
        self.assembler.use(settings)
        self.hub = WorkerHub(
            run_dir(settings) / CORE_SOCKET,
            clock,
            self.assembler.take,
            self.assembler.saw,
            self.assembler.take_finding,
        )
        self.pole = PoleDesk(
            settings.pole,
            board,
            self.hub,
            self.assembler.take_contact,
            data_dir_of(settings),
            clock,
        )
        self.desk = CameraDesk(
            settings.cameras,
            self.hub,
            clock,
            data_dir=data_dir_of(settings),
            take=self.assembler.take,
            bells=self.pole.heard,
        )
        self.handover = HandoverWatch(db, self.hub, self.assembler, settings, clock)

    @property
    def components(self) -> tuple[Component, ...]:
        """What the core keeps alive."""
        return self.hub, self.assembler, self.desk, self.handover, *self.pole.components

    def online(self) -> frozenset[str]:
        """The ids of the cameras whose main stream is there."""
        return frozenset(
            status.camera_id
            for status in self.hub.statuses()
            if status.main.state is CameraState.ONLINE
        )

    def recorded(self) -> frozenset[str]:
        """The ids of the cameras whose frames reach the disk, or would with an event."""
        return frozenset(
            status.camera_id
            for status in self.hub.statuses()
            if status.recording.recording
            or (status.recording.mode == "events" and status.camera_id in self.online())
        )
