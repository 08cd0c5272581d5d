"""Brings queued files to the center, one part at a time. Core process; the PUT itself in a thread.

Commands hand files in (`add`) and follow them (`follow`); the center's `upload.urls` come in by
`take`. What must wait (for the window, the budget, an address, the network) does not block others.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from sqlite3 import Connection

from agent.contract.commands import Reply, UploadUrls
from agent.contract.events import TimeQuality
from agent.contract.uploads import part_range
from agent.core import log, rationing
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.db import Database
from agent.core.errors import CommandError, LinkError
from agent.core.file_store import Way
from agent.settings.model import UploadSettings
from agent.uploads import folder, queue
from agent.uploads.put import Put, Range, UploadError
from agent.uploads.queue import Job, JobPart, NewFile, State
from agent.uploads.telling import late_reply, need_reply, succeeded

FOLDER = "uploads"
_ASK_FIRST_S, _ASK_CAP_S = 10.0, 300.0  # a center that does not answer is asked ever less often
_RETRY_FIRST_S, _RETRY_CAP_S = 1.0, 60.0
_SAME_ADDRESS_TRIES = 3
_MOST_REFUSALS = 8  # in a row, with fresh addresses: then it is no use
_MOST_RESTARTS = 3  # so often the store may lose what it had, or find another sha256
_REMEMBER = timedelta(days=7)
_LOOK_AGAIN_S = 30.0
_FOLLOW_EVERY_S = 2.0
_NO_LINK_S = 3.0
_OVER = {
    "upload.too_late": "It could not be sent in time.",
    "grant.over": "Its grant ended before all of it was sent.",
}

Answer = Callable[[Reply], Awaitable[None]]
Progress = Callable[[str], Awaitable[object]]


@dataclass(slots=True)
class _Tries:
    """What is remembered of a job between tries; lost with the process, and no harm done."""

    failures: int = 0  # of the present address
    refusals: int = 0
    not_before_s: float = 0.0
    restarts: int = 0
    asked: int = 0
    ask_from_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits, for checks and telemetry. `held`: "budget", "line", "window" or ""."""

    waiting: int = 0
    held: str = ""
    waiting_bytes: int = 0
    sent_bytes_total: int = 0


