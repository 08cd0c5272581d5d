"""A box's page with its people: the real desk, database and audit chain behind a real socket."""

import asyncio
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from agent.app import audit_desk
from agent.app.audit_desk import AuditDesk
from agent.commands import config_state
from agent.commands.desired import DesiredConfig
from agent.commands.signature import Signatures
from agent.contract.audit import AuditEntry, AuditRecord
from agent.contract.config import ConfigReport
from agent.contract.events import StreamName
from agent.core.clock import SystemClock
from agent.core.db import Database
from agent.core.errors import EnrolError
from agent.local.access import people
from agent.local.access.claim import ClaimCheck, make_code, make_secret
from agent.local.access.desk import AccessDesk
from agent.local.service.pages import Hung, RefusedDisk, ServiceTools
from agent.local.service.place import PlaceTaking
from agent.local.service.shell_key import ShellDesk
from agent.local.service.update_care import UpdateCare
from agent.local.setup.changes import SetupChanges
from agent.local.setup.finder import CameraFinder
from agent.local.setup.network import NetworkDesk
from agent.local.setup.pages import SetupTools
from agent.local.setup.read_back import ReadBack
from agent.local.usb.media import Stick
from agent.local.web.app import create_app
from agent.local.web.guard import LOOPBACK_HOSTS
from agent.outbox import audit, store
from agent.outbox.audit import Audit
from agent.outbox.store import Store
from agent.outbox.writer import Outbox
from agent.settings.diff import SettingsDiff
from agent.settings.in_effect import in_effect
from agent.settings.model import Settings
from tests.browser.page_server import Answer, Served, served
from tests.browser.shown_box import ShownBox
from tests.fake_clock import FakeClock
from tests.tried_cameras import TriedCameras

PASSWORD = "correct horse battery"
PARTS = [store.PART, audit.PART, audit_desk.PART, people.PART, config_state.PART]
TABLE = {
    "cameras": [
        {"camera_id": "gate", "main_url": "rtsp://10.0.0.1/m"},
        {"camera_id": "yard", "main_url": "rtsp://10.0.0.2/m"},
    ]
}


