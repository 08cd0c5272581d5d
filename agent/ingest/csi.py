"""The box's own camera sensor through picamera2 (extra `pi`): `csi://0`.

Not yet tried on a board: written to picamera2's documented interface (Picamera2, H264Encoder,
Output.outputframe) and tested against a stand-in of just that.
"""

from __future__ import annotations

import io
import queue
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import av
from av.packet import Packet
from av.video.stream import VideoStream

from agent.core.errors import CameraError
from agent.ingest.source import STRANGE_BYTES, Patience, StreamFacts, video_of

_MICROSECONDS = Fraction(1, 1_000_000)  # of picamera2's time stamps
_MAX_WAITING = 120  # frames; when the box can't keep up, the newest is dropped and a gap shows

Frame = tuple[bytes, bool, int]


class CsiSource:
    """One sensor's hardware-encoded H.264. `csi://0?size=1920x1080&fps=15` are the defaults."""

    looks_after_itself = False

    def __init__(self, url: str, patience: Patience) -> None:
        """Start the sensor. Raises `CameraError` camera.unreachable or camera.timeout."""
        self._patience = patience
        self._frames: queue.Queue[Frame] = queue.Queue(_MAX_WAITING)
        self._camera = _start(url, self._frames)
        try:
            self._first = self._next(patience.open_s)
            self._head = _parse(self._first[0])
            self.template, facts = video_of(self._head)
        except CameraError:
            self._camera.stop_recording()
            self._camera.close()
            raise
        self.facts = StreamFacts(facts.codec, facts.width_px, facts.height_px, _MICROSECONDS)

    def packets(self) -> Iterator[Packet[VideoStream]]:
        frame = self._first
        while True:
            yield _packet(frame)
            frame = self._next(self._patience.stall_s)

    def close(self) -> None:
        self._camera.stop_recording()
        self._camera.close()
        self._head.close()

    def _next(self, timeout_s: float) -> Frame:
        try:
            return self._frames.get(timeout=timeout_s)
        except queue.Empty:
            raise CameraError(
                "camera.timeout",
                "The camera sensor gives no pictures.",
                hint="Check the ribbon cable at both ends, with the power off.",
                retryable=True,
            ) from None


def _start(url: str, frames: queue.Queue[Frame]) -> Any:
    parts = urlsplit(url)
    asked = parse_qs(parts.query)
    width, _, height = asked.get("size", ["1920x1080"])[0].partition("x")
    fps = int(asked.get("fps", ["15"])[0])
    try:
        from picamera2 import Picamera2  # type: ignore[import-not-found] # noqa: PLC0415 - only on a Pi
        from picamera2.encoders import H264Encoder  # type: ignore[import-not-found] # noqa: PLC0415
        from picamera2.outputs import Output  # type: ignore[import-not-found] # noqa: PLC0415
    except ImportError as error:
        raise CameraError(
            "camera.unreachable",
            "This box has no software for a camera sensor.",
            hint="Install Poleside with its extra `pi` on a Raspberry Pi.",
        ) from error

    class Frames(Output):  # type: ignore[misc] # picamera2 has no types
        """Called by the encoder's thread; never waits."""

        def outputframe(
            self, frame: bytes, keyframe: bool = True, timestamp: int = 0, *_: Any, **__: Any
        ) -> None:
            if not frames.full():
                frames.put_nowait((bytes(frame), keyframe, timestamp))

    camera = Picamera2(int(parts.netloc or 0))
    configuration = camera.create_video_configuration(
        main={"size": (int(width), int(height))}, controls={"FrameRate": fps}
    )
    camera.configure(configuration)
    camera.start_recording(H264Encoder(repeat=True, iperiod=fps), Frames())
    return camera


def _parse(first: bytes) -> av.container.InputContainer:
    """Let libav read the first key frame: its parameter sets describe the stream."""
    try:
        return av.open(io.BytesIO(first), "r", format="h264")
    except STRANGE_BYTES as error:
        raise CameraError(
            "camera.garbled", "The sensor's encoder sends no H.264.", retryable=True
        ) from error


def _packet(frame: Frame) -> Packet[VideoStream]:
    data, is_key, timestamp_us = frame
    packet = cast("Packet[VideoStream]", Packet(data))
    packet.pts = packet.dts = timestamp_us
    packet.time_base, packet.is_keyframe = _MICROSECONDS, is_key
    return packet
