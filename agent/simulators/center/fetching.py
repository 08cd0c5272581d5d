"""Takes the file of one order in, beside no running center: a receiver of its own, for a while.

A running center refuses the parts of files that it did not order itself; a file of one PUT (up to
8 MB) comes here all the same, for the order says where to.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from starlette.applications import Starlette

from agent.contract.commands import UploadUrls
from agent.contract.uploads import NeedUpload
from agent.core.clock import Clock
from agent.core.db import Database
from agent.local.web.server import serve
from agent.simulators.center import store
from agent.simulators.center.uploads import Uploads

_VALID_S = 900.0
T = TypeVar("T")


class Fetch:
    """One file on its way to `out`; `base_url` is where the box reaches `listen`."""

    def __init__(self, clock: Clock, listen: str, base_url: str, out: Path) -> None:
        self._clock, self._listen, self._base_url, self._out = clock, listen, base_url, out
        self._uploads: Uploads | None = None

    async def during(self, work: Callable[[], Awaitable[T]]) -> T:
        """Take the file in while `work` goes on; it is at `out` when this returns, if it came."""
        with TemporaryDirectory(dir=self._out.parent, prefix=".poleside-") as name:
            folder, stop = Path(name), asyncio.Event()
            db = Database(folder / "center.db", [store.PART])
            await db.start()
            base_url = self._base_url or f"http://{self._listen}"
            self._uploads = Uploads(self._clock, db, folder, base_url, lambda: None)
            app = Starlette(routes=self._uploads.routes())
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(serve(app, self._listen, stop))
                    try:
                        done = await work()
                    finally:
                        stop.set()
                for came in await db.run(partial(store.uploads, limit=1)):
                    await asyncio.to_thread(came.path.replace, self._out)
            finally:
                await db.stop()
        return done

    def address_for(self, command_id: str) -> str:
        """Return where one PUT of the whole file goes."""
        assert self._uploads is not None, "only `during` the order"  # noqa: S101
        return self._uploads.address_for(command_id, _VALID_S)

    async def answer(self, command_id: str, need: NeedUpload) -> UploadUrls:
        """Return what the box needs for its parts."""
        assert self._uploads is not None, "only `during` the order"  # noqa: S101
        return await self._uploads.answer(command_id, need, _VALID_S)
