"""The media time of one connection: dates packets that libav left undated, sees what breaks it."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

from av.packet import Packet
from av.video.stream import VideoStream

from agent.core.errors import CameraError

MAX_STEP_S = 2.0  # a larger step of media time is another timeline
MIN_PACE = 0.5  # media time that runs slower than this beside the clock is no live video
_HOLE_TOLERANCE_S = 1.0
_MAX_HELD = 17  # H.264 and H.265 reorder at most 16 pictures


class Dating:
    """Gives the first packets of a connection their decoding times.

    libav leaves the first packet of an RTSP stream undated, and with B-frames some more, until it
    has seen how deep pictures are reordered. They hold the first key frame: dropping them would
    cost a whole GOP at each connect.
    """

    def __init__(self) -> None:
        self._held: list[Packet[VideoStream]] = []
        self._is_done = False

    def take(self, packet: Packet[VideoStream]) -> list[Packet[VideoStream]]:
        """Return the packets that are ready, in decoding order, each with a `dts`."""
        if self._is_done or (not self._held and packet.dts is not None):
            self._is_done = True
            return [packet] if packet.dts is not None else []
        self._held.append(packet)
        dated = [p for p in self._held if p.pts is not None]
        if (packet.dts is None or len(dated) < 2) and len(self._held) < _MAX_HELD:
            return []
        self._is_done = True
        held, self._held = self._held, []
        return _backdated(held) if len(dated) >= 2 else []


def _backdated(held: list[Packet[VideoStream]]) -> list[Packet[VideoStream]]:
    """Set each `dts` so that they go on, evenly, to that of the last packet.

    The decoding times are the presentation times in order, some pictures later. The very first
    picture is shown one step before the earliest of the others.
    """
    times = sorted(p.pts for p in held if p.pts is not None)
    step = min(after - before for before, after in pairwise(times)) or 1
    *earlier, last = held
    if last.dts is None:
        last.dts = last.pts if last.pts is not None else times[-1]
    for places, packet in enumerate(reversed(earlier), start=1):
        if packet.dts is None:
            packet.dts = last.dts - places * step
        if packet.pts is None:
            packet.pts = max(packet.dts, times[0] - step)
    return held


class Timeline:
    """Compares media time with itself and with the monotonic clock."""

    def __init__(self, time_base: Fraction, stall_s: float) -> None:
        self._time_base_s, self._stall_s = float(time_base), stall_s
        self.restart()

    def restart(self) -> None:
        """A new run begins with the next packet."""
        self._last_dts: int | None = None
        self._last_mono_s = 0.0
        self._media_s = self._first_mono_s = self._least_lag_s = 0.0

    def break_before(self, packet: Packet[VideoStream], now_s: float) -> str | None:
        """Return why `packet` can't belong to the run any more; None when it can.

        A hole as long as the real time that passed is a camera that sent nothing; any other jump
        is a camera whose time was set.
        """
        if self._last_dts is None or packet.dts is None:
            return None
        step_s = (packet.dts - self._last_dts) * self._time_base_s
        if 0 <= step_s <= MAX_STEP_S:
            return None
        is_hole = abs(step_s - (now_s - self._last_mono_s)) < _HOLE_TOLERANCE_S
        return "timeout" if is_hole else "timestamp-jump"

    def advance(self, packet: Packet[VideoStream], now_s: float) -> None:
        """Take one packet of the run. Raises `CameraError` when media time stands still or crawls.

        Standing still is noticed after `stall_s`. A lag that the network makes and mends is none,
        nor is drift or a camera that counts its frames a little wrong.
        """
        assert packet.dts is not None  # noqa: S101 - `Dating` gave each one a time
        if self._last_dts is None:
            self._first_mono_s = self._last_mono_s = now_s
        else:
            self._media_s += (packet.dts - self._last_dts) * self._time_base_s
        lag_s = now_s - self._first_mono_s - self._media_s
        forgiven_s = (now_s - self._last_mono_s) * (1 - MIN_PACE)
        self._least_lag_s = min(lag_s, self._least_lag_s + forgiven_s)
        if lag_s - self._least_lag_s > self._stall_s * MIN_PACE:
            raise CameraError(
                "camera.frozen",
                "Packets come, but the camera's media time stands still or crawls.",
                hint="Restart the camera.",
                retryable=True,
            )
        self._last_dts, self._last_mono_s = packet.dts, now_s
