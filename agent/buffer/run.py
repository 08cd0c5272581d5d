"""One unbroken timeline of a stream: its frames' places on the box's monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass

from av.packet import Packet
from av.video.stream import VideoStream

from agent.buffer.index import Moment, RunStart, SegmentEnd
from agent.buffer.stream_clock import StreamClock


class Run:
    """What the recorder knows of a run. `run_id` is None while the index has not been told."""

    def __init__(self, start: RunStart, first_mono_s: float | None = None) -> None:
        """`first_mono_s`: when the first frame was taken, where a predecessor knew it."""
        self.start = start
        self.run_id: int | None = None
        self.now_mono_s = start.at.mono_us / 1e6
        self._first_dts: int | None = None
        self._tick_s = 0.0
        self._clock = StreamClock(first_mono_s)

    def place(self, packet: Packet[VideoStream], arrived_mono_s: float) -> None:
        """Set `now_mono_s` to when this packet's frame was taken."""
        assert packet.dts is not None  # noqa: S101 - the session drops packets without
        if self._first_dts is None:
            assert packet.time_base is not None  # noqa: S101 - set by the demuxer
            self._first_dts, self._tick_s = packet.dts, float(packet.time_base)
        media_s = (packet.dts - self._first_dts) * self._tick_s  # no Fraction for each packet
        self.now_mono_s = self._clock.place(media_s, arrived_mono_s)

    @property
    def is_astray(self) -> bool:
        """Whether the camera's time and ours have gone apart: another timeline must begin."""
        return self._clock.is_lost

    def restart_timeline(self) -> None:
        """Begin another timeline with the next frame."""
        self._first_dts, self._clock = None, StreamClock()


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The end of a run, kept until the index has taken it."""

    run_id: int
    cause: str
    segment: SegmentEnd | None
    gap_from: Moment
