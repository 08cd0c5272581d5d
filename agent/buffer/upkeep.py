"""What keeps the ring in order beside the recording: one thread of the camera's worker.

Each chore does a little at a time, so that none holds up another for long; a chore that the disk
refuses is tried again at its next turn and never ends the thread.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from agent.buffer import journal, orders
from agent.buffer.budget import WriteBudget, default_limit
from agent.buffer.check import Check, Findings
from agent.buffer.copies import Copier
from agent.buffer.duplicate import SOONEST_S, Duplicate
from agent.buffer.index import Index
from agent.buffer.journal import Signer, Verifier
from agent.buffer.locks import Locks
from agent.buffer.observer import RecordingObserver
from agent.buffer.restoring import Restoring
from agent.buffer.retention import Retention
from agent.buffer.sparing import Sparing
from agent.buffer.stage import Stage
from agent.buffer.tiers import Thinner
from agent.core import log
from agent.core.clock import Clock, to_tick_s, wait_s
from agent.core.errors import StorageError
from agent.settings.model import BufferSettings
from hardware.interface import Medium

TURN_S, CALM_TURN_S = 1.0, 2.0
PRUNE_EVERY_S, RELEASE_EVERY_S, SIGN_EVERY_S = 30.0, 60.0, 600.0
THIN_EVERY_S, COPY_EVERY_S, BUDGET_EVERY_S = 2.0, 2.0, 600.0
CHECK_EVERY_S, LOOK_EVERY_S = 3600.0, 10.0
SECOND_DISK, BUDGET, SPARED, LOCKS_FULL, REPAIRED = (
    "storage.second_disk",
    "storage.write_budget",
    "storage.spared",
    "storage.locks_full",
    "storage.index_repaired",
)


@dataclass(slots=True)
class _Chore:
    name: str
    every_s: float
    body: Callable[[], None]
    due_mono_s: float = 0.0


class Upkeep:
    """Owns the chores of one camera's folder. `faults` may be read from any thread."""

    def __init__(
        self,
        folder: Path,
        index: Index,
        retention: Retention,
        locks: Locks,
        settings: BufferSettings,
        clock: Clock,
        *,
        cameras: int = 1,
        flushes: Callable[[], int] = lambda: 0,
        signer: Signer | None = None,
        observers: Sequence[RecordingObserver] = (),
        stage: Stage | None = None,
        medium: Medium | None = None,
        verifies: Verifier | None = None,
    ) -> None:
        self._folder, self._index, self._clock = folder, index, clock
        self._retention, self._locks, self._signer = retention, locks, signer
        self._log = log.get("buffer.upkeep")
        self._stop = threading.Event()
        self._check = Check(folder, index, clock, retention.deleting)
        self._slices: Iterator[Findings] | None = None
        self._check_due_mono_s = 0.0
        self.findings: Findings | None = None
        limit = settings.write_budget_bytes_per_day
        limit = default_limit(folder, medium) if limit is None else limit
        self._budget = WriteBudget(index, limit // cameras if limit else None, flushes)
        self._sparing = Sparing(settings, stage)
        self._failing: set[str] = set()
        self._duplicate = Duplicate(
            folder,
            index,
            clock,
            signer,
            keeps=timedelta(days=settings.retention_days),
            now=retention.now,
        )
        self._restoring, self._is_to_restore = Restoring(folder, index, clock, verifies), True
        self._chores = [
            _Chore("budget", BUDGET_EVERY_S, lambda: void(self._budget.note(clock.utc_now()))),
            _Chore("writes", LOOK_EVERY_S, self._look_at_writes),
            _Chore("orders", TURN_S, self._carry_out_orders),  # somebody waits for its answer
            _Chore("prune", PRUNE_EVERY_S, self._prune),
            _Chore("release", RELEASE_EVERY_S, self._release),
            _Chore("check", TURN_S, self._check_a_slice),
            _Chore("duplicate", SOONEST_S, self._duplicate.turn),
        ]
        self._has_stage = stage is not None
        if stage is not None:  # behind the looks that tell whether it is used
            self._chores.insert(2, _Chore("stage", TURN_S, stage.turn))
        if signer is not None:
            self._chores.append(_Chore("sign", SIGN_EVERY_S, self._sign))
        if settings.thin_after_days is not None:
            thinner = Thinner(folder, index, settings.thin_after_days, observers)
            self._chores.append(_Chore("thin", THIN_EVERY_S, lambda: self._thin(thinner)))
        if settings.second_dir:
            copier = Copier(folder, index, Path(settings.second_dir))
            body = lambda: void(copier.step(clock.utc_now()))  # noqa: E731
            self._chores.append(_Chore("copy", COPY_EVERY_S, body))

    def add(self, name: str, every_s: float, body: Callable[[], None]) -> None:
        """Do one more thing every `every_s`; call it before `run`."""
        self._chores.append(_Chore(name, every_s, body))

    @property
    def faults(self) -> tuple[str, ...]:
        """Codes of what a person should know of."""
        found = self.findings
        told = {
            SECOND_DISK: "copy" in self._failing,
            BUDGET: self._budget.is_over and not self._sparing.is_on,
            SPARED: self._sparing.is_on,
            LOCKS_FULL: self._locks.is_full,
            REPAIRED: found is not None and not found.is_clean,
        }
        return tuple(code for code, is_so in told.items() if is_so)

    def run(self, stop: threading.Event) -> None:
        """Thread body."""
        self._stop = stop
        while not wait_s(stop, to_tick_s(self._clock, self._turn_s)):
            self.turn()
        self._do(_Chore("budget", 0.0, lambda: void(self._budget.note(self._clock.utc_now()))))

    @property
    def _turn_s(self) -> float:
        """Every second while there is something to get through; else half as often will do."""
        is_busy = self._slices is not None or self._is_to_restore or self._has_stage
        return TURN_S if is_busy else CALM_TURN_S

    def close(self) -> None:
        """When nothing is recorded any more: the duplicate tells all that the index does."""
        self._do(_Chore("duplicate", 0.0, self._duplicate.write))

    def turn(self) -> None:
        """Do every chore that is due; none before a lost index knows again what it has."""
        self._do(_Chore("restore", 0.0, self._restore))
        if "restore" in self._failing:
            return
        now_s = self._clock.monotonic_s()
        for chore in self._chores:
            if now_s >= chore.due_mono_s and not self._stop.is_set():
                chore.due_mono_s = now_s + chore.every_s
                self._do(chore)

    def _do(self, chore: _Chore) -> None:
        try:
            chore.body()
        except (OSError, StorageError) as error:
            if chore.name not in self._failing:
                self._log.warning("chore failed", chore=chore.name, detail=str(error))
            self._failing.add(chore.name)
        else:
            self._failing.discard(chore.name)

    def _restore(self) -> None:
        while self._is_to_restore and not self._stop.is_set():
            self._is_to_restore = self._restoring.turn()

    def _carry_out_orders(self) -> None:
        orders.carry_out_files(self._folder, self._locks, self._clock)

    def _look_at_writes(self) -> None:
        self._budget.look(self._clock.utc_now())
        self._sparing.turn(is_over=self._budget.is_over)

    def _prune(self) -> None:
        self._retention.prune(lambda: not self._stop.is_set())

    def _release(self) -> None:
        self._locks.release_due()
        self._locks.save_evidence()

    def _thin(self, thinner: Thinner) -> None:
        if (now := self._retention.now()) is not None:
            thinner.thin_next(now)

    def _sign(self) -> None:
        assert self._signer is not None  # noqa: S101 - the chore exists only with one
        journal.sign_deletions(self._index, self._folder.name, self._signer, self._clock.utc_now())

    def _check_a_slice(self) -> None:
        now_s = self._clock.monotonic_s()
        if self._slices is None:
            if now_s < self._check_due_mono_s:
                return
            self._slices = self._check.slices()
        found = next(self._slices, None)
        if found is not None:
            self._found_so_far = found
            return
        self._slices, self._check_due_mono_s = None, now_s + CHECK_EVERY_S
        self.findings = self._found_so_far
        if not self.findings.is_clean:
            self._log.warning("index and files differed", findings=str(self.findings))


def void(_: object) -> None:
    """A chore's result that nobody needs."""
