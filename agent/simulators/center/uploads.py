"""Where boxes put clips and snapshots: HTTP PUT to an address that is good once, for a while."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from agent.core.clock import Clock
from agent.core.db import Database
from agent.simulators.center import store
from agent.simulators.center.view import Upload

MAX_UPLOAD_BYTES = 256 * 1024 * 1024
_SUFFIXES = {"image/jpeg": ".jpg", "video/mp4": ".mp4", "application/zip": ".zip"}


@dataclass(frozen=True, slots=True)
class _Ticket:
    command_id: str
    until_mono_s: float


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

    def address_for(self, command_id: str, valid_s: float) -> str:
        """Return a URL for one PUT of one file within `valid_s`."""
        now = self._clock.monotonic_s()
        self._tickets = {k: t for k, t in self._tickets.items() if t.until_mono_s > now}
        token = secrets.token_urlsafe(24)
        self._tickets[token] = _Ticket(command_id, now + valid_s)
        return f"{self._base_url}/uploads/{token}"

    def routes(self) -> list[Route]:
        """Return the route to mount."""
        return [Route("/uploads/{token}", self._put, methods=["PUT"])]

    async def _put(self, request: Request) -> Response:
        ticket = self._tickets.pop(str(request.path_params["token"]), None)  # good only once
        if ticket is None or ticket.until_mono_s < self._clock.monotonic_s():
            return PlainTextResponse("This address was used or is too old.", 403)
        content_type = request.headers.get("content-type", "").split(";")[0].strip()
        name = ticket.command_id + _SUFFIXES.get(content_type, ".bin")
        path = self._folder / name
        try:
            size, digest = await self._receive(request, path)
        except (ClientDisconnect, ValueError) as error:
            await asyncio.to_thread(path.unlink, missing_ok=True)
            return PlainTextResponse(f"Not taken: {error}.", 400)
        upload = Upload(
            name, ticket.command_id, content_type, size, digest, self._clock.utc_now(), path
        )
        await self._db.run(partial(store.add_upload, upload=upload))
        self._on_change()
        return PlainTextResponse(digest, 201)

    async def _receive(self, request: Request, path: Path) -> tuple[int, str]:
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
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
