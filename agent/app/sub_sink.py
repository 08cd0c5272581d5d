"""The sub stream's sink: a tap for the push, the eyes, and where it is recorded its recorder.

Worker process, the sub stream's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Protocol

from av.packet import Packet
from av.video.stream import VideoStream

from agent.app.main_sink import MainSink
from agent.app.streams import GATHER_S, WATCHED_GATHER_S
from agent.ingest.session import PacketSink
from agent.ingest.source import StreamFacts
from agent.push.live_tap import LiveTap


class LookingSink(PacketSink, Protocol):
    """Who looks at the pictures, some at a time."""

    def flush(self) -> None: ...


class SubSink:
    """What the sub stream is for, in the order of who is waited for."""

    def __init__(
        self,
        eyes: LookingSink | None,
        tap: LiveTap,
        store: MainSink | None = None,
        may_store: Callable[[], bool] = lambda: True,
    ) -> None:
        """`may_store`: asked at each run; false for a camera that has only one stream."""
        self._eyes, self._tap, self._store, self._may_store = eyes, tap, store, may_store
        self._storing: MainSink | None = None

    def run_started(self, stream: VideoStream, facts: StreamFacts) -> None:
        self._tap.run_started(stream)
        if self._eyes is not None:
            self._eyes.run_started(stream, facts)
        self._storing = self._store if self._may_store() else None
        if self._storing is not None:
            self._storing.run_started(stream, facts)

    def packet(self, packet: Packet[VideoStream], arrived_mono_s: float) -> None:
        self._tap.packet(packet)
        if self._eyes is not None:
            self._eyes.packet(packet, arrived_mono_s)
        if self._storing is not None:
            self._storing.packet(packet, arrived_mono_s)

    def may_gather_s(self) -> float:
        """Return how long frames may wait, for the store's sake and a viewer's."""
        if self._tap.is_followed:
            return WATCHED_GATHER_S
        return GATHER_S if self._store is not None else inf

    def flush(self) -> None:
        """Nothing more comes for a while: what came is looked at and goes to the disk."""
        if self._storing is not None:
            self._storing.flush()
        if self._eyes is not None:
            self._eyes.flush()

    def run_ended(self, cause: str) -> None:
        self._tap.run_ended()
        if self._eyes is not None:
            self._eyes.run_ended(cause)
        if self._storing is not None:
            self._storing.run_ended(cause)
