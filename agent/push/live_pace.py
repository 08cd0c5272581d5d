"""How late a live voice may be: what would be heard later than that is left out.

Pure: times are monotonic seconds. A loudspeaker plays what it is given one after the other, so what
came in a burst (a line that had stalled), or from a clock that is faster than the speaker's, would
be heard late for as long as somebody speaks.
"""

MOST_WAITING_S, LITTLE_S = 0.5, 0.1


class LivePace:
    """One voice to one loudspeaker."""

    def __init__(self) -> None:
        self.heard_at_s = 0.0  # when all that was said has been heard
        self._is_late = False

    def takes(self, now_s: float, chunk_s: float) -> bool:
        """Say whether a chunk that came now is said; once late, none is until it has caught up."""
        self.heard_at_s = max(self.heard_at_s, now_s)
        waiting_s = self.heard_at_s - now_s
        self._is_late = waiting_s > (LITTLE_S if self._is_late else MOST_WAITING_S)
        if not self._is_late:
            self.heard_at_s += chunk_s
        return not self._is_late
