"""When each frame of one run was taken, on the box's monotonic clock.

A camera's media time runs by the camera's own crystal: some tens of ppm off, seconds a day. A
frame can't arrive before it was taken, so the smallest `arrival - media time` of the last minute
tells where media time stands on our clock (the idea is Moonfire NVR's). The mapping follows that
by at most `SLEW` of the time that passed: times never jump and never run backwards.
"""

from collections import deque

SLEW = 500e-6  # crystals stay well below 100 ppm
BUCKET_S, BUCKETS = 10.0, 6
LOST_S = 2.0  # so far apart is no crystal: the camera's clock runs wrong or stood still


class StreamClock:
    """Maps media time to monotonic time for one run. All times in seconds."""

    def __init__(self, first_s: float | None = None) -> None:
        """`first_s`: when the frame of media time 0 was taken, if somebody knows."""
        self._offset_s = first_s
        self._last_media_s = 0.0
        self._buckets: deque[float] = deque(maxlen=BUCKETS)
        self._bucket_end_s = 0.0

    def place(self, media_s: float, arrived_mono_s: float) -> float:
        """Return when a frame was taken, given its media time and its arrival.

        Later frames never get earlier times, whatever the network does.
        """
        lead_s = arrived_mono_s - media_s
        if self._offset_s is None:
            self._offset_s, self._last_media_s = lead_s, media_s
        self._note(media_s, lead_s)
        room_s = max(0.0, media_s - self._last_media_s) * SLEW
        self._last_media_s = max(self._last_media_s, media_s)
        wanted_s = self._smallest_lead_s() - self._offset_s
        self._offset_s += max(-room_s, min(room_s, wanted_s))
        return media_s + self._offset_s

    @property
    def is_lost(self) -> bool:
        """Whether media time and our clock have gone apart: the run should end."""
        if self._offset_s is None or not self._buckets:
            return False
        return abs(self._smallest_lead_s() - self._offset_s) > LOST_S

    def _note(self, media_s: float, lead_s: float) -> None:
        if not self._buckets or media_s >= self._bucket_end_s:
            self._buckets.append(lead_s)
            self._bucket_end_s = media_s + BUCKET_S
        else:
            self._buckets[-1] = min(self._buckets[-1], lead_s)

    def _smallest_lead_s(self) -> float:
        return min(self._buckets)
