"""Joins the main stream's session and the recorder, which know nothing of each other.

It is also where a worker that has to end leaves the stream to its successor: at a key frame that
follows one the successor holds, so that every frame is stored once, by the one or the other.
"""

from __future__ import annotations

import hashlib
from collections import deque

from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.stream import VideoStream

from agent.app.child import orphaned
from agent.buffer.index import Seam
from agent.buffer.recorder import Recorder
from agent.buffer.recovery import KILLED
from agent.ingest.source import StreamFacts
from agent.messages.supervision import KeyFrame
from agent.push.live_tap import LiveTap

RECYCLED = "recycled"  # the gap's cause when a worker was replaced and its successor came too late
SAME_FRAME_WITHIN_S = 2.0  # the same frame reaches two connections so far apart at most


def digest_of(packet: Packet[VideoStream]) -> bytes:
    """Return what tells a key frame from others, on whatever connection it came."""
    return hashlib.blake2b(bytes(packet), digest_size=16).digest()


class MainSink:
    """The session's sink. Without a recorder what comes is let go, once `tap` has seen it."""

    def __init__(
        self, recorder: Recorder | None, parent_pid: int, tap: LiveTap | None = None
    ) -> None:
        self._recorder, self._parent_pid, self._tap = recorder, parent_pid, tap
        self._leaving: _Leaving | None = None
        self.stop_cause = "stopped"
        self.has_left = False

    @property
    def may_leave(self) -> bool:
        """Whether there is anything to leave to a successor."""
        return self._recorder is not None

    @property
    def is_watched(self) -> bool:
        return self._tap is not None and self._tap.is_followed

    def leave(self) -> None:
        """From now on look for the key frame to leave at."""
        self._leaving = _Leaving()

    def successor_holds(self, key: KeyFrame) -> None:
        """Take note of a key frame that the successor holds. May be called from any thread."""
        if self._leaving is not None:
            self._leaving.held.append(key)

    def resume(self, seam: Seam, *, is_held: bool) -> None:
        """Go on where a predecessor left off; not `is_held`: what follows the seam is lost."""
        if self._recorder is not None:
            self._recorder.resume(seam)
            if not is_held:
                self._recorder.run_ended(RECYCLED)

    def run_started(self, stream: VideoStream, facts: StreamFacts) -> None:
        if self._tap is not None:
            self._tap.run_started(stream)
        if self._leaving is not None:
            self._leaving.last = None
        if self._recorder is not None:
            size_px = (facts.width_px, facts.height_px)
            self._recorder.run_started(stream, facts.codec, size_px, facts.sound)

    def packet(self, packet: Packet[VideoStream], arrived_mono_s: float) -> None:
        if self._tap is not None:
            self._tap.packet(packet)
        if self._recorder is None:
            return
        if (
            self._leaving is not None
            and packet.is_keyframe
            and self._leaves(self._leaving, self._recorder, packet, arrived_mono_s)
        ):
            self._recorder, self.has_left = None, True
            return
        self._recorder.packet(packet, arrived_mono_s)

    def sound(self, packet: Packet[AudioStream]) -> None:
        if self._recorder is not None:
            self._recorder.sound(packet)

    def flush(self) -> None:
        """Nothing more comes for a while: what came goes to the disk."""
        if self._recorder is not None:
            self._recorder.flush()

    def run_ended(self, cause: str) -> None:
        if self._tap is not None:
            self._tap.run_ended()
        if self._recorder is None:
            return
        if cause == "stopped":
            # an orphan was not asked to stop: the supervisor died, and we with it
            cause = KILLED if orphaned(self._parent_pid) else self.stop_cause
        self._recorder.run_ended(cause)

    def _leaves(
        self,
        leaving: _Leaving,
        recorder: Recorder,
        packet: Packet[VideoStream],
        arrived_mono_s: float,
    ) -> bool:
        last = leaving.last
        if (
            last is not None
            and leaving.is_held(last)
            and recorder.leave(packet, arrived_mono_s, last.digest, last.arrived_mono_s)
        ):
            return True
        leaving.last = KeyFrame(digest=digest_of(packet), arrived_mono_s=arrived_mono_s)
        return False


class _Leaving:
    def __init__(self) -> None:
        self.held: deque[KeyFrame] = deque(maxlen=32)
        self.last: KeyFrame | None = None

    def is_held(self, key: KeyFrame) -> bool:
        """A still scene may bring the same bytes again and again: it has to be the same time."""
        return any(
            key.digest == other.digest
            and abs(key.arrived_mono_s - other.arrived_mono_s) < SAME_FRAME_WITHIN_S
            for other in tuple(self.held)
        )
