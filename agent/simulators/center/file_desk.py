"""Answers boxes that have a file to send: addresses for its parts, by the order `upload.urls`."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from agent.contract.commands import Args, UploadUrls
from agent.contract.topics import BoxAddress
from agent.contract.uploads import NeedUpload
from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.db import Database
from agent.simulators.center import store
from agent.simulators.center.uploads import Uploads

ADDRESS_VALID_S = 900.0
_log = log.get("center.files")

Order = Callable[[BoxAddress, Args], Awaitable[None]]


class FileDesk(Service):
    """One answer at a time for each file; a box that is away does not hold up the others."""

    name = "center.files"

    def __init__(self, clock: Clock, db: Database, uploads: Uploads, order: Order) -> None:
        super().__init__(clock)
        self._db, self._uploads, self._order = db, uploads, order
        self._needs: asyncio.Queue[tuple[BoxAddress, str, NeedUpload | None]] = asyncio.Queue()
        self._answering: set[str] = set()
        self._asked_again: dict[str, NeedUpload] = {}

    def needed(self, address: BoxAddress, command_id: str, need: NeedUpload) -> None:
        """Take a box's `need.upload`."""
        self._needs.put_nowait((address, command_id, need))

    def failed(self, address: BoxAddress, command_id: str) -> None:
        """No more will come of a file: what is here of it goes."""
        self._needs.put_nowait((address, command_id, None))

    async def run(self) -> None:
        self._answering.clear()
        async with asyncio.TaskGroup() as tasks:
            while True:
                address, command_id, need = await self._needs.get()
                if need is None:
                    await self._uploads.abort(command_id)
                elif command_id in self._answering:
                    self._asked_again[command_id] = need
                else:
                    self._answering.add(command_id)
                    tasks.create_task(self._answer(address, command_id, need))

    async def _answer(self, address: BoxAddress, command_id: str, need: NeedUpload) -> None:
        try:
            urls = await self._urls(address, command_id, need)
            if urls is not None:
                await self._order(address, urls)
        finally:
            self._answering.discard(command_id)
        again = self._asked_again.pop(command_id, None)
        if again is not None:
            self.needed(address, command_id, again)

    async def _urls(
        self, address: BoxAddress, command_id: str, need: NeedUpload
    ) -> UploadUrls | None:
        """Return the answer; None for a file whose event has not come yet: the box asks again."""
        expected = await self._db.run(
            partial(store.is_expected, command_id=command_id, address=address)
        )
        if not expected and need.event:
            known = partial(store.is_in_event, address=address, need=need)
            expected = await self._db.run(known)
            if not expected:
                return None
        if not expected:
            _log.warning("a file that nobody ordered", box=address.box, command_id=command_id)
            return UploadUrls(upload=command_id, refused="This file was not ordered.")
        return await self._uploads.answer(command_id, need, ADDRESS_VALID_S)
