"""How often a camera was really looked at, and what share of its wishes was shed: for telemetry."""

from dataclasses import dataclass
from typing import Self

from agent.messages.worker import CameraStatus


@dataclass(frozen=True, slots=True)
class LooksTold:
    """A worker's counts at one moment. It starts at nought again with a new worker."""

    at_s: float
    wished: int
    answered: int

    @classmethod
    def of(cls, status: CameraStatus, at_s: float) -> Self:
        """Take the counts of a report that came at `at_s` (monotonic)."""
        return cls(at_s, status.detection.wished_total, status.detection.answered_total)

    def fps_since(self, before: Self | None) -> float | None:
        """Return answers a second since then; None when that can't be said."""
        if before is None or self.answered < before.answered or self.at_s <= before.at_s:
            return None
        return round((self.answered - before.answered) / (self.at_s - before.at_s), 2)

    def shed_share_since(self, before: Self | None) -> float | None:
        """Return which share of the looks wished for since then was not had; None as above."""
        if before is None or self.wished < before.wished:
            return None
        wished, answered = self.wished - before.wished, self.answered - before.answered
        return round(min(1.0, max(0.0, 1 - answered / wished)), 3) if wished else 0.0
