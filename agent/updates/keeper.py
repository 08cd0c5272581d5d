"""Takes an update from the order to its end: fetch, wait for the moment, ask the image, report.

order -> Job (on the disk) -> Fetch (a thread) -> plan.json -> the image installs, tries, judges ->
outcome -> `Info.update` and the audit. Runs in the core; every step outlives a restart.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from agent.contract.events import TimeQuality
from agent.contract.updates import Update, UpdateInfo, UpdateStage
from agent.core import log, rationing
from agent.core.clock import Clock, boot_id, to_tick_s
from agent.core.component import Service
from agent.core.errors import CommandError, StorageError
from agent.core.file_store import Way
from agent.settings.model import UploadSettings
from agent.updates import bundles
from agent.updates import job as jobs
from agent.updates.bundles import GOES_ON, KEPT
from agent.updates.fetch import Fetch, FetchError, Place, Wanted
from agent.updates.image import ImageSide
from agent.updates.job import LOCAL_ORDER, Job, LocalOrder

_LOOK_S = 5.0
_SAVE_BYTES = 1024 * 1024
_RETRY_FIRST_S, _RETRY_CAP_S = 5.0, 900.0
_AGAIN_S = 600.0  # after the image put it off: heat and voltage take their time; or said nothing
_NO_ANSWER_S = 7_800.0  # the image lets RAUC write for 6,000
_MOST_DAMAGED = 2
_MOST_FAILED = 3  # each may have written the whole slot anew

Busy = Callable[[], Awaitable[str]]
Note = Callable[[str, str, str, str, str], Awaitable[None]]  # op, actor, outcome, code, detail


class Updates(Service):
    """One per box. `busy` says why the box must not restart now, "" when it may.

    `spares_line`: only what is urgent may go over the line. `note` audits.
    """

    name = "updates"

    def __init__(
        self,
        clock: Clock,
        image: ImageSide,
        settings: UploadSettings,
        busy: Busy,
        note: Note,
        spares_line: Callable[[], bool] = lambda: False,
        this_boot: str = "",
    ) -> None:
        super().__init__(clock)
        self._image, self._busy, self._note = image, busy, note
        self.settings, self._spares_line = settings, spares_line
        self._boot = this_boot or boot_id()
        self._wake = asyncio.Event()
        self._job: Job | None = None
        self._fetch: Fetch | None = None
        self._failures, self._not_before_s = 0, 0.0
        self._asked_s: float | None = None  # since when an answer is waited for
        self._is_lost = False  # the plan, at the last look
        self._hold: str | None = None
        self._changing, self._saving = asyncio.Lock(), threading.Lock()
        self._received_bytes = 0
        self._log = log.get(self.name)

    def told(self) -> UpdateInfo | None:
        """Return how the last update stands; None when there was none."""
        return self._job.told() if self._job else None

    def fetched_bytes(self) -> int:
        """Return what updates cost the line since the start."""
        return self._received_bytes

    async def order(self, order_id: str, by: str, order: Update) -> UpdateInfo | None:
        """Take an order; return how things stand then. Raises `CommandError`."""
        async with self._whole():
            if order.action == "cancel":
                await self._cancel(by)
            elif order.action == "install" and not (self._job and self._job.id == order_id):
                await self._begin(Job(id=order_id, by=by, order=order, stage=UpdateStage.FETCHING))
        return self.told()

    async def start(self) -> None:
        self._job = await asyncio.to_thread(jobs.load, self._image.folder)

    async def run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self.look()
            except (OSError, StorageError) as error:  # a full disk, say
                self._log.warning("no step on with the update", detail=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(to_tick_s(self._clock, _LOOK_S)):
                    await self._wake.wait()

    async def look(self) -> None:
        """Take what was ordered at the box, and go one step on; orders come in on a fetch alone."""
        async with self._whole():
            await self._take_local()
            fetch = await self._step(self._job) if self._job else None
        if fetch is not None and self._job is not None:
            await self._fetch_on(self._job, fetch)

    @asynccontextmanager
    async def _whole(self) -> AsyncIterator[None]:
        """Change one thing at a time; what the disk did not take is not so."""
        async with self._changing:
            try:
                yield
            except (OSError, StorageError):
                self._job = await asyncio.to_thread(jobs.load, self._image.folder)
                raise

    async def stop(self) -> None:
        if self._fetch is not None:
            self._fetch.abort()

    async def _begin(self, job: Job) -> None:
        self._image.check()
        old = self._job
        if old is not None and old.stage in (UpdateStage.ASKED, UpdateStage.INSTALLED):
            raise CommandError(
                "update.busy",
                f"Version {old.order.version} is being installed.",
                hint="Wait for its end in `Info.update`, or restart the box.",
                retryable=True,
            )
        is_here = job.local
        if old is not None and old.stage in GOES_ON and old.bundle_name == job.bundle_name:
            is_here = is_here or old.stage is UpdateStage.READY
            job.received_bytes = old.received_bytes
            job.day, job.spent_bytes = old.day, old.spent_bytes
        if self._fetch is not None:
            self._fetch.abort()
        self._failures, self._not_before_s = 0, 0.0
        await self._move(job, UpdateStage.READY if is_here else UpdateStage.FETCHING)
        await asyncio.to_thread(self._sweep)
        self._wake.set()

    async def _cancel(self, by: str) -> None:
        """Give it up; of one that has come to nothing, take note that somebody knows."""
        job = self._job
        if job is None or job.stage in (UpdateStage.COMMITTED, UpdateStage.CANCELLED):
            return
        if job.stage in (UpdateStage.ASKED, UpdateStage.INSTALLED):
            raise CommandError(
                "update.too_late",
                f"Version {job.order.version} is in the other slot already.",
                hint="Order the version that runs now to go back to it.",
            )
        job.by = by
        if self._fetch is not None:
            self._fetch.abort()
        await self._move(job, UpdateStage.CANCELLED)
        await asyncio.to_thread(self._sweep)

    async def _take_local(self) -> None:
        """Take what somebody at the box asked for by `poleside update`."""
        path = self._image.folder / LOCAL_ORDER
        try:
            told = msgspec.json.decode(await asyncio.to_thread(path.read_bytes), type=LocalOrder)
        except FileNotFoundError:
            return
        except (OSError, msgspec.MsgspecError) as error:
            self._log.warning("an order at the box can't be read", detail=str(error))
            path.unlink(missing_ok=True)
            return
        path.unlink(missing_ok=True)
        try:
            if told.order.action == "cancel":
                await self._cancel(told.by)
            elif told.order.action == "install":
                stage = UpdateStage.READY
                job = Job(id=told.id, by=told.by, order=told.order, stage=stage, local=True)
                job.have_bytes = told.order.size_bytes
                await self._begin(job)
        except CommandError as error:
            await self._note("update", told.by, "refused", error.code, error.message)

    async def _step(self, job: Job) -> Fetch | None:
        """Go one step on; return the fetch that must be run for it."""
        told = (job.order.version, job.judged, job.slot)
        if job.was_asked and await asyncio.to_thread(self._image.has_kept, *told):
            await self._move(job, UpdateStage.COMMITTED)
            await asyncio.to_thread(bundles.keep, self._image.folder, job)
            await asyncio.to_thread(self._sweep)
            return None
        match job.stage:
            case UpdateStage.FETCHING:
                return await self._begin_fetch(job)
            case UpdateStage.READY:
                await self._ask(job)
            case UpdateStage.ASKED:
                await self._held_back(job)
                await self._hear(job)
            case UpdateStage.INSTALLED:
                await self._judge(job)
        return None

    async def _begin_fetch(self, job: Job) -> Fetch | None:
        if held := self._held(job):
            await self._wait(job, held)
        elif self._clock.monotonic_s() >= self._not_before_s:
            job.waits_for, job.code, job.why = "", "", ""
            part = await asyncio.to_thread(bundles.take_up, self._image.folder, job)
            self._fetch = self._fetch_of(job, part)
            return self._fetch
        return None

    async def _fetch_on(self, job: Job, fetch: Fetch) -> None:
        """Run the fetch; an order may come meanwhile, and then counts."""
        trouble: FetchError | None = None
        try:
            await asyncio.to_thread(fetch.run)
        except FetchError as error:
            trouble = error
        except OSError as error:
            trouble = FetchError(
                "update.disk",
                f"The bundle can't be written: {error.strerror}.",
                hint="Free or repair the data disk; it is tried again by itself.",
            )
        finally:
            fetch.abort()
            self._fetch = None
        async with self._whole():
            if self._job is not job or job.stage is not UpdateStage.FETCHING:
                await asyncio.to_thread(self._sweep)
            elif trouble is not None:
                await self._fetch_failed(job, trouble, came=fetch.received_bytes > 0)
            else:
                job.have_bytes = job.order.size_bytes
                part = bundles.part_of(self._image.folder, job)
                await asyncio.to_thread(part.replace, part.with_name(job.bundle_name))
                await self._move(job, UpdateStage.READY)
                self._wake.set()

    def _fetch_of(self, job: Job, part: Path) -> Fetch:
        order, settings, unsaved = job.order, self.settings, [0]

        def spend(count_bytes: int) -> bool:
            """Count in the fetch's thread; on the disk now and then."""
            day = rationing.day_of(self._clock.utc_now())
            job.spent_bytes = count_bytes + (job.spent_bytes if job.day == day else 0)
            job.day = day
            job.received_bytes += count_bytes
            self._received_bytes += count_bytes
            job.have_bytes = fetch.have_bytes
            unsaved[0] += count_bytes
            if unsaved[0] >= _SAVE_BYTES:
                unsaved[0] = 0
                self._save(job)
            return not self._held(job)

        wanted = Wanted(order.url, order.blocks_url, order.sha256, order.size_bytes)
        way = Way(settings.ca_file, settings.plain_http, settings.max_bps)
        fetch = Fetch(wanted, Place(part, part.with_name(KEPT)), way, spend, self._clock)
        return fetch

    def _save(self, job: Job) -> None:
        """Keep a job unless another one took its place. In a thread; the fetch has its own."""
        with self._saving:
            if self._job is job:
                jobs.save(self._image.folder, job)

    def _held(self, job: Job) -> str:
        """Say what the fetch must wait for, "" when it may go."""
        now, settings = self._clock.utc_now(), self.settings
        if self._spares_line():
            return "line"
        is_known = self._clock.quality() is not TimeQuality.UNSYNCED
        if is_known and not rationing.is_open(settings.window, now):
            return "window"
        budget = job.order.daily_bytes or settings.daily_bytes
        is_spent = budget is not None and job.spent_bytes >= budget
        return "budget" if is_spent and job.day == rationing.day_of(now) else ""

    async def _fetch_failed(self, job: Job, error: FetchError, *, came: bool) -> None:
        """Try again: soon when something came, else ever more rarely. What came stays."""
        job.damaged += error.code == "update.damaged"
        if error.spoilt or job.damaged >= _MOST_DAMAGED:
            await self._move(job, UpdateStage.FAILED, error.code, error.message)
            return
        if error.code == "update.held_back":
            await self._wait(job, self._held(job))
            return
        self._failures = 1 if came else self._failures + 1
        wait_s = min(_RETRY_CAP_S, _RETRY_FIRST_S * 2.0 ** (self._failures - 1))
        self._not_before_s = self._clock.monotonic_s() + wait_s
        waits_for = "board" if error.code == "update.disk" else "store"
        await self._wait(job, waits_for, error.code, error.message)

    async def _ask(self, job: Job) -> None:
        """Leave the plan when the box may restart."""
        if why := await self._held_back(job):
            await self._wait(job, "incident", "update.held", why)
            return
        if self._clock.monotonic_s() < self._not_before_s:
            return
        job.try_ += 1
        job.boot, job.judged = self._boot, (await asyncio.to_thread(self._image.verdict)).boot
        job.slot = await asyncio.to_thread(self._image.kept_slot)
        self._asked_s, self._is_lost = None, False
        await self._move(job, UpdateStage.ASKED)
        await asyncio.to_thread(
            self._image.ask, job.plan_id, job.bundle_name, restart=job.order.restart
        )

    async def _held_back(self, job: Job) -> str:
        """Hold the image back as long as the box must not restart; return why, "" when it may."""
        why = await self._busy() if job.order.restart else ""
        if why != self._hold:
            await asyncio.to_thread(self._image.hold, why)
            self._hold = why
        return why

    async def _hear(self, job: Job) -> None:
        """Take what the image says of the plan."""
        outcome = await asyncio.to_thread(self._image.outcome)
        if outcome.update_id != job.plan_id:
            await self._miss(job)
        elif outcome.outcome == "installed":
            await self._move(job, UpdateStage.INSTALLED)
        elif outcome.outcome == "postponed":
            job.failed += outcome.code == "update.failed"
            if job.failed < _MOST_FAILED:
                await self._again(job, outcome.code, outcome.why)
            else:
                await self._move(job, UpdateStage.FAILED, outcome.code, outcome.why)
        else:
            await self._move(job, UpdateStage.REFUSED, outcome.code, outcome.why)
            await asyncio.to_thread(self._sweep)

    async def _miss(self, job: Job) -> None:
        """Without an answer: the plan lies there until the image is done with it, or it is lost."""
        now_s = self._clock.monotonic_s()
        if await asyncio.to_thread(self._image.is_asked):
            self._is_lost = False
            if self._asked_s is None:
                self._asked_s = now_s
            if job.boot != self._boot:  # nothing is installed yet in this boot either
                job.boot = self._boot
                await asyncio.to_thread(self._save, job)
            if now_s - self._asked_s <= _NO_ANSWER_S:
                return
        elif not self._is_lost:  # the image takes it away a moment before it answers
            self._is_lost = True
            return
        await self._again(job, "update.no_answer", "The image did not answer the plan.")

    async def _again(self, job: Job, code: str, why: str) -> None:
        """Ask once more, later: a plan the image put off, or one that a power cut took."""
        self._not_before_s = self._clock.monotonic_s() + _AGAIN_S
        job.waits_for = "board"
        await self._move(job, UpdateStage.READY, code, why)

    async def _judge(self, job: Job) -> None:
        """After the restart: see which system runs, and what the health gate said of the new."""
        if job.boot == self._boot:
            held = await self._held_back(job)  # the image waits with the restart
            await self._wait(job, *(("incident", "update.held", held) if held else ("", "", "")))
            return
        slot = await asyncio.to_thread(self._image.kept_slot)
        if self._image.version == job.order.version and (not slot or slot != job.slot):
            return  # on trial: a verdict comes, or the box restarts into the old system
        verdict = await asyncio.to_thread(self._image.verdict)
        was_judged = verdict.is_of(job.order.version, job.judged)
        why = verdict.why if was_judged else "The new system did not come up."
        await self._move(job, UpdateStage.ROLLED_BACK, "update.rolled_back", why or "")
        await asyncio.to_thread(self._sweep)

    def _sweep(self) -> None:
        bundles.sweep(self._image.folder, self._job)

    async def _wait(self, job: Job, waits_for: str, code: str = "", why: str = "") -> None:
        if (job.waits_for, job.code, job.why) == (waits_for, code, why):
            return
        job.waits_for, job.code, job.why = waits_for, code, why
        await asyncio.to_thread(self._save, job)

    async def _move(self, job: Job, stage: UpdateStage, code: str = "", why: str = "") -> None:
        """Keep, audit and log each step."""
        job.stage, job.code, job.why = stage, code, why
        if stage.is_final or stage in (UpdateStage.ASKED, UpdateStage.INSTALLED):
            job.waits_for = ""
        self._job = job
        await asyncio.to_thread(self._save, job)
        detail = f"version {job.order.version}, sha256 {job.order.sha256}"
        await self._note(f"update.{stage.value}", job.by, "done", code, f"{detail}; {why}")
        self._log.info("update", stage=stage.value, version=job.order.version, code=code)
