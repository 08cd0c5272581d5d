"""The core process: the box's voice. Takes the settings, opens the database, runs the core.

A fresh interpreter started by the supervisor (`python -m agent.app.core_process FD PARENT`). It
never loads libav, numpy or TFLite.
"""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import msgspec

from agent.app import (
    alarm_files,
    audit_desk,
    boots,
    camera_watchdog,
    coverage,
    evidence_report,
)
from agent.app.child import SupervisorLink, die_with_parent, orphaned
from agent.app.core import Core
from agent.app.core_disk import BOX_DATABASE, on_its_disk, watch_disk
from agent.app.run_dir import run_dir
from agent.app.supervisor_line import receive_settings
from agent.app.time_floor import keep_floor, stand_on_it
from agent.commands import config_state, incident_store, journal
from agent.core import log
from agent.core.clock import SystemClock, boot_id
from agent.core.component import GaveUpError
from agent.core.db import Database
from agent.core.lock import FileLock
from agent.core.log import Logger
from agent.events import incidents
from agent.evidence import told_heads
from agent.grants import policies
from agent.grants import store as grants
from agent.local.access import people
from agent.messages.supervision import Configure
from agent.outbox import audit, epochs, store
from agent.settings.load import data_dir_of
from agent.settings.model import Settings
from agent.sightings import links
from agent.uplink import economy
from agent.uploads import queue as uploads


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


async def _serve(told: Settings, configure: Configure, link: SupervisorLink) -> None:
    the_log, settings = log.get("core"), on_its_disk(told)
    await asyncio.to_thread(stand_on_it, settings)
    await asyncio.to_thread(keep_floor, settings)
    db = Database(
        data_dir_of(settings) / BOX_DATABASE,
        [
            boots.PART,
            camera_watchdog.PART,
            store.PART,
            audit.PART,
            audit_desk.PART,
            incidents.PART,
            journal.PART,
            uploads.PART,
            alarm_files.PART,
            config_state.PART,
            coverage.PART,
            economy.PART,
            grants.PART,
            policies.PART,
            incident_store.PART,
            evidence_report.PART,
            told_heads.PART,
            links.PART,
            people.PART,
        ],
    )
    await db.start()
    try:
        await _begin_epoch(db, data_dir_of(settings) / epochs.MARK)
        boot = await db.run(lambda connection: boots.number_of(connection, boot_id()))
        table = msgspec.json.decode(configure.table_json)
        core = Core(settings, table, link, db, boot, configure.left_out)
        await core.outbox.start()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, core.stop.set)
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C: the supervisor decides
        the_log.info("core ready", pid=os.getpid(), boot=boot, epoch=core.outbox.epoch)
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(watch_disk(told, core.stop, SystemClock()))
            await _until_stopped(core, the_log)
            watch.cancel()
    finally:
        await db.stop()


async def _begin_epoch(db: Database, mark: Path) -> None:
    """Number what waits anew when this box has taken another's place (`agent.app.take_over`)."""
    if await asyncio.to_thread(mark.exists):
        epoch = await db.run(epochs.begin_epoch)
        await asyncio.to_thread(mark.unlink)
        log.get("core").warning("another box took this place", epoch=epoch)


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
