"""Where boxes put clips and snapshots: HTTP PUT to an address that is good once, for a while.

A large file comes in parts, as to an S3 store: each is kept as it comes, and all are put together
and checked once the box says that it has sent the last.
"""

import asyncio
import hashlib
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from agent.contract.commands import UploadAddress, UploadUrls
from agent.contract.uploads import MOST_PARTS_ASKED, NeedUpload
from agent.core.clock import Clock
from agent.core.db import Database
from agent.simulators.center import store
from agent.simulators.center.view import Upload

MAX_UPLOAD_BYTES = 256 * 1024 * 1024  # in one PUT
MAX_FILE_BYTES = 4 * 1024 * 1024 * 1024
PARTS_FOLDER = ".parts"
_SUFFIXES = {"image/jpeg": ".jpg", "video/mp4": ".mp4", "application/zip": ".zip"}


@dataclass(frozen=True, slots=True)
class _Ticket:
    command_id: str
    until_mono_s: float
    part: int = 0  # 0: the whole file


class Uploads:
    """Hands out addresses and receives the files; `routes()` go into the center's web app."""

    def __init__(
        self,
        clock: Clock,
        db: Database,
        folder: Path,
        base_url: str,
        on_change: Callable[[], None],
    ) -> None:
        self._clock, self._db, self._folder = clock, db, folder
        self._base_url, self._on_change = base_url.rstrip("/"), on_change
        self._tickets: dict[str, _Ticket] = {}

    def address_for(self, command_id: str, valid_s: float, part: int = 0) -> str:
        """Return a URL for one PUT of one file, or of one part of it, within `valid_s`."""
        now = self._clock.monotonic_s()
        self._tickets = {k: t for k, t in self._tickets.items() if t.until_mono_s > now}
        token = secrets.token_urlsafe(24)
        self._tickets[token] = _Ticket(command_id, now + valid_s, part)
        return f"{self._base_url}/uploads/{token}"

    async def answer(self, command_id: str, need: NeedUpload, valid_s: float) -> UploadUrls:
        """Return what a box needs for its file; what is already here is not asked for again."""
        known = await self._db.run(partial(store.upload_of, command_id=command_id))
        if known is not None and known.sha256 == need.sha256:
            return UploadUrls(upload=command_id, complete=True)
        if need.bytes > MAX_FILE_BYTES:
            return UploadUrls(upload=command_id, refused="The file is too large.")
        if not need.is_multipart:
            return self._urls(command_id, [1], valid_s, whole=True)
        parts = self._folder / PARTS_FOLDER / command_id
        here = await asyncio.to_thread(_parts_in, parts)
        missing = [number for number in range(1, need.parts_total + 1) if number not in here]
        if not missing and await self._join(command_id, parts, need):
            return UploadUrls(upload=command_id, complete=True)
        if not missing:  # they make another file than was promised
            await asyncio.to_thread(shutil.rmtree, parts, ignore_errors=True)
            return UploadUrls(upload=command_id, have=())
        answer = self._urls(command_id, missing[:MOST_PARTS_ASKED], valid_s)
        return msgspec.structs.replace(answer, have=_ranges(sorted(here)))

    async def abort(self, command_id: str) -> None:
        """No more will come of a file: its addresses and its parts are of no use any more."""
        self._tickets = {k: t for k, t in self._tickets.items() if t.command_id != command_id}
        parts = self._folder / PARTS_FOLDER / command_id
        await asyncio.to_thread(shutil.rmtree, parts, ignore_errors=True)

    def _urls(
        self, command_id: str, numbers: list[int], valid_s: float, *, whole: bool = False
    ) -> UploadUrls:
        return UploadUrls(
            upload=command_id,
            parts=tuple(
                UploadAddress(
                    number=number, url=self.address_for(command_id, valid_s, 0 if whole else number)
                )
                for number in numbers
            ),
        )

    def routes(self) -> list[Route]:
        """Return the route to mount."""
        return [Route("/uploads/{token}", self._put, methods=["PUT"])]

    async def _put(self, request: Request) -> Response:
        ticket = self._tickets.pop(str(request.path_params["token"]), None)  # good only once
        if ticket is None or ticket.until_mono_s < self._clock.monotonic_s():
            return PlainTextResponse("This address was used or is too old.", 403)
        if ticket.part:
            return await self._put_part(request, ticket)
        content_type = request.headers.get("content-type", "").split(";")[0].strip()
        name = ticket.command_id + _SUFFIXES.get(content_type, ".bin")
        path = self._folder / name
        try:
            size, digest = await self._receive(request, path)
        except (ClientDisconnect, ValueError) as error:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            return PlainTextResponse(f"Not taken: {error}.", 400)
        await self._add(ticket.command_id, path, content_type, size, digest)
        return PlainTextResponse(digest, 201)

    async def _put_part(self, request: Request, ticket: _Ticket) -> Response:
        folder = self._folder / PARTS_FOLDER / ticket.command_id
        scratch = folder / f"{ticket.part}.tmp"
        try:
            _, digest = await self._receive(request, scratch)
        except (ClientDisconnect, ValueError) as error:
            await asyncio.to_thread(scratch.unlink, missing_ok=True)
            return PlainTextResponse(f"Not taken: {error}.", 400)
        await asyncio.to_thread(scratch.replace, folder / f"{ticket.part}.part")
        return PlainTextResponse("", 200, {"ETag": f'"{digest}"'})

    async def _join(self, command_id: str, parts: Path, need: NeedUpload) -> bool:
        """Put the parts together; return whether they are the file that was promised."""
        path = self._folder / (command_id + _SUFFIXES.get(need.content_type, ".bin"))
        size, digest = await asyncio.to_thread(_concatenate, parts, need.parts_total, path)
        if (size, digest) != (need.bytes, need.sha256):
            await asyncio.to_thread(path.unlink)
            return False
        await self._add(command_id, path, need.content_type, size, digest)
        await asyncio.to_thread(shutil.rmtree, parts, ignore_errors=True)
        return True

    async def _add(
        self, command_id: str, path: Path, content_type: str, size: int, digest: str
    ) -> None:
        upload = Upload(
            path.name, command_id, content_type, size, digest, self._clock.utc_now(), path
        )
        await self._db.run(partial(store.add_upload, upload=upload))
        self._on_change()

    async def _receive(self, request: Request, path: Path) -> tuple[int, str]:
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        file = await asyncio.to_thread(path.open, "wb")
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_UPLOAD_BYTES:
                    raise ValueError("the file is too large")
                digest.update(chunk)
                await asyncio.to_thread(file.write, chunk)
        finally:
            await asyncio.to_thread(file.close)
        return size, digest.hexdigest()


def _parts_in(folder: Path) -> set[int]:
    return {int(path.stem) for path in folder.glob("*.part")}


def _ranges(numbers: list[int]) -> tuple[tuple[int, int], ...]:
    """Return sorted numbers as ranges from first to last."""
    ranges: list[tuple[int, int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return tuple(ranges)


def _concatenate(folder: Path, total: int, out: Path) -> tuple[int, str]:
    with out.open("wb") as file:
        for number in range(1, total + 1):
            with (folder / f"{number}.part").open("rb") as part:
                shutil.copyfileobj(part, file)
    with out.open("rb") as file:
        return out.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
