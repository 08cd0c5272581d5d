"""What the service page works with, joined from the core's parts."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from agent.app.foreign_disk import ForeignDisk
from agent.app.run_dir import image_root, image_run
from agent.app.sight import Sight
from agent.app.status_lamp import StatusLamp
from agent.core.clock import Clock
from agent.core.errors import StorageError
from agent.core.lock import FileLock
from agent.enrol.center_door import CenterDoor, Trust
from agent.enrol.enrolment import Enrolment
from agent.enrol.identity import IdentityFiles
from agent.local.service.pages import Hung, ServiceTools
from agent.local.service.place import PlaceTaking
from agent.local.service.shell_key import ShellDesk
from agent.local.service.update_care import UpdateCare
from agent.local.setup.pages import SetupTools
from agent.local.usb.borrow import usable
from agent.settings.load import data_dir_of
from agent.settings.model import Settings

_LOCK_S = 2.0
_STRANGER = "camera.stranger"
_BY_SYSTEMD = "INVOCATION_ID"  # systemd.exec(5): only then somebody starts the agent again


def service_tools(
    setup: SetupTools,
    sight: Sight,
    lamp: StatusLamp,
    settings: Callable[[], Settings],
    table: dict[str, Any],
    clock: Clock,
) -> ServiceTools:
    """Return them; `settings` are those in effect when it is asked, `table` as they came."""
    data_dir = data_dir_of(settings())
    disk = ForeignDisk(settings(), table, clock)

    async def enrol(center: str, code: str, pin: str, say: Callable[[str], None]) -> str:
        files = IdentityFiles.staged(data_dir)
        await asyncio.to_thread(_make_folder, files.folder)
        door = CenterDoor(center, Trust(None, pin))
        async with _alone(data_dir, clock):
            identity = await Enrolment(clock, files, door, code, say).run()
        return f"{identity.site}/{identity.box}"

    return ServiceTools(
        data_dir=data_dir,
        changes=setup.changes,
        finder=setup.finder,
        place=PlaceTaking(enrol),
        hung=lambda: _hung(sight, settings()),
        confirm=sight.desk.accept,
        chosen=sight.desk.choose,
        sticks=usable,
        updates=UpdateCare(data_dir, clock, image_root(settings())),
        disk=disk.facts,
        take_disk=disk.take,
        identify=lamp.identify,
        shell=ShellDesk(data_dir, image_run(settings()), clock),
        restart=_end_agent if _BY_SYSTEMD in os.environ else None,
    )


@asynccontextmanager
async def _alone(data_dir: Path, clock: Clock) -> AsyncIterator[None]:
    """Nobody else enrols into the same files. Raises `StorageError` storage.in_use."""
    lock = FileLock(data_dir / "keys" / "enrol.lock", clock, patience_s=0.0)
    until_s = clock.monotonic_s() + _LOCK_S  # a try that was given up lets go within a moment
    while True:
        try:
            lock.acquire()
            break
        except StorageError:
            if clock.monotonic_s() >= until_s:
                raise
        await clock.sleep_s(0.1)
    with lock:
        yield


def _hung(sight: Sight, settings: Settings) -> Mapping[str, Hung]:
    found = {}
    for camera in settings.cameras:
        facts, status = sight.desk.facts(camera.camera_id), sight.hub.status(camera.camera_id)
        is_kept_out = status is not None and status.main.code == _STRANGER  # from its video
        if facts is not None:
            device = facts.device
            parts = (device.manufacturer, device.model, device.serial) if device else ()
            found[camera.camera_id] = Hung(
                device=" ".join(part for part in parts if part),
                is_exchanged=facts.is_exchanged,
                is_stranger=facts.code == _STRANGER or is_kept_out,
            )
        elif is_kept_out:
            found[camera.camera_id] = Hung(device="", is_exchanged=False, is_stranger=True)
    return found


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _end_agent() -> None:
    """Have the supervisor end; systemd starts the agent again, with what was staged."""
    os.kill(os.getppid(), signal.SIGTERM)
