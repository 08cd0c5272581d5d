"""The sound of a segment, where a signed setting allows it: packets copied beside the video."""

from __future__ import annotations

from fractions import Fraction

from av.audio.stream import AudioStream
from av.packet import Packet

from agent.buffer.fragments import Fragments

_APART_S = 2.0  # tracks whose times are further apart have different origins


class SoundTrack:
    """One segment's track. Its times become relative to the segment's start, as the video's."""

    def __init__(self, fragments: Fragments, tick_s: Fraction) -> None:
        self._fragments, self._tick_s = fragments, tick_s
        self._last_dts = -1
        self._shift_s: float | None = None

    def mux(self, packet: Packet[AudioStream], base_s: float, now_s: float) -> None:
        """Copy one packet in.

        `base_s` is when the segment began, `now_s` its video's last frame, both on the connection's
        timeline. A camera that dates its tracks differently is heard as it comes: the first packet
        of a segment with the frame before it.
        """
        if packet.dts is None or not packet.size or packet.time_base is None:
            return
        at_s = float(packet.dts * packet.time_base)
        if self._shift_s is None:
            self._shift_s = now_s - at_s if abs(now_s - at_s) > _APART_S else 0.0
        dts = round((at_s + self._shift_s - base_s) / self._tick_s)
        if dts <= self._last_dts:
            return
        self._last_dts = dts
        ticks = round((packet.duration or 0) * packet.time_base / self._tick_s)
        self._fragments.add(memoryview(packet), dts, dts, is_key=True, ticks=ticks, track=2)
