"""A stream's sink with a tap beside it, so that its packets may be pushed. Worker process."""

from __future__ import annotations

from av.packet import Packet
from av.video.stream import VideoStream

from agent.ingest.session import PacketSink
from agent.ingest.source import StreamFacts
from agent.push.live_tap import LiveTap


class TappedSink:
    """The tap comes first: what a sink does to a packet must not show in the push."""

    def __init__(self, sink: PacketSink, tap: LiveTap) -> None:
        self._sink, self._tap = sink, tap

    def run_started(self, stream: VideoStream, facts: StreamFacts) -> None:
        self._tap.run_started(stream)
        self._sink.run_started(stream, facts)

    def packet(self, packet: Packet[VideoStream], arrived_mono_s: float) -> None:
        self._tap.packet(packet)
        self._sink.packet(packet, arrived_mono_s)

    def run_ended(self, cause: str) -> None:
        self._tap.run_ended()
        self._sink.run_ended(cause)
