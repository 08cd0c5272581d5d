"""Cuts one connection's packets into runs: each begins with a key frame and has one timeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from av.packet import Packet
from av.video.stream import VideoStream

from agent.core.clock import Clock
from agent.core.errors import CameraError
from agent.ingest import in_band
from agent.ingest.format_watch import FormatWatch
from agent.ingest.source import Source, StreamFacts
from agent.ingest.timeline import Timeline

KEYLESS_S = 60.0  # video that long without a key frame can't be recorded


class PacketSink(Protocol):
    """Who takes a run's packets, in the session's own thread."""

    def run_started(self, stream: VideoStream, facts: StreamFacts, /) -> None: ...

    def packet(self, packet: Packet[VideoStream], arrived_mono_s: float, /) -> None: ...

    def run_ended(self, cause: str, /) -> None: ...


class RunCutter:
    """Hands dated packets to the sink, run by run.

    `on_run`, `on_packet` (bytes, monotonic s) and `on_key` (seconds since the last) are told too.
    """

    def __init__(
        self,
        source: Source,
        sink: PacketSink,
        clock: Clock,
        *,
        stall_s: float,
        on_run: Callable[[], None],
        on_packet: Callable[[int, float], None],
        on_key: Callable[[float], None],
    ) -> None:
        self._source, self._sink, self._clock = source, sink, clock
        self._on_run, self._on_packet, self._on_key = on_run, on_packet, on_key
        self._timeline = Timeline(source.facts.time_base, stall_s)
        self._format = None if source.looks_after_itself else FormatWatch(source.facts.codec)
        self._in_run = False
        self._stall_s = stall_s
        self._keyless_since_s = self._heard_mono_s = clock.monotonic_s()

    def take(self, packet: Packet[VideoStream]) -> None:
        """Take the next packet. Raises `CameraError` when the connection is of no more use."""
        now_s = self._clock.monotonic_s()
        self._check_silence(now_s)
        self._heard_mono_s = now_s
        if self._format is not None:
            self._format.check(packet)
        if self._in_run and (cause := self._timeline.break_before(packet, now_s)):
            self.end(cause)
        if packet.is_keyframe:
            if self._in_run:
                self._on_key(now_s - self._keyless_since_s)
            self._keyless_since_s = now_s
        elif now_s - self._keyless_since_s > KEYLESS_S:
            raise CameraError(
                "camera.no_key_frame",
                "The camera sends video, but no key frames.",
                hint="Set the camera's key frame interval (GOP) to two seconds.",
                retryable=True,
            )
        if not self._in_run:
            if not packet.is_keyframe:
                return
            self._begin(packet)
        self._timeline.advance(packet, now_s)
        self._on_packet(packet.size, now_s)
        self._sink.packet(packet, now_s)

    def check_silence(self) -> None:
        """Raise `CameraError` when what comes has been of no use for too long."""
        self._check_silence(self._clock.monotonic_s())

    def _check_silence(self, now_s: float) -> None:
        if now_s - self._heard_mono_s > self._stall_s:
            raise CameraError(
                "camera.timeout",
                "The camera sends, but no pictures.",
                hint="Restart the camera.",
                retryable=True,
            )

    def end(self, cause: str) -> None:
        """End the run, if there is one."""
        if self._in_run:
            self._in_run = False
            self._sink.run_ended(cause)

    def _begin(self, key_frame: Packet[VideoStream]) -> None:
        self._on_run()
        stream, facts = self._source.template, self._source.facts
        if self._format is not None:
            self._format.restart()
            facts = in_band.describe(stream, facts, key_frame)
        self._sink.run_started(stream, facts)
        self._timeline.restart()
        self._in_run = True
