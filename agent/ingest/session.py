"""Keeps one stream coming: connect, hand packets on, notice every kind of end, come back.

Runs in one thread of a camera worker. A *run* is one unbroken session: its packets have one
timeline; anything that breaks the timeline ends the run with a cause.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from agent.core import log
from agent.core.clock import Clock, wait_s
from agent.core.errors import CameraError
from agent.core.retry import Backoff
from agent.ingest.source import StreamFacts, camera_error, open_stream, video_of
from agent.messages.worker import CameraState, StreamStatus

MAX_STEP_S = 2.0  # a larger step of media time is another timeline
# A try costs the box 10 ms of CPU, and a camera on its own LAN little more: be back soon.
RECONNECT_FIRST_S, RECONNECT_CAP_S = 0.5, 2.0
LOGIN_RETRY_S = 300.0  # a refused password is not tried again soon: cameras lock themselves

_STATE_OF_CODE = {
    "camera.wrong_password": CameraState.AUTH_FAILED,
    "camera.not_a_camera": CameraState.NOT_A_CAMERA,
    "camera.no_video": CameraState.NOT_A_CAMERA,
    "camera.codec": CameraState.NOT_A_CAMERA,
    "camera.no_such_stream": CameraState.NOT_A_CAMERA,
}


@dataclass(frozen=True, slots=True)
class StreamAddress:
    """Where a stream is. The password never leaves the worker."""

    url: str
    username: str
    password: str


class PacketSink(Protocol):
    """Who takes a run's packets, in the session's own thread."""

    def run_started(self, stream: VideoStream, facts: StreamFacts, /) -> None: ...

    def packet(self, packet: Packet[VideoStream], arrived_mono_s: float, /) -> None: ...

    def run_ended(self, cause: str, /) -> None: ...


class IngestSession:
    """One stream of one camera. `status` may be read from any thread."""

    def __init__(
        self,
        name: str,
        address: Callable[[], StreamAddress | None],
        sink: PacketSink,
        clock: Clock,
        stop: threading.Event,
        *,
        stall_s: float,
    ) -> None:
        self._name, self._address, self._sink, self._clock = name, address, sink, clock
        self._stop, self._stall_s = stop, stall_s
        self._restart = threading.Event()
        self._backoff = Backoff(RECONNECT_FIRST_S, RECONNECT_CAP_S)
        self._log = log.get(f"ingest.{name}")
        self._status = StreamStatus(name=name, state=CameraState.CONNECTING, since=clock.utc_now())
        self._frames = self._bytes = self._connects = 0
        self._last_frame_mono_s: float | None = None
        self._fps = _RateMeter()
        self.last_progress_mono_s = clock.monotonic_s()

    @property
    def status(self) -> StreamStatus:
        """What to tell the core: state, cause and counters."""
        base = self._status
        return StreamStatus(
            name=base.name,
            state=base.state,
            since=base.since,
            code=base.code,
            detail=base.detail,
            codec=base.codec,
            width_px=base.width_px,
            height_px=base.height_px,
            fps=self._fps.per_s if base.state is CameraState.ONLINE else None,
            frames_total=self._frames,
            bytes_total=self._bytes,
            connects_total=self._connects,
            last_frame_mono_s=self._last_frame_mono_s,
        )

    def run(self) -> None:
        """Thread body: until stopped, connect and hand packets on."""
        while not self._stop.is_set():
            self._progressed()
            self._restart.clear()
            address = self._address()
            if address is None:  # ONVIF has not told the address yet
                wait_s(self._stop, 0.5)
                continue
            delay_s = self._one_connection(address)
            self._wait(delay_s)

    def restart(self) -> None:
        """Connect anew with fresh addresses and login, at once."""
        self._backoff.reset()
        self._restart.set()

    def _progressed(self) -> None:
        self.last_progress_mono_s = self._clock.monotonic_s()

    def _wait(self, delay_s: float) -> None:
        until_s = self._clock.monotonic_s() + delay_s
        while not self._restart.is_set() and (left_s := until_s - self._clock.monotonic_s()) > 0:
            self._progressed()
            if wait_s(self._stop, min(0.2, left_s)):
                return

    def _one_connection(self, address: StreamAddress) -> float:
        """Connect, stream until something ends it, return how long to wait before the next try."""
        self._connects += 1
        try:
            container = open_stream(address.url, address.username, address.password, self._stall_s)
        except CameraError as error:
            return self._failed(error)
        self._progressed()  # opening and the first packet may each take their full time
        try:
            stream, facts = video_of(container)
            cause = self._stream(container, stream, facts)
        except CameraError as error:
            return self._failed(error)
        except (FFmpegError, OSError) as error:
            return self._failed(_broken_off(error, address.url))
        finally:
            container.close()
        if cause == "stopped":
            return 0.0
        return self._failed(
            CameraError("camera.lost", "The camera ended the stream.", retryable=True)
        )

    def _stream(self, container: InputContainer, stream: VideoStream, facts: StreamFacts) -> str:
        """Hand packets on until the stream ends; the sink is told why in every case."""
        timeline = _Timeline(float(facts.time_base), self._clock, self._stall_s)
        cause = "camera-closed"
        in_run = False
        try:
            for packet in container.demux(stream):
                if self._stop.is_set() or self._restart.is_set():
                    cause = "stopped"
                    break
                if packet.size == 0 or not _is_dated(packet, is_first=not timeline.has_begun):
                    continue
                now_s = self._clock.monotonic_s()
                if in_run and timeline.is_broken_by(packet):
                    self._sink.run_ended("timestamp-jump")
                    in_run = False
                if not in_run:
                    if not packet.is_keyframe:
                        continue
                    self._online(facts)
                    self._sink.run_started(stream, facts)
                    timeline.restart()
                    in_run = True
                timeline.advance(packet, now_s)
                self._count(packet, now_s)
                self._sink.packet(packet, now_s)
        except (FFmpegError, CameraError, OSError) as error:
            cause = _cause_of(error)
            raise
        finally:
            if in_run:
                self._sink.run_ended(cause)
        return cause

    def _count(self, packet: Packet[VideoStream], now_s: float) -> None:
        self.last_progress_mono_s = now_s
        self._frames += 1
        self._bytes += packet.size
        self._last_frame_mono_s = now_s
        self._fps.count(now_s)

    def _online(self, facts: StreamFacts) -> None:
        self._backoff.reset()
        self._fps = _RateMeter()
        self._log.info("stream online", codec=facts.codec, width_px=facts.width_px)
        self._status = StreamStatus(
            name=self._name,
            state=CameraState.ONLINE,
            since=self._clock.utc_now(),
            codec=facts.codec,
            width_px=facts.width_px,
            height_px=facts.height_px,
        )

    def _failed(self, error: CameraError) -> float:
        state = _STATE_OF_CODE.get(error.code, CameraState.LOST)
        since = self._status.since if self._status.state is state else self._clock.utc_now()
        if self._status.code != error.code:
            self._log.warning("stream lost", code=error.code, detail=error.message)
        self._status = StreamStatus(
            name=self._name, state=state, since=since, code=error.code, detail=error.message
        )
        delay_s = self._backoff.next_s()
        return LOGIN_RETRY_S if state is CameraState.AUTH_FAILED else delay_s


class _Timeline:
    """Media time of one run: sees steps, and media time that stands still while packets come."""

    def __init__(self, time_base_s: float, clock: Clock, stall_s: float) -> None:
        self._time_base_s, self._stall_s = time_base_s, stall_s
        self._last_dts: int | None = None
        self._moved_mono_s = clock.monotonic_s()

    @property
    def has_begun(self) -> bool:
        return self._last_dts is not None

    def restart(self) -> None:
        self._last_dts = None

    def is_broken_by(self, packet: Packet[VideoStream]) -> bool:
        if self._last_dts is None or packet.dts is None:
            return False
        step_s = (packet.dts - self._last_dts) * self._time_base_s
        return step_s < 0 or step_s > MAX_STEP_S

    def advance(self, packet: Packet[VideoStream], now_s: float) -> None:
        if packet.dts != self._last_dts:
            self._moved_mono_s = now_s
        elif now_s - self._moved_mono_s > self._stall_s:
            raise CameraError(
                "camera.frozen",
                "Packets come, but the camera's media time stands still.",
                hint="Restart the camera.",
                retryable=True,
            )
        self._last_dts = packet.dts


def _is_dated(packet: Packet[VideoStream], *, is_first: bool) -> bool:
    """Return whether the packet has a time; give the first one of a connection its zero.

    libav leaves that one undated for many cameras. It is the first key frame: dropping it would
    cost a whole GOP at each connect.
    """
    if packet.dts is None and is_first and packet.is_keyframe:
        packet.pts = packet.dts = 0
    return packet.dts is not None


class _RateMeter:
    """Frames a second over the last few seconds."""

    def __init__(self) -> None:
        self._since_mono_s: float | None = None
        self._count = 0
        self.per_s: float | None = None

    def count(self, now_s: float) -> None:
        if self._since_mono_s is None:
            self._since_mono_s = now_s
            return
        self._count += 1
        span_s = now_s - self._since_mono_s
        if span_s >= 3.0:
            self.per_s = round(self._count / span_s, 2)
            self._since_mono_s, self._count = now_s, 0


def _broken_off(error: Exception, url: str) -> CameraError:
    """Say why an open stream ended. What has sent video is a camera, whatever it sends now."""
    if isinstance(error, CameraError):
        return error
    told = camera_error(error, url)
    if told.code == "camera.not_a_camera":
        return CameraError(
            "camera.garbled",
            "The camera sends what can't be read as video.",
            hint="Restart the camera; check its encoder settings and its cable.",
            retryable=True,
        )
    return told


def _cause_of(error: Exception) -> str:
    return _broken_off(error, "").code.removeprefix("camera.")
