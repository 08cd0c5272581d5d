"""The box's own camera sensor through picamera2 (extra `pi`): `csi://0`, `csi://0?stream=sub`.

Not yet tried on a board: written to picamera2's documented interface and tested against a stand-in
of just that. Both streams come from the board's encoder, as an RTSP camera's two streams would; a
Raspberry Pi 5 has none, there picamera2 encodes on the processor.
"""

from __future__ import annotations

import io
import queue
from collections.abc import Iterator
from fractions import Fraction
from typing import cast
from urllib.parse import parse_qs, urlsplit

import av
from av.packet import Packet
from av.video.stream import VideoStream

from agent.core.errors import CameraError
from agent.ingest import sensor
from agent.ingest.sensor import Frame, SensorMode
from agent.ingest.source import STRANGE_BYTES, Patience, StreamFacts, video_of

_MICROSECONDS = Fraction(1, 1_000_000)  # of picamera2's time stamps, which begin at 0


class CsiSource:
    """One hardware-encoded H.264 stream of a sensor.

    `csi://0?size=1920x1080&sub=640x360&fps=15&stream=main` are the defaults.
    """

    looks_after_itself = False

    def __init__(self, url: str, patience: Patience) -> None:
        """Read the sensor. Raises `CameraError` camera.unreachable or camera.timeout."""
        self._patience = patience
        self._mode, stream = _parts_of(url)
        self._reader = sensor.attach(self._mode, stream)
        try:
            self._first = self._next(patience.open_s)
            self._head = _parse(self._first[0])
            self.template, facts = video_of(self._head)
        except CameraError:
            sensor.detach(self._mode, self._reader)
            raise
        # libav's ticks of bare H.264 are others; who stores the packets counts in the template's
        self.template.time_base = _MICROSECONDS
        self.facts = StreamFacts(facts.codec, facts.width_px, facts.height_px, _MICROSECONDS)

    def packets(self) -> Iterator[Packet[VideoStream]]:
        frame = self._first
        while True:
            yield _packet(frame)
            frame = self._next(self._patience.stall_s)

    def close(self) -> None:
        sensor.detach(self._mode, self._reader)
        self._head.close()

    def _next(self, timeout_s: float) -> Frame:
        try:
            return self._reader.frames.get(timeout=timeout_s)
        except queue.Empty:
            raise CameraError(
                "camera.timeout",
                "The camera sensor gives no pictures.",
                hint="Check the ribbon cable at both ends, with the power off.",
                retryable=True,
            ) from None


def _parts_of(url: str) -> tuple[SensorMode, str]:
    parts = urlsplit(url)
    asked = {"size": ["1920x1080"], "sub": ["640x360"], "fps": ["15"], "stream": ["main"]}
    asked |= parse_qs(parts.query)
    try:
        mode = SensorMode(
            int(parts.netloc or 0),
            _size(asked["size"][0]),
            _size(asked["sub"][0]),
            int(asked["fps"][0]),
        )
    except ValueError as error:
        raise _no_such(url) from error
    if asked["stream"][0] not in {"main", "sub"}:
        raise _no_such(url)
    return mode, asked["stream"][0]


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    return int(width), int(height)


def _no_such(url: str) -> CameraError:
    return CameraError(
        "camera.no_such_stream",
        f"{url} is no address of a sensor.",
        hint="Write csi://0?size=1920x1080&sub=640x360&fps=15; its sub stream adds &stream=sub.",
    )


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
