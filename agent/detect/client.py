"""Asks the detect process from a camera worker. Never waits long, never raises: recording goes on.

While the detect process is away, questions are answered None at once, and connecting is tried
again after 0.2 s, doubling up to 5 s. Owned by one thread.
"""

import socket
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from agent.core.clock import Clock
from agent.core.framing import FramingError, recv_message, send_message
from agent.core.log import get
from agent.detect.letterbox import Letterboxed
from agent.detect.manifest import Manifest
from agent.detect.sharing import Wish
from agent.detect.wire import DetectReply, DetectRequest, told_model

_log = get("detect.client")

DEADLINE_S = 1.0
_FIRST_RETRY_S, _LAST_RETRY_S = 0.2, 5.0


class DetectorState(StrEnum):
    READY = "ready"
    UNAVAILABLE = "unavailable"


@dataclass(slots=True)
class DetectCounters:
    """Since the worker began. `asked` counts only questions that were really sent."""

    asked: int = 0
    answered: int = 0
    timeouts: int = 0


class DetectClient:
    """One camera's connection to the detect process."""

    def __init__(self, socket_path: Path, clock: Clock, *, camera_id: str = "") -> None:
        self._path, self._clock, self._camera_id = socket_path, clock, camera_id
        self._sock: socket.socket | None = None
        self._retry_s = _FIRST_RETRY_S
        self._retry_mono_s = clock.monotonic_s()
        self.counters = DetectCounters()
        self.state: str = DetectorState.UNAVAILABLE
        self.since_mono_s = clock.monotonic_s()
        self.manifest: Manifest | None = None  # of who answers, once connected

    def detect(
        self, picture: Letterboxed, frame_id: int, wish: Wish | None = None
    ) -> DetectReply | None:
        """Return what is in the picture, or None when no answer came within a second.

        None, too, for a picture made for another model than the one that answers: see `manifest`.
        `wish` tells how often this camera would like to ask, and its need.
        """
        began_s = self._clock.monotonic_s()
        sock = self._sock or self._connect(began_s)
        if sock is None or not self._fits(picture):
            return None
        self.counters.asked += 1
        try:
            self._ask(sock, picture, frame_id, wish or Wish(), began_s)
            sock.settimeout(max(0.001, began_s + DEADLINE_S - self._clock.monotonic_s()))
            reply = self._answer(sock, frame_id)
        except TimeoutError:
            self.counters.timeouts += 1
            self._fail("no answer in time")
            return None
        except (OSError, FramingError, msgspec.DecodeError) as error:
            self._fail(str(error))
            return None
        self.counters.answered += 1
        self._retry_s = _FIRST_RETRY_S
        self._turn(DetectorState.READY)
        return reply

    def close(self) -> None:
        """Hang up. A later `detect` connects again."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _connect(self, now_s: float) -> socket.socket | None:
        if now_s < self._retry_mono_s:
            return None
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(DEADLINE_S)
        try:
            sock.connect(str(self._path))
        except OSError as error:
            sock.close()
            self._fail(str(error))
            return None
        self._sock, self.manifest = sock, told_model(self._path) or self.manifest
        return sock

    def _fits(self, picture: Letterboxed) -> bool:
        taken = () if self.manifest is None else self.manifest.inputs
        return not taken or picture.image.shape in {spec.shape for spec in taken}

    def _ask(
        self, sock: socket.socket, picture: Letterboxed, frame_id: int, wish: Wish, now_s: float
    ) -> None:
        sock.settimeout(DEADLINE_S)
        request = DetectRequest(
            camera_id=self._camera_id,
            frame_id=frame_id,
            width_px=picture.image.shape[1],
            height_px=picture.image.shape[0],
            content_width_px=picture.content_width_px,
            content_height_px=picture.content_height_px,
            at_mono_s=now_s,
            wished_per_s=wish.rate,
            need=wish.need,
        )
        send_message(sock, msgspec.msgpack.encode(request))
        send_message(sock, picture.image.data.cast("B"))

    def _answer(self, sock: socket.socket, frame_id: int) -> DetectReply:
        message = recv_message(sock)
        if message is None:
            raise ConnectionResetError("the detect process hung up")
        reply = msgspec.msgpack.decode(message, type=DetectReply)
        if reply.frame_id != frame_id:
            raise msgspec.ValidationError(f"asked for frame {frame_id}, got {reply.frame_id}")
        return reply

    def _fail(self, why: str) -> None:
        """Hang up (a late answer must not be taken for the next one) and wait before trying."""
        self.close()
        self._retry_mono_s = self._clock.monotonic_s() + self._retry_s
        self._retry_s = min(2 * self._retry_s, _LAST_RETRY_S)
        if self.state == DetectorState.READY:
            _log.warning("detector unavailable", camera_id=self._camera_id, why=why)
        self._turn(DetectorState.UNAVAILABLE)

    def _turn(self, state: DetectorState) -> None:
        if state != self.state:
            self.state, self.since_mono_s = state, self._clock.monotonic_s()
