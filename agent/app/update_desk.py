"""Joins updates to what they touch: the center's order, the line, incidents, the audit. Core."""

import asyncio
from pathlib import Path

from agent.app.run_dir import image_root
from agent.app.voice import Voice
from agent.commands.incidents import read_sessions
from agent.commands.update import UpdateHandler
from agent.contract.events import CapStatus
from agent.contract.updates import UPDATE
from agent.core.clock import Clock
from agent.grants.book import Grants
from agent.settings.load import data_dir_of
from agent.settings.model import Settings
from agent.updates.image import ImageSide
from agent.updates.keeper import Updates


def make_updates(
    voice: Voice, grants: Grants, run_folder: Path, settings: Settings, clock: Clock
) -> Updates:
    """Return the component; the center's order reaches it.

    No restart while somebody looks or an incident is on: an update can wait, they can't.
    """

    async def busy() -> str:
        held = await grants.holding()
        if held:
            return f"{len(held)} grants hold"  # no time left: each word is told the center anew
        sessions = await asyncio.to_thread(read_sessions, run_folder)
        actual = [one for one in sessions if one.get("status") == CapStatus.ACTUAL.value]
        return f"the incident {actual[0].get('incident')} is on" if actual else ""

    async def note(op: str, actor: str, outcome: str, code: str, detail: str) -> None:
        await voice.audit_desk.note(op, actor, outcome, code=code, detail=detail)

    updates = Updates(
        clock,
        ImageSide.of(data_dir_of(settings), image_root(settings)),
        settings.uploads,
        busy,
        note,
        spares_line=lambda: voice.economy.holds_files,
    )
    voice.update_news, voice.fetched_bytes = updates.told, updates.fetched_bytes
    voice.commands.register(UPDATE, UpdateHandler(updates), idempotent=True)
    return updates
