"""What the core answers to `poleside status`, `report`, `swap` … beside it: see `questions`."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from agent.app.audit_desk import AuditDesk
from agent.app.box_view import CoreBoxView
from agent.app.camera_desk import CameraDesk
from agent.app.worker_hub import WorkerHub
from agent.commands.desired import DesiredConfig
from agent.commands.questions import (
    AskAim,
    AskCameras,
    AskDump,
    AskPicture,
    AskSettings,
    AskState,
    ChangeHere,
    ConfirmSettings,
    Question,
    RestoreSettings,
    SendFile,
)
from agent.contract.audit import AuditEntry
from agent.contract.commands import Actor
from agent.core.clock import Clock
from agent.core.errors import CameraError, CommandError
from agent.core.ids import new_ulid
from agent.core.redact import redact
from agent.settings.load import NOT_DESIRABLE
from agent.uploads.queue import NewFile
from agent.uploads.sender import Uploads

_SMALL_PX, _SMALL_BYTES = 160, 32 * 1024  # only what is measured on it is asked for
_NEEDS_A_WORD = frozenset({"broker"})


class CounterAnswers:
    """Call it with a question; raises `PolesideError` with what is refused."""

    def __init__(
        self,
        view: CoreBoxView,
        hub: WorkerHub,
        desk: CameraDesk,
        config: DesiredConfig,
        audit: AuditDesk,
        uploads: Uploads,
        clock: Clock,
    ) -> None:
        self._view, self._hub, self._desk, self._config = view, hub, desk, config
        self._audit, self._uploads, self._clock = audit, uploads, clock
        self._handlers: dict[type, Callable[[Any], Awaitable[Any]]] = {
            AskState: self._state,
            AskPicture: self._picture,
            AskAim: self._aim,
            AskSettings: self._settings,
            AskCameras: self._cameras,
            AskDump: self._dump,
            ChangeHere: self._change,
            ConfirmSettings: self._confirm,
            RestoreSettings: self._restore,
            SendFile: self._send,
        }

    def also(self, handlers: dict[type, Callable[[Any], Awaitable[Any]]]) -> None:
        """Let others answer further questions."""
        self._handlers |= handlers

    async def __call__(self, question: Question) -> Any:
        return await self._handlers[type(question)](question)

    async def _state(self, _question: AskState) -> Any:
        return redact(msgspec.to_builtins(await self._view.state()))

    async def _picture(self, question: AskPicture) -> Any:
        picture = await self._view.live(question.camera_id)
        if picture is not None:
            await self._audit.note("console.view", question.user, detail=question.camera_id)
        return picture

    async def _aim(self, question: AskAim) -> Any:
        try:
            reply = await self._hub.picture(
                question.camera_id, _SMALL_PX, _SMALL_BYTES, is_aiming=True
            )
        except CameraError:
            return None
        return reply.aim

    async def _settings(self, _question: AskSettings) -> Any:
        return redact(msgspec.to_builtins(self._config.settings))

    async def _cameras(self, _question: AskCameras) -> Any:
        known = {}
        for camera in self._config.settings.cameras:
            facts = self._desk.facts(camera.camera_id)
            if facts is not None:
                known[camera.camera_id] = {
                    "device": facts.device,
                    "is_exchanged": facts.is_exchanged,
                    "candidates": facts.candidates,
                    "drift": facts.drift,
                    "clock_ahead_s": facts.clock_ahead_s,
                    "warnings": facts.warnings,
                    "code": facts.code,
                }
        return redact(msgspec.to_builtins(known))

    async def _dump(self, question: AskDump) -> Any:
        from agent.cameras.dump import dump  # noqa: PLC0415 - lxml only where somebody asks

        gate = self._desk.gate(question.camera_id)
        camera = self._config.settings.camera(question.camera_id)
        if gate is None or camera is None:
            raise CommandError("camera.no_onvif", f"No ONVIF camera {question.camera_id} here.")
        return await gate.over(lambda line: dump(line, camera.password))

    async def _change(self, question: ChangeHere) -> Any:
        by = Actor(user=question.user, role="technician")
        for key in question.patch:
            if key in NOT_DESIRABLE and key not in _NEEDS_A_WORD:
                raise CommandError(
                    "settings.not_here",
                    f"`{key}` can't be changed while the box runs.",
                    hint="Change it in the settings file and restart the agent.",
                )
        needs_word = bool(_NEEDS_A_WORD & question.patch.keys())
        await self._config.set_here(question.patch, by, needs_word=needs_word)

    async def _confirm(self, _question: ConfirmSettings) -> Any:
        return await self._config.confirm()

    async def _restore(self, question: RestoreSettings) -> Any:
        by = Actor(user=question.user, role="technician")
        change = await self._config.restore(question.version, by)
        return {"sections": sorted(change.sections)}

    async def _send(self, question: SendFile) -> Any:
        return await send_file(question, self._audit, self._uploads, self._clock)


async def send_file(
    told: SendFile, audit: AuditDesk, uploads: Uploads, clock: Clock
) -> dict[str, str]:
    """Queue a file that lies in the uploads folder, named by an entry of the audit chain.

    Both in one transaction: the center takes the file because the chain names its SHA-256.
    """
    path = Path(told.path)
    size = await asyncio.to_thread(_size_in, uploads.folder, path)
    now = clock.utc_now()
    file_id, record_id = new_ulid(now), new_ulid(now)
    entry = AuditEntry(
        command_id="",
        op=told.op,
        actor=told.user,
        outcome="done",
        at=now,
        detail=told.name,
        sha256=told.sha256,
    )

    def bind(connection: sqlite3.Connection) -> None:
        audit.chain.append_in(connection, entry, record_id)

    result = {"event": record_id, "name": told.name, "sha256": told.sha256}
    file = NewFile(file_id, path, told.content_type, size, told.sha256, result)
    await uploads.add(file, also=bind)
    return {"upload": file_id, "event": record_id}


def _size_in(folder: Path, path: Path) -> int:
    if path.parent.resolve() != folder.resolve() or not path.is_file():
        raise CommandError("upload.no_file", f"There is no file {path.name} to send.")
    return path.stat().st_size