class Uploads(Service):
    """The box's way for files; one per box. `spares_line`: only what is urgent may go.

    `grant_holds` is asked before anything is sent that rests on a grant.
    """

    name = "uploads"

    def __init__(
        self,
        clock: Clock,
        db: Database,
        data_dir: Path,
        answer: Answer,
        settings: UploadSettings,
        spares_line: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(clock)
        self.settings = settings
        self._spares_line = spares_line
        self.folder = data_dir / FOLDER
        self._db, self._answer = db, answer
        self._tries: dict[str, _Tries] = {}
        self._holds: dict[str, str] = {}
        self._followed: set[str] = set()
        self.grant_holds: Callable[[str], Awaitable[bool]] = _no_grant_holds
        self._sending: tuple[str, Put] | None = None  # on which grant, what
        self._wake, self._changed = asyncio.Event(), asyncio.Event()
        self._is_swept = False
        self.backlog = Backlog()
        self.sent_bytes_total = 0
        self._log = log.get(self.name)

    async def start(self) -> None:
        """Make the folder; once a process, remove what no job needs."""
        if not self._is_swept:
            horizon = self._clock.utc_now() - _REMEMBER
            needed = await self._db.run(partial(queue.forget_before, horizon=horizon))
            names = frozenset(Path(path).name for path in needed)
            await asyncio.to_thread(folder.sweep, self.folder, names)
            self._is_swept = True

    async def run(self) -> None:
        while True:
            self._wake.clear()
            self.progressed()
            wait_s = await self._round()
            if wait_s != 0:
                await self._idle(wait_s)

    async def find(self, job_id: str) -> Job | None:
        """Return what is known of the file of an order."""
        return await self._db.run(lambda connection: queue.find(connection, job_id))

    async def add(
        self, file: NewFile, url: str = "", also: Callable[[Connection], None] | None = None
    ) -> None:
        """Queue a file that lies in `folder`. Raises `CommandError` when the queue is full.

        `also` writes in the same transaction what must be known of it.
        """
        now = self._clock.utc_now()
        deadline = now + timedelta(days=self.settings.keep_days)
        await asyncio.to_thread(folder.put_on_the_disk, file.path)

        def write(connection: Connection) -> bool:
            if queue.queued_bytes(connection) + file.size_bytes > self.settings.max_bytes:
                return False
            queue.add(connection, file, now, deadline, url)
            if also is not None:
                also(connection)
            return True

        if not await self._db.run(write):
            raise CommandError(
                "upload.queue_full",
                "Too many files wait for the center already.",
                hint="Look at `uploads.window`, `uploads.daily_bytes` and the link.",
                retryable=True,
            )
        self._wake.set()

    async def follow(self, job_id: str, progress: Progress, patience_s: float) -> Job:
        """Wait until the file is sent, or must wait, or patience ends; return how it stands.

        Raises `CommandError` when it failed for good. Who is not waited for to the end is told of
        by a later reply to the same order.
        """
        until_s, told = self._clock.monotonic_s() + patience_s, 0
        self._followed.add(job_id)
        try:
            while True:
                changed = self._changed
                job = await self.find(job_id)
                if job is None:
                    raise CommandError("upload.lost", "The file is not known any more.")
                if job.state.is_final:
                    await self._db.run(lambda connection: queue.set_told(connection, job_id))
                    return succeeded(job)
                if job_id in self._holds or self._clock.monotonic_s() >= until_s:
                    return job
                if len(job.sent) != told:
                    told = len(job.sent)
                    await progress(f"sent {told} of {len(job.parts)} parts")
                await self._hear(changed, _FOLLOW_EVERY_S)
        finally:
            self._followed.discard(job_id)
            self._wake.set()

    def result_of(self, job: Job) -> dict[str, object]:
        """Return the reply's result: whether the file is `uploaded`, else what it waits for."""
        if job.state is State.DONE:
            return {**job.file.result, "uploaded": True}
        waits_for = self._holds.get(job.id, "center")
        return {**job.file.result, "uploaded": False, "waits_for": waits_for}

    async def take(self, order: UploadUrls) -> dict[str, object]:
        """Take the center's addresses. Raises `CommandError` upload.unknown."""
        job = await self.find(order.upload)
        if job is None:
            raise CommandError("upload.unknown", "This box has no such file.", hint="Ask anew.")
        if job.state.is_final:
            return {"state": job.state.value}
        if order.refused:
            await self._end(job, State.FAILED, "upload.not_wanted", order.refused)
        elif order.complete:
            await self._end(job, State.DONE)
        else:
            await self._addressed(job, order)
        self._tell_change()
        return {"state": "taken"}

    def grant_ended(self, grant_id: str) -> None:
        """Stop what is being sent on a grant, and look for what waits."""
        if self._sending is not None and self._sending[0] == grant_id:
            self._sending[1].abort()
        self._wake.set()

    async def _addressed(self, job: Job, order: UploadUrls) -> None:
        tries = self._tries.setdefault(job.id, _Tries())
        tries.asked, tries.ask_from_s = 0, 0.0
        tries.restarts += order.have is not None and not job.missing
        if tries.restarts >= _MOST_RESTARTS:
            text = "The store does not get the file whole."
            await self._end(job, State.FAILED, "upload.not_whole", text)
            return
        await self._db.run(partial(queue.take_urls, order=order))

    async def _round(self) -> float | None:
        """Do the next thing; return seconds until there may be more to do (0: at once)."""
        await self._tell_finished()
        jobs = await self._db.run(queue.unfinished)
        holds: dict[str, str] = {}
        wait_s: float | None = None
        for job in jobs:
            due_s = await self._advance(job, holds)
            if due_s == 0:
                holds = {**{k: v for k, v in self._holds.items() if k != job.id}, **holds}
                break
            wait_s = due_s if wait_s is None else min(wait_s, due_s)
        else:
            due_s = None
        if holds != self._holds:
            self._holds = holds
            self._tell_change()
        kinds = set(holds.values())
        held = next((kind for kind in ("budget", "line", "window") if kind in kinds), "")
        size = sum(job.file.size_bytes for job in jobs)
        self.backlog = Backlog(len(jobs), held, size, self.sent_bytes_total)
        return 0.0 if due_s == 0 else wait_s

    async def _advance(self, job: Job, holds: dict[str, str]) -> float:
        """Take one job one step; return 0 when something was done, else the seconds to wait."""
        now, now_s = self._clock.utc_now(), self._clock.monotonic_s()
        tries = self._tries.setdefault(job.id, _Tries())
        if why := await self._is_over(job, now):
            await self._end(job, State.FAILED, why, _OVER[why])
            return 0.0
        if held := self._held_by(job, now):
            holds[job.id] = held
            opens_s = rationing.opens_in_s(self.settings.window, now) if held == "window" else None
            return min(_LOOK_AGAIN_S, opens_s or _LOOK_AGAIN_S)
        if tries.not_before_s > now_s:
            return tries.not_before_s - now_s
        part = next((part for part in job.missing if part.url), None)
        if part is None:
            return await self._ask(job, tries, now_s)
        _, length = part_range(job.file.size_bytes, part.number)
        day, budget = rationing.day_of(now), self.settings.daily_bytes
        if not await self._db.run(partial(queue.spend, day=day, count_bytes=length, budget=budget)):
            holds[job.id] = "budget"
            return min(_LOOK_AGAIN_S, rationing.next_day_in_s(now))
        await self._send(job, part, tries, day)
        return 0.0

    async def _is_over(self, job: Job, now: datetime) -> str:
        """Say by which code nothing more is sent of it, "" when it may go on."""
        if now >= job.deadline:
            return "upload.too_late"
        return "grant.over" if job.missing and not await self._may(job) else ""

    async def _may(self, job: Job) -> bool:
        rests_on = job.file.rests_on
        return not rests_on or await self.grant_holds(rests_on)

    def _held_by(self, job: Job, now: datetime) -> str:
        """Say what a file must wait for; "" when it may go."""
        if job.file.priority >= rationing.URGENT_PRIORITY:
            return ""
        if self._spares_line():
            return "line"
        if self._clock.quality() is TimeQuality.UNSYNCED:
            return ""
        return "" if rationing.is_open(self.settings.window, now) else "window"

    async def _ask(self, job: Job, tries: _Tries, now_s: float) -> float:
        """Ask the center for addresses, or to put the parts together."""
        if tries.ask_from_s > now_s:
            return tries.ask_from_s - now_s
        wait_s = min(_ASK_CAP_S, _ASK_FIRST_S * 2.0**tries.asked)
        tries.asked += 1  # before it is said: the answer may be here before the PUBACK
        tries.ask_from_s = self._clock.monotonic_s() + wait_s
        try:
            await self._answer(need_reply(job))
        except LinkError:
            tries.asked, tries.ask_from_s = 0, self._clock.monotonic_s() + _NO_LINK_S
            return _NO_LINK_S
        return wait_s

    async def _send(self, job: Job, part: JobPart, tries: _Tries, day: str) -> None:
        file = job.file
        offset, length = part_range(file.size_bytes, part.number)
        way = Way(self.settings.ca_file, self.settings.plain_http, self.settings.max_bps)
        put = Put(
            part.url,
            Range(file.path, offset, length),
            file.content_type,
            file.sha256,
            way,
            self._clock,
        )
        self._sending = file.rests_on, put
        if job.state is not State.SENDING:
            await self._db.run(lambda c: queue.set_state(c, job.id, State.SENDING))
        try:
            if not await self._may(job):  # it ended just now
                put.abort()
            etag = await asyncio.to_thread(put.run)
        except UploadError as error:
            await self._failed(job, part, tries, error)
        except OSError as error:
            await self._end(job, State.FAILED, "upload.unreadable", f"{type(error).__name__}")
        else:
            tries.failures = tries.refusals = 0
            await self._db.run(lambda c: queue.part_sent(c, job.id, part.number, etag))
            if len(job.parts) == 1:
                await self._end(job, State.DONE)
        finally:
            put.abort()
            self._sending = None
            self.sent_bytes_total += put.sent_bytes
            unsent = put.sent_bytes - length
        if unsent:
            await self._db.run(partial(queue.spend, day=day, count_bytes=unsent, budget=None))
        self._tell_change()

    async def _failed(self, job: Job, part: JobPart, tries: _Tries, error: UploadError) -> None:
        self._log.warning("part not sent", upload=job.id, part=part.number, code=error.code)
        tries.failures += 1
        spoilt = error.spoilt or tries.failures >= _SAME_ADDRESS_TRIES
        if error.spoilt:
            tries.refusals += 1
        if tries.refusals >= _MOST_REFUSALS:
            await self._end(job, State.FAILED, error.code, error.message)
            return
        if spoilt:
            tries.failures = 0
            await self._db.run(lambda c: queue.forget_urls(c, job.id))
        tries_so_far = tries.failures + tries.refusals
        wait_s = min(_RETRY_CAP_S, _RETRY_FIRST_S * 2.0 ** max(0, tries_so_far - 1))
        tries.not_before_s = self._clock.monotonic_s() + (0.0 if tries_so_far <= 1 else wait_s)

        def note(connection: Connection) -> None:
            queue.set_state(connection, job.id, State.WAITING, error.code, error.message)

        await self._db.run(note)

    async def _end(self, job: Job, state: State, code: str = "", message: str = "") -> None:
        await self._db.run(lambda c: queue.set_state(c, job.id, state, code, message))
        await asyncio.to_thread(job.file.path.unlink, missing_ok=True)
        self._tries.pop(job.id, None)
        self._log.info("upload ended", upload=job.id, state=state.value, code=code)
        self._tell_change()

    async def _tell_finished(self) -> None:
        """Tell the center of files whose order was answered before they were sent."""
        for job in await self._db.run(queue.untold):
            if job.id in self._followed:
                continue
            try:
                await self._answer(late_reply(job))
            except LinkError:
                return
            await self._db.run(partial(queue.set_told, job_id=job.id))

    def _tell_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
        self._wake.set()

    async def _idle(self, wait_s: float | None) -> None:
        """Wait for news; a time-out only when there is something to wait for."""
        if wait_s is None and not await self._db.run(queue.untold):
            self.last_progress_mono_s = None
            await self._wake.wait()
        else:
            await self._hear(self._wake, min(_LOOK_AGAIN_S, wait_s or _LOOK_AGAIN_S))

    async def _hear(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for `event`, at most so long on our clock."""
        async with asyncio.TaskGroup() as tasks:
            sleeper = tasks.create_task(self._clock.sleep_s(seconds))
            news = tasks.create_task(event.wait())
            await asyncio.wait([sleeper, news], return_when=asyncio.FIRST_COMPLETED)
            sleeper.cancel()
            news.cancel()


async def _no_grant_holds(_: str) -> bool:
    return False
