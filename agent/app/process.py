"""One row of the process table as it lives: its pid, its beats, its restarts and their back-off."""

import os
import signal
import socket
from collections import deque
from datetime import datetime
from math import inf

from agent.app.memory import RECYCLED
from agent.app.process_table import ProcessSpec
from agent.core.clock import Clock
from agent.core.retry import Backoff
from agent.messages.supervision import Beat, ProcessReport, ProcessState

START_GRACE_S = 40.0  # a Pi loads slowly; nothing is called silent before this
MOST_GRACE_S = 320.0  # a start that was cut short may take twice as long the next time, up to this
FIRST_RESTART_S, RESTART_CAP_S = 0.1, 30.0
STEADY_S = 60.0  # so long without dying, and the back-off starts anew
QUARANTINE_DEATHS, QUARANTINE_WITHIN_S, QUARANTINE_S = 8, 300.0, 300.0


class ManagedProcess:
    """State and timing of one supervised process; the supervisor does the system calls."""

    def __init__(self, spec: ProcessSpec, clock: Clock) -> None:
        self.spec, self._clock = spec, clock
        self.pid: int | None = None
        self.socket: socket.socket | None = None
        self.is_leaving = False
        self.last_exit: str | None = None
        self.ages_s: dict[str, float] = {}
        self._state = ProcessState.STARTING
        self._since: datetime = clock.utc_now()
        self._backoff = Backoff(FIRST_RESTART_S, RESTART_CAP_S)
        self._due_s = 0.0
        self._started_s = 0.0
        self._grace_s = START_GRACE_S
        self._beat_s: float | None = None
        self._died_s: float | None = None
        self._deaths: deque[float] = deque(maxlen=QUARANTINE_DEATHS)
        self._restarts = 0
        self._last_down_s: float | None = None
        self._past_cpu_s = 0.0
        self._on_purpose = False
        self._changed = True

    def started(self, pid: int, sock: socket.socket) -> None:
        self.pid, self.socket = pid, sock
        self._started_s = self._clock.monotonic_s()
        self._beat_s, self.ages_s = None, {}
        self._enter(ProcessState.STARTING)

    def failed_to_start(self, why: str) -> None:
        self.last_exit = f"could not start: {why}"
        self._died()

    def heard(self, beat: Beat) -> None:
        """Take a beat; the first one after a start says that it runs."""
        self._beat_s, self.ages_s = self._clock.monotonic_s(), beat.ages_s
        if self._state is ProcessState.STARTING:
            if self._died_s is not None:
                self._last_down_s = round(self._beat_s - self._died_s, 3)
                self._died_s = None
            self._enter(ProcessState.RUNNING)

    def exited(self, status: int, cpu_s: float) -> None:
        """Note how it ended and when it may start again."""
        self.pid = None
        self._past_cpu_s += cpu_s
        self.last_exit = _in_words(status)
        lived_s = self._clock.monotonic_s() - self._started_s
        if os.waitstatus_to_exitcode(status) == RECYCLED and lived_s > STEADY_S:
            self._on_purpose = True  # one that grows at once is at fault, and gets a back-off
        self._died()

    def _died(self) -> None:
        now_s = self._clock.monotonic_s()
        self._died_s = now_s if self._died_s is None else self._died_s
        if self._on_purpose:
            self._on_purpose = False
            self._due_s = now_s
            self._enter(ProcessState.WAITING)
            return
        self._restarts += 1
        if now_s - self._started_s > STEADY_S:
            self._backoff.reset()
        self._deaths.append(now_s)
        if self._must_be_quarantined(now_s):
            self._due_s = now_s + QUARANTINE_S
            self._deaths.clear()
            self._enter(ProcessState.QUARANTINED)
            return
        self._due_s = now_s + self._backoff.next_s()
        self._enter(ProcessState.WAITING)

    def _must_be_quarantined(self, now_s: float) -> bool:
        full = len(self._deaths) == QUARANTINE_DEATHS
        return not self.spec.needed and full and now_s - self._deaths[0] < QUARANTINE_WITHIN_S

    def is_due(self) -> bool:
        """Return whether it is down and its wait is over."""
        return self.pid is None and self._clock.monotonic_s() >= self._due_s

    @property
    def due_in_s(self) -> float:
        """How long until it may be started; endless while it lives."""
        return inf if self.pid is not None else self._due_s - self._clock.monotonic_s()

    def is_silent(self) -> bool:
        """Return whether it lives but gives no sign, or one of its parts makes no progress."""
        if self.pid is None:
            return False
        now_s = self._clock.monotonic_s()
        if self._beat_s is None:
            return now_s - self._started_s > self._grace_s
        if now_s - self._beat_s > self.spec.silent_s:
            return True
        return any(age_s > self.spec.silent_s for age_s in self.ages_s.values())

    @property
    def starts_slowly(self) -> bool:
        """Whether a start of it was cut short and the next, under way, may take longer."""
        return self.pid is not None and self._beat_s is None and self._grace_s > START_GRACE_S

    def is_well(self) -> bool:
        """Return whether it runs and has given a sign lately."""
        return self._state is ProcessState.RUNNING and not self.is_silent()

    def stop(self) -> None:
        """Ask it to end, once."""
        if self.pid is not None and self._state is not ProcessState.STOPPED:
            self._enter(ProcessState.STOPPED)
            _signal(self.pid, signal.SIGTERM)

    def kill(self) -> bool:
        """End it at once; return whether this was the first try."""
        is_first = self._state is not ProcessState.HANGING
        if self.pid is not None:
            if is_first and self._beat_s is None:  # it hangs, or the machine is slow: who knows
                self._grace_s = min(MOST_GRACE_S, 2 * self._grace_s)
            self._enter(ProcessState.HANGING)
            _signal(self.pid, signal.SIGKILL)
        return is_first

    def restart_on_purpose(self) -> None:
        """New settings: end it, start it again without a back-off."""
        self._on_purpose = True
        if self.pid is not None:
            _signal(self.pid, signal.SIGTERM)

    def takes_place_of(self, ended: "ManagedProcess") -> None:
        """It stood ready beside `ended`, and has its row from now on."""
        self._restarts, self._past_cpu_s = ended._restarts, ended._past_cpu_s  # noqa: SLF001
        self.last_exit, self._changed = ended.last_exit, True

    def report(self) -> ProcessReport:
        """Return the row as the core and the page see it."""
        return ProcessReport(
            name=self.spec.name,
            pid=self.pid,
            state=self._state,
            since=self._since,
            restarts=self._restarts,
            last_exit=self.last_exit,
            last_down_s=self._last_down_s,
            past_cpu_s=round(self._past_cpu_s, 2),
        )

    def take_changed(self) -> bool:
        """Return whether the row changed since the last call."""
        changed, self._changed = self._changed, False
        return changed

    def _enter(self, state: ProcessState) -> None:
        if state is not self._state or self.pid is None:
            self._state, self._since, self._changed = state, self._clock.utc_now(), True


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it ended meanwhile; its exit is reaped in a moment


def _in_words(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        known = {one.value: one.name for one in signal.Signals}
        return f"killed by {known.get(number, f'signal {number}')}"
    return f"exit code {os.waitstatus_to_exitcode(status)}"
