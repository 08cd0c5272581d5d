"""`bundle`: all that support needs of the box, without secrets, sent to the center as a file."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from agent.contract.commands import Bundle, Command
from agent.core.errors import CommandError
from agent.uploads.queue import NewFile
from agent.uploads.sender import Uploads

DEADLINE_S: Final = 400.0
_PATIENCE_S: Final = 60.0

# Writes the bundle for somebody and returns `poleside bundle --json`'s answer; `CommandError`.
Make = Callable[[Path, str], Awaitable[bytes]]


class _Made(Struct, frozen=True):
    bytes: int
    sha256: str


class BundleHandler:
    """Each bundle is an interpreter of its own, so one at a time."""

    def __init__(self, make: Make, uploads: Uploads) -> None:
        self._make, self._uploads = make, uploads
        self._one_at_a_time = asyncio.Lock()

    async def __call__(
        self, command: Command, progress: Callable[[str], Awaitable[object]]
    ) -> dict[str, object]:
        if not isinstance(command.args, Bundle):
            raise CommandError("command.wrong_handler", f"{command.op} is no bundle.")
        if await self._uploads.find(command.id) is None:  # else a restart came between
            if self._one_at_a_time.locked():
                raise CommandError("bundle.busy", "A bundle is being made.", retryable=True)
            async with self._one_at_a_time:
                await self._queue(command, command.args.upload_url, progress)
        job = await self._uploads.follow(command.id, progress, _PATIENCE_S)
        return self._uploads.result_of(job)

    async def _queue(
        self, command: Command, url: str, progress: Callable[[str], Awaitable[object]]
    ) -> None:
        out = self._uploads.folder / f"{command.id}.zip"
        try:
            made = msgspec.json.decode(await self._make(out, command.by.user), type=_Made)
            await progress(f"sending {made.bytes} bytes")
            await self._uploads.add(
                NewFile(
                    id=command.id,
                    path=out,
                    content_type="application/zip",
                    size_bytes=made.bytes,
                    sha256=made.sha256,
                    result={"bytes": made.bytes, "sha256": made.sha256},
                    priority=command.prio,
                ),
                url,
            )
        except BaseException:
            out.unlink(missing_ok=True)
            raise
