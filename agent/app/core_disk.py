"""The core's own look at its disk: without the right one it works in memory, and says so.

`box.db` and files for the center must not land on the system disk below a missing mount either.
What the core raises meanwhile goes out as long as it runs; the workers tell of the disk itself.
"""

import asyncio
from pathlib import Path
from typing import Any

from msgspec import structs

from agent.app.run_dir import WITHOUT_DISK, run_dir
from agent.buffer import claim
from agent.buffer.medium import (
    WRONG,
    is_read_only,
    require_medium,
    require_openable,
    require_writable,
)
from agent.core import inodes, log
from agent.core.clock import Clock, to_tick_s
from agent.core.errors import StorageError
from agent.local.access.claim import remember_secret
from agent.settings.load import data_dir_of
from agent.settings.model import Settings

BOX_DATABASE = "box.db"
LOOK_EVERY_S = 5.0


def on_its_disk(settings: Settings) -> Settings:
    """Return the settings to work with: their data folder, or one in memory without its disk."""
    error = _trouble(settings)
    if error is None:
        return settings
    folder = run_dir(settings) / WITHOUT_DISK
    folder.mkdir(parents=True, exist_ok=True)
    log.get("core").error("works in memory", code=error.code, detail=error.message)
    return structs.replace(settings, data_dir=str(folder))


async def watch_disk(told: Settings, stop: asyncio.Event, clock: Clock) -> None:
    """End the core when its disk has gone or come: it then begins anew where it belongs.

    `told`: the settings as they came, before `on_its_disk`.
    """
    was_there = _trouble(told) is None
    while not stop.is_set():
        await clock.sleep_s(to_tick_s(clock, LOOK_EVERY_S))
        is_there = await asyncio.to_thread(_is_there, told)
        if is_there != was_there:
            log.get("core").warning("the disk has come or gone", is_there=is_there)
            stop.set()


def disk_to_tell_of(settings: Settings, table: dict[str, Any]) -> Path:
    """Return the folder whose disk is judged: the read-only one, not the memory in its place.

    `settings` as they are worked with, `table` as they came.
    """
    data_dir, meant = data_dir_of(settings), Path(table.get("data_dir") or settings.data_dir)
    is_away = data_dir.name == WITHOUT_DISK and is_read_only(meant)
    return meant if is_away else data_dir


def claim_book(settings: Settings) -> Path | None:
    """Return where, off the disk, the box remembers its own; its label's secret lies there, too."""
    book = claim.book_of(settings.buffer)
    if book is not None and data_dir_of(settings).name != WITHOUT_DISK:
        remember_secret(data_dir_of(settings), book)
    return book


def _is_there(told: Settings) -> bool:
    is_there = _trouble(told) is None
    if is_there:
        inodes.hold(data_dir_of(told))
    return is_there


def _trouble(settings: Settings) -> StorageError | None:
    data_dir, mount = data_dir_of(settings), settings.buffer.require_mount
    try:
        if mount and not data_dir.is_relative_to(mount):
            require_writable(data_dir)  # only the recordings lie on that disk
        else:
            require_medium(data_dir, settings.buffer)
        require_openable(data_dir / BOX_DATABASE)
    except StorageError as error:
        if error.code != WRONG:
            raise
        return error
    return None