class ClaimedBox:
    """May be opened again on the same folder: that is a restart."""

    def __init__(
        self,
        folder: Path,
        *,
        is_open: bool = False,
        clock: FakeClock | None = None,
        search_port: int = 9,
        shown: ShownBox | None = None,
    ):
        self.folder, self.clock, self.shown = folder, clock or FakeClock(), shown or ShownBox()
        self.db = Database(folder / "box.db", PARTS)
        self.outbox = Outbox(self.db, Store(self.clock, 1, max_bytes=5_000_000), self.clock)
        chain = Audit(self.outbox, self.clock, "edge/site-1/box-1")
        settings = in_effect(TABLE, folder).settings
        notes = AuditDesk(self.clock, self.db, chain, folder, settings)
        self.changes_applied: list[SettingsDiff] = []
        self.config = DesiredConfig(
            self.clock,
            self.db,
            Signatures(None, "box-1", self.clock),
            TABLE,
            settings,
            folder,
            apply=self._apply,
            works=frozenset,
            tell=_nobody,
            audit=notes.note_change,
        )
        self.claim = ClaimCheck(folder, folder, self.clock)
        self.desk = AccessDesk(self.db, self.claim, notes.note, self.clock, is_open=is_open)
        self.known: dict[str, str] = {}
        self.finder = CameraFinder(
            SystemClock(), lambda: self.known, interfaces=("127.0.0.1",), port=search_port
        )
        self.read_back = ReadBack(self.clock)
        self.cameras = TriedCameras()
        wishes = folder / "network"
        told = wishes / "run/poleside-network/state.json"
        tools = SetupTools(
            self.finder,
            SetupChanges(self.config),
            self.read_back,
            self.cameras,
            NetworkDesk(wishes, told, self.shown.clock),
        )
        self.confirmed: list[str] = []
        self.chosen: list[tuple[str, str]] = []
        self.enrolled: list[tuple[str, str, str]] = []
        self.sticks: list[Stick] = []
        self.disk: RefusedDisk | None = None
        self.disk_taken_by: list[str] = []
        service = ServiceTools(
            data_dir=folder,
            changes=tools.changes,
            finder=self.finder,
            place=PlaceTaking(self._enrol),
            hung=lambda: {"gate": Hung(device="Maker Model 7", is_exchanged=True)},
            confirm=self.confirmed.append,
            chosen=lambda *told: self.chosen.append(told),
            sticks=lambda: self.sticks,
            updates=UpdateCare(folder, self.clock, folder / "root"),
            disk=lambda: self.disk,
            take_disk=self._take_disk,
            identify=lambda: True,
            shell=ShellDesk(folder, folder / "network/run", SystemClock()),
        )
        self.app = create_app(
            self.shown, self.shown.clock, LOOPBACK_HOSTS, self.desk, tools, service
        )
        self.page: Served

    async def __aenter__(self) -> "ClaimedBox":
        await self.db.start()
        await self.outbox.start()
        await self.config.start()
        self._loop = asyncio.get_running_loop()
        self._minding = self._loop.create_task(self.config.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._minding.cancel()
        await self.db.stop()

    async def _apply(self, _new: Settings, change: SettingsDiff) -> None:
        self.changes_applied.append(change)

    async def _enrol(self, center: str, code: str, pin: str, say: Any) -> str:
        self.enrolled.append((center, code, pin))
        say("Somebody at the center must approve this box.")
        if not center.startswith("https://"):
            raise EnrolError("enrol.address", f"`{center}` is no address to enrol at.")
        return "site-1/bx-pole"

    def _take_disk(self, by: str) -> bool:
        self.disk_taken_by.append(by)
        had, self.disk = self.disk, None
        return had is not None

    def pass_s(self, seconds: float) -> None:
        """Let time pass for the box's tasks, too."""
        passing = self.clock.advance(seconds)
        asyncio.run_coroutine_threadsafe(passing, self._loop).result(30)

    def entries(self) -> list[AuditEntry]:
        """Return the audit chain so far, read beside the running box."""
        import sqlite3

        with contextlib.closing(sqlite3.connect(self.folder / "box.db")) as connection:
            rows = connection.execute(f"SELECT body FROM outbox_{StreamName.AUDIT} ORDER BY seq")
            return [msgspec.json.decode(body, type=AuditRecord).data for (body,) in rows]

    def told(self) -> list[tuple[str, str, str, str]]:
        return [(one.op, one.actor, one.outcome, one.code) for one in self.entries()]

    def send(self, path: str, cookie: str = "", **fields: str) -> Answer:
        """Send a form as a browser on this page does."""
        body = urlencode(fields).encode()
        headers = {"Origin": self.page.url, "Content_Type": "application/x-www-form-urlencoded"}
        return self.page.ask(path, "POST", body, Cookie=cookie, **headers)

    def take_over(self, name: str = "kim", **changed: str) -> Answer:
        """Claim with a new secret and a new code, but what is `changed`."""
        fields = {"secret": make_secret(self.folder), "name": name, "password": PASSWORD}
        fields["code"] = make_code(self.folder, self.clock)
        return self.send("/claim", **(fields | changed))

    def sign_in(self, name: str, password: str = PASSWORD) -> Answer:
        return self.send("/login", name=name, password=password)

    def csrf(self, cookie: str) -> str:
        body = self.page.ask("/account", Cookie=cookie).body.decode()
        return re.search(r'name="csrf" value="([^"]+)"', body)[1]

    def add(self, cookie: str, name: str, role: str, cameras: str = "") -> Answer:
        fields = {"name": name, "role": role, "cameras": cameras, "password": PASSWORD}
        return self.send("/people", cookie, csrf=self.csrf(cookie), **fields)


async def _nobody(_report: ConfigReport) -> None:
    """Hear nothing."""


def cookie_of(answer: Answer) -> str:
    """Return what a browser sends back of an answer's cookie."""
    return answer.headers["set-cookie"].split(";")[0]


@contextlib.contextmanager
def claimed_box(folder: Path, **told: Any) -> Iterator[ClaimedBox]:
    """Run one on a free port until the block ends; `told` as of `ClaimedBox`."""
    box = ClaimedBox(folder, **told)
    with served(box.app, around=box) as page:
        box.page = page
        yield box
