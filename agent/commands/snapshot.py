"""`snapshot`: one picture of a camera now, small in the reply or whole to an upload address."""

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from agent.contract.commands import Command, Snapshot
from agent.contract.events import MAX_THUMBNAIL_BYTES
from agent.core.clock import Clock
from agent.core.errors import CommandError
from agent.messages.worker import PictureReply
from agent.uploads.queue import NewFile
from agent.uploads.sender import Uploads

THUMBNAIL_WIDTH_PX = 640
PATIENCE_S = 20.0
FULL_WIDTH_PX, FULL_BYTES = 4096, 4 * 1024 * 1024


class Pictures(Protocol):
    """Whoever can ask a camera's worker for its newest picture."""

    async def picture(self, camera_id: str, max_width_px: int, max_bytes: int) -> PictureReply: ...


class SnapshotHandler:
    """The picture's age goes with it: a picture without an age is a lie in waiting."""

    def __init__(self, pictures: Pictures, clock: Clock, uploads: Uploads) -> None:
        self._pictures, self._clock, self._uploads = pictures, clock, uploads

    async def __call__(
        self, command: Command, progress: Callable[[str], Awaitable[object]]
    ) -> dict[str, object]:
        args = command.args
        if not isinstance(args, Snapshot):
            raise CommandError("command.wrong_handler", f"{command.op} is no snapshot.")
        whole = bool(args.upload_url)
        if whole and await self._uploads.find(command.id) is not None:  # a restart came between
            return await self._send(command, progress)
        reply = await self._pictures.picture(
            args.camera_id,
            FULL_WIDTH_PX if whole else THUMBNAIL_WIDTH_PX,
            FULL_BYTES if whole else MAX_THUMBNAIL_BYTES,
        )
        assert reply.jpeg is not None  # noqa: S101 - the hub raises when there is none
        result: dict[str, object] = {
            "camera_id": args.camera_id,
            "taken_at": reply.taken_at,
            "age_s": round(self._clock.monotonic_s() - reply.taken_mono_s, 2),
            "width_px": reply.width_px,
            "height_px": reply.height_px,
            "bytes": len(reply.jpeg),
            "sha256": hashlib.sha256(reply.jpeg).hexdigest(),
        }
        if not whole:
            return {**result, "jpeg": base64.b64encode(reply.jpeg).decode()}
        path = self._uploads.folder / f"{command.id}.jpg"
        await asyncio.to_thread(path.write_bytes, reply.jpeg)
        file = NewFile(
            id=command.id,
            path=path,
            content_type="image/jpeg",
            size_bytes=len(reply.jpeg),
            sha256=str(result["sha256"]),
            result=result,
            priority=command.prio,
            rests_on=command.grant.id if command.grant else "",
        )
        await self._uploads.add(file, args.upload_url)
        await progress("sending")
        return await self._send(command, progress)

    async def _send(
        self, command: Command, progress: Callable[[str], Awaitable[object]]
    ) -> dict[str, object]:
        job = await self._uploads.follow(command.id, progress, PATIENCE_S)
        return self._uploads.result_of(job)
