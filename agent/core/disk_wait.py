"""Whether the disk holds up whoever asks it: a frozen file system answers nobody, without an error.

A process that waits so in the kernel can't even be killed: it is better let wait, and said.
"""

from collections.abc import Sequence
from types import TracebackType

from agent.core.clock import Clock

STUCK_S = 5.0  # a disk in order never takes so long
BORNE_S = 600.0  # then a process that waits for it counts as hanging, like any other
STUCK = "storage.stuck"


class Calls:
    """Counts what is asked of the disk by one thread at a time: odd while a call is under way."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.count += 1


class DiskWait:
    """Watches calls from outside; look at least every few seconds."""

    def __init__(self, calls: Sequence[Calls], clock: Clock) -> None:
        self._clock = clock
        self._seen = [(each, each.count, clock.monotonic_s()) for each in calls]

    @property
    def waits_s(self) -> float:
        """How long the call that has waited longest is under way; 0.0 when none is."""
        now_s = self._clock.monotonic_s()
        self._seen = [
            (calls, calls.count, since_s if calls.count == count and count % 2 else now_s)
            for calls, count, since_s in self._seen
        ]
        return max((now_s - since_s for _, _, since_s in self._seen), default=0.0)

    @property
    def is_stuck(self) -> bool:
        """Whether the disk does not answer."""
        return self.waits_s > STUCK_S

    def borne(self, ages_s: dict[str, float]) -> dict[str, float]:
        """Return the ages to tell the supervisor: nobody is to be killed for a stuck disk."""
        return dict.fromkeys(ages_s, 0.0) if STUCK_S < self.waits_s < BORNE_S else ages_s
