"""A worker that stands ready for another's place: it holds the stream in memory until then.

A worker that has to end asks the supervisor for a successor. That one opens the camera's main
stream, holds what comes and names its key frames; the predecessor goes on recording until it is
sure of one (`agent.app.main_sink`), notes in the index where it left off (`Seam`), and ends. The
folder's lock then is the successor's, which stores what it holds from there on. Without a seam
(the predecessor died, or could not wait) it begins with the next key frame, behind a gap as after
any death.
"""

from __future__ import annotations

import threading

from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.stream import VideoStream

from agent.app.child import SupervisorLink, guarded_thread
from agent.app.main_sink import SAME_FRAME_WITHIN_S, MainSink, digest_of
from agent.app.streams import Streams, main_session
from agent.buffer.index import Seam
from agent.core import log
from agent.core.clock import Clock, wait_s
from agent.core.errors import StorageError
from agent.core.lock import FileLock
from agent.ingest.source import StreamFacts
from agent.messages.supervision import KeyFrame
from agent.settings.model import CameraSettings

POLL_S = 0.1
LATE_S = 0.5  # without a seam: what comes sooner after the change, the predecessor may have stored
MOST_HELD_BYTES = 48 * 1024 * 1024


class HeldStream:
    """The session's sink: holds a run's packets until it is told whose they are."""

    def __init__(self, link: SupervisorLink) -> None:
        self._link = link
        self._lock = threading.Lock()  # held until the stream is passed on, never after that
        self._heir: tuple[MainSink, Seam | None] | None = None
        self._sink: MainSink | None = None
        self._is_forwarding, self._not_before_s = False, 0.0
        self._run: tuple[VideoStream, StreamFacts] | None = None
        self._packets: list[tuple[Packet[VideoStream], float]] = []
        self._keys: list[tuple[KeyFrame, int]] = []  # those told, and their places
        self._size_bytes = 0

    @property
    def is_watched(self) -> bool:
        return self._sink is not None and self._sink.is_watched

    def pass_on(self, sink: MainSink, seam: Seam | None, now_mono_s: float) -> None:
        """Give to `sink` what is held behind the seam, and all that comes. From any thread."""
        with self._lock:
            self._heir, self._not_before_s = (sink, seam), now_mono_s + LATE_S
            if self._run is None:
                self._pass_on(sink, seam)  # else the session's thread does, with its next packet

    def run_started(self, stream: VideoStream, facts: StreamFacts) -> None:
        with self._lock:
            self._run = stream, facts

    def packet(self, packet: Packet[VideoStream], arrived_mono_s: float) -> None:
        if self._sink is not None:
            self._forward(self._sink, packet, arrived_mono_s)
            return
        with self._lock:
            self._hold(packet, arrived_mono_s)
            if self._heir is not None:
                self._pass_on(*self._heir)

    def sound(self, packet: Packet[AudioStream]) -> None:
        """What is heard before the stream is passed on is not kept."""
        if self._sink is not None:
            self._sink.sound(packet)

    def flush(self) -> None:
        if self._sink is not None:
            self._sink.flush()

    def run_ended(self, cause: str) -> None:
        with self._lock:
            if self._sink is None and self._heir is not None:
                self._pass_on(*self._heir)
            self._forget()
            self._run, self._is_forwarding = None, False
        if self._sink is not None:
            self._sink.run_ended(cause)

    def _hold(self, packet: Packet[VideoStream], arrived_mono_s: float) -> None:
        if packet.is_keyframe and self._packets:
            # Not of the first: it may be an old one that the camera keeps for new viewers.
            key = KeyFrame(digest=digest_of(packet), arrived_mono_s=arrived_mono_s)
            self._keys.append((key, len(self._packets)))
            self._link.tell_key_frame(key)
        elif not packet.is_keyframe and not self._packets:
            return
        self._packets.append((packet, arrived_mono_s))
        self._size_bytes += packet.size
        if self._size_bytes > MOST_HELD_BYTES:
            self._forget(until=next((at for _, at in self._keys if at), None))

    def _forget(self, until: int | None = None) -> None:
        until = len(self._packets) if until is None else until
        self._size_bytes -= sum(packet.size for packet, _ in self._packets[:until])
        del self._packets[:until]
        self._keys = [(key, at - until) for key, at in self._keys if at >= until]

    def _pass_on(self, sink: MainSink, seam: Seam | None) -> None:
        at = None if seam is None else self._behind(seam)
        if seam is not None:
            sink.resume(seam, is_held=at is not None)
        packets = self._packets[at:] if at is not None else []
        if at is not None:
            self._not_before_s = 0.0
        self._forget()
        self._sink = sink
        for packet, arrived_mono_s in packets:
            self._forward(sink, packet, arrived_mono_s)

    def _behind(self, seam: Seam) -> int | None:
        """Return where the key frame after the seam's is, or will be; None without the seam's."""
        came_s = seam.key_mono_us / 1e6
        places = [
            (abs(key.arrived_mono_s - came_s), at)
            for key, at in self._keys
            if key.digest == seam.key
        ]
        if not places or min(places)[0] > SAME_FRAME_WITHIN_S:
            return None
        _, place = min(places)
        return next((at for _, at in self._keys if at > place), len(self._packets))

    def _forward(self, sink: MainSink, packet: Packet[VideoStream], arrived_mono_s: float) -> None:
        if not self._is_forwarding:
            is_early = arrived_mono_s < self._not_before_s
            if is_early or not packet.is_keyframe or self._run is None:
                return
            self._is_forwarding = True
            sink.run_started(*self._run)
        sink.packet(packet, arrived_mono_s)


class Succession:
    """A successor before it has its predecessor's place."""

    def __init__(
        self,
        camera: CameraSettings,
        streams: Streams,
        link: SupervisorLink,
        clock: Clock,
        stop: threading.Event,
    ) -> None:
        self._link, self._clock, self._stop = link, clock, stop
        self.streams = streams
        self.held = HeldStream(link)
        self.session = main_session(camera, self.streams, self.held, clock, stop)
        self.thread = guarded_thread("main", self.session.run)

    def wait(self, place: FileLock) -> bool:
        """Take `place` as soon as it is free; False when this process is to end before that."""
        log.get("camera").info("stands ready to follow")
        while not wait_s(self._stop, POLL_S) and self.thread.is_alive():
            now_s = self._clock.monotonic_s()
            self._link.beat({"main": now_s - self.session.last_progress_mono_s})
            try:
                self._link.receive()
                place.acquire(patience_s=0.0)
            except EOFError:  # the supervisor is gone
                break
            except StorageError:
                continue
            return True
        self._stop.set()
        self.thread.join()
        return False
