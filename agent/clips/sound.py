"""The sound beside a clip's video, where it was recorded: copied, never encoded anew."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from agent.clips.garbled import GARBLED, LONGEST_S


@dataclass(frozen=True, slots=True)
class ClipSource:
    """One segment file that overlaps the range, oldest first, of one camera.

    `end_at` is None while it is being written. All of a run have one description of their video.
    """

    path: Path
    start_at: datetime
    end_at: datetime | None = None
    run_id: int | None = None
    is_thinned: bool = False


class ClipSound:
    """Places the sound of one segment after the other on the clip's timeline.

    A clip whose first segment has no sound has none; where it is garbled the clip goes on without.
    One segment's sound is some tens of kilobytes and is read at once, from a second handle: its
    packets come between those of the video.
    """

    def __init__(self) -> None:
        self._template: AudioStream | None = None
        self._track: AudioStream | None = None
        self._out: OutputContainer | None = None
        self._source: InputContainer | None = None
        self._first_at: datetime | None = None
        self._waiting: deque[tuple[datetime, Packet[AudioStream]]] = deque()
        self._last_dts = -1

    def begin(self, container: InputContainer, source: ClipSource, until: datetime) -> None:
        """Take up the next segment; what is left of the one before is written."""
        self.copy_until(until)
        self.close()
        try:
            if not container.streams.audio or (self._out is not None and self._track is None):
                return
            self._source = av.open(source.path)
            template = self._source.streams.audio[0]
            if template.codec_context is not None:  # it names a codec that there is
                self._template = template
                self._waiting.extend(_packets(self._source, template, source, until))
        except GARBLED:  # or deleted meanwhile
            self._waiting.clear()

    def open_track(self, out: OutputContainer, first_at: datetime) -> None:
        """The clip begins: give it a track when its first segment has one."""
        self._out, self._first_at = out, first_at
        if self._template is not None:
            self._track = out.add_stream_from_template(self._template)

    def copy_until(self, at: datetime) -> None:
        """Write what is heard up to `at`."""
        if self._out is None or self._track is None or self._first_at is None:
            return
        while self._waiting and self._waiting[0][0] <= at:
            heard_at, packet = self._waiting.popleft()
            assert packet.time_base is not None  # noqa: S101 - checked by the reader
            dts = round((heard_at - self._first_at).total_seconds() / packet.time_base)
            if dts <= self._last_dts:
                continue
            self._last_dts = packet.dts = packet.pts = dts
            packet.stream = self._track
            self._out.mux(packet)

    def close(self) -> None:
        """Give the segment back; its packets must not outlive it."""
        self._waiting.clear()
        self._template = None
        if self._source is not None:
            self._source.close()
            self._source = None


def _packets(
    container: InputContainer, track: AudioStream, source: ClipSource, until: datetime
) -> Iterator[tuple[datetime, Packet[AudioStream]]]:
    for packet in container.demux(track):
        if packet.dts is None or not packet.size or packet.time_base is None:
            continue
        if packet.duration and not 0 < packet.duration * packet.time_base < LONGEST_S:
            packet.duration = 0  # no muxer would take it
        at = source.start_at + timedelta(seconds=float(packet.dts * packet.time_base))
        if at >= until:
            return
        yield at, packet
