"""The box's voice in the core: outbox to center, and orders back.

outbox -> sender -> link -> MQTT; MQTT -> link -> inbound -> commands, settings, acknowledgements.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.app.audit_desk import AuditDesk
from agent.app.ptz_minder import PtzMinder
from agent.app.run_dir import run_dir
from agent.app.sight import Sight
from agent.commands.aim import Aimer
from agent.commands.counter import Counter
from agent.commands.desired import DesiredConfig
from agent.commands.ptz import gates_for_orders
from agent.commands.ptz_lease import Leases
from agent.commands.registry import Commands
from agent.commands.signature import Signatures
from agent.contract.config import ConfigReport
from agent.contract.events import StreamName
from agent.contract.info import Info
from agent.contract.topics import BoxAddress
from agent.core.clock import Clock
from agent.core.component import Component
from agent.core.db import Database
from agent.core.errors import LinkError, StorageError
from agent.enrol.identity import present_broker
from agent.outbox.audit import Audit
from agent.settings.diff import SettingsDiff
from agent.settings.load import data_dir_of
from agent.settings.model import Settings
from agent.uplink.carrier import CarrierWatch
from agent.uplink.economy import Economy
from agent.uplink.inbound import Inbound
from agent.uplink.link import Link
from agent.uplink.link_report import LinkReporter
from agent.uplink.onvif_echo import OnvifEcho
from agent.uplink.presence import Presence, PresenceKeeper, settle_s
from agent.uplink.replies import Replies
from agent.uplink.sender import Sender
from agent.uploads.sender import Uploads


class Voice:
    """Joins the outbox to the broker and the center's orders to what carries them out.

    `info` is the birth document; `apply` takes over changed settings; `works` names what works.
    """

    def __init__(
        self,
        settings: Settings,
        table: dict[str, Any],
        db: Database,
        boot: int,
        sight: Sight,
        clock: Clock,
        *,
        info: Callable[[], Info],
        apply: Callable[[Settings, SettingsDiff], Awaitable[None]],
        works: Callable[[], frozenset[str]],
    ) -> None:
        self._outbox, self._beat_s = sight.outbox, settings.center.telemetry_s
        self.address = address = BoxAddress(settings.site, settings.box)
        self.update_news: Callable[[], object] = lambda: None
        self.fetched_bytes: Callable[[], int] = lambda: 0
        data_dir, run_folder = data_dir_of(settings), run_dir(settings)
        self.presence = Presence(
            clock,
            address,
            boot,
            info,
            config=lambda: self.desired.report(),  # noqa: PLW0108 - made below
            beat_s=self._beat_s,
            facts=lambda: (sight.desk.known(), self.update_news()),
        )
        self.inbound = inbound = Inbound(
            address,
            on_acks=lambda acks: self.sender.acknowledged(acks),  # noqa: PLW0108 - made below
            on_center=lambda online: self.sender.center_is(online),  # noqa: PLW0108 - made below
            on_command=lambda token: self.commands.handle(token),  # noqa: PLW0108 - made below
            on_config=lambda token: self.desired.handle(token),  # noqa: PLW0108 - made below
            on_call=lambda: self._keeper.ask(),  # noqa: PLW0108 - made below
            on_storm=lambda until: self.economy.told(until),  # noqa: PLW0108 - made below
            on_back=lambda after_s: self.link.come_back_after(after_s),  # noqa: PLW0108 - below
        )
        self.link = Link(
            clock,
            present_broker(data_dir, settings.broker),
            settings.box,
            greeter=self.presence,
            subscriptions=inbound.subscriptions,
            received=inbound.received,
            has_alarms=self._has_alarms,
        )
        self._keeper = PresenceKeeper(
            clock, self.link, self.presence, settle_s(settings.broker.ping_s)
        )
        self.sender = Sender(
            clock,
            self.link,
            sight.outbox,
            address,
            settings.broker.window_bytes,
            lighten=lambda stream, body: self.economy.lighten(stream, body),  # noqa: PLW0108 - below
            echo=OnvifEcho(address) if settings.center.onvif_ej else lambda _: None,
        )
        keys_file = Path(settings.center.keys_file) if settings.center.keys_file else None
        self.signatures = signatures = Signatures(keys_file, settings.box, clock)
        self.gates = gates_for_orders(sight.desk.gate)
        self.leases = Leases(
            clock,
            self.gates,
            lambda: self.link.status.connected and self.sender.center_online,
        )
        self.aimer = Aimer(
            self.gates,
            settings.cameras,
            lambda camera_id: sight.desk.movable_gate(camera_id) is not None,
        )
        self.minder = PtzMinder(settings.cameras, sight.desk.movable_gate, self.leases, clock)
        self.answer = answer = Replies(clock, self.link, address).answer
        self.uploads = Uploads(
            clock,
            db,
            data_dir,
            answer,
            settings.uploads,
            spares_line=lambda: self.economy.holds_files,
        )
        self.economy = Economy(
            clock,
            db,
            settings.data,
            is_lte=lambda: self.link.kind == "lte",
            carried=lambda: (
                self.link.carried_bytes + self.uploads.sent_bytes_total + self.fetched_bytes()
            ),
            waiting=self.waiting,
            is_sending=lambda: self.link.status.connected and self.sender.center_online,
            changed=self._tell_beat,
        )
        chain = Audit(sight.outbox, clock, address.source)
        self.audit_desk = AuditDesk(clock, db, chain, data_dir, settings)
        self.commands = Commands(
            clock,
            db,
            signatures,
            self.audit_desk.chain,
            answer,
            lambda: self.presence.state.nonce,
            step=self.leases.step,
        )
        self.desired = DesiredConfig(
            clock,
            db,
            signatures,
            table,
            settings,
            data_dir,
            apply=apply,
            works=works,
            tell=self._tell_config,
            audit=self.audit_desk.note_change,
        )
        self.counter = Counter(clock, self.commands, settings.box, run_folder)
        self.components: tuple[Component, ...] = (
            self.audit_desk,
            self.desired,
            self.link,
            CarrierWatch(clock, self.link),
            self._keeper,
            self.sender,
            LinkReporter(clock, self.link, self.sender, run_folder, self.economy.sample),
            self.uploads,
            self.commands,
            self.minder,
            self.counter,
            self.economy,
        )

    async def waiting(self) -> int:
        """Return how many records the center has not acknowledged."""
        return (await self._outbox.sample()).waiting

    async def _has_alarms(self) -> bool:
        try:
            return (await self._outbox.counts())[StreamName.ALARM].waiting > 0
        except StorageError:  # the link goes on; who writes tells of the disk
            return False

    def _tell_beat(self) -> None:
        """Telemetry comes at another pace now: the center must not take that for silence."""
        self.presence.beats(self._beat_s * self.economy.stretch)
        self._keeper.ask()

    async def _tell_config(self, report: ConfigReport) -> None:
        code = report.errors[0].code if report.errors else ""
        detail = f"version {report.version}, hash {report.hash}"
        await self.audit_desk.note(
            "config.desired", "center", report.status.value, code=code, detail=detail
        )
        with suppress(LinkError):  # it is told at each connection
            await self.link.publish(self.presence.config_report(report))
