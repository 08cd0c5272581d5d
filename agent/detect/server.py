"""The detect process: one detector, one thread, all cameras in turn over a Unix socket.

A client is not read from while its question waits, so each has at most one in line and none can
crowd out the others. Whoever sends nonsense, hangs up or does not take its answer is dropped alone.
An engine that fails ends the process: its supervisor starts a fresh one.
"""

import contextlib
import math
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from agent.core.errors import DetectorError
from agent.core.framing import FramingError, MessageSplitter, send_message
from agent.core.log import get
from agent.detect.manifest import Manifest, Shape
from agent.detect.sharing import Sharing, Wish
from agent.detect.wire import DetectReply, DetectRequest, tell_model
from agent.messages.vision import Detection

_log = get("detect.server")

_TURN_S = 0.5
_READ_BYTES = 256 * 1024
_SOCKET_MODE = 0o660


class _DroppedError(Exception):
    """A client can't be served any longer; the text says why, none if it just hung up."""


class _Client:
    """One connection and the question it is sending."""

    def __init__(self, sock: socket.socket, shapes: Sequence[Shape]) -> None:
        self.sock = sock
        self.request: DetectRequest | None = None
        self.picture: NDArray[np.uint8] | None = None
        self._shapes = shapes
        self._splitter = MessageSplitter(max_bytes=max(math.prod(shape) for shape in shapes))

    def read(self) -> bool:
        """Take what arrived; return whether a whole question is there. Raises `_DroppedError`."""
        try:
            chunk = self.sock.recv(_READ_BYTES)
            if not chunk:
                raise _DroppedError
            for message in self._splitter.feed(chunk):
                self._take(message)
        except BlockingIOError:
            return False
        except (OSError, FramingError, msgspec.DecodeError) as error:
            raise _DroppedError(str(error)) from error
        return self.picture is not None

    def has_gone(self) -> bool:
        """Say whether the other end closed (it does so when an answer takes too long)."""
        try:
            return self.sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def answer(self, reply: DetectReply) -> None:
        """Send the answer; there is always room for it, or the client does not read."""
        self.request = self.picture = None
        try:
            send_message(self.sock, msgspec.msgpack.encode(reply))
        except OSError as error:
            raise _DroppedError(f"does not take its answer: {error}") from error

    def _take(self, message: bytes) -> None:
        if self.picture is not None:
            raise _DroppedError("asked again before it was answered")
        if self.request is None:
            self.request = msgspec.msgpack.decode(message, type=DetectRequest)
        else:
            shape = (self.request.height_px, self.request.width_px, 3)
            if shape not in self._shapes or len(message) != math.prod(shape):
                raise _DroppedError(
                    f"sent {len(message)} bytes as a picture of {shape}, not of {self._shapes}"
                )
            self.picture = np.frombuffer(message, np.uint8).reshape(shape)


class Answering(Protocol):
    """A detector, or one with another in its shadow."""

    manifest: Manifest

    @property
    def shapes(self) -> tuple[Shape, ...]: ...

    def detect(
        self, image: NDArray[np.uint8], content_width_px: int, content_height_px: int
    ) -> list[Detection]: ...


class _Server:
    def __init__(self, listener: socket.socket, detector: Answering, look_s: float) -> None:
        self._listener, self._detector = listener, detector
        self._sharing = Sharing(look_s)
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._waiting: deque[_Client] = deque()

    def turn(self) -> None:
        """Take in what has arrived, then answer the client that has waited longest."""
        for key, _ in self._selector.select(0 if self._waiting else _TURN_S):
            if key.data is None:
                self._accept()
            else:
                self._read(key.data)
        if self._waiting:
            self._serve(self._waiting.popleft())

    def close(self) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                key.data.sock.close()
        for client in self._waiting:
            client.sock.close()
        self._selector.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it may have gone again
            sock, _ = self._listener.accept()
            sock.setblocking(False)
            client = _Client(sock, self._detector.shapes)
            self._selector.register(sock, selectors.EVENT_READ, client)

    def _read(self, client: _Client) -> None:
        try:
            if client.read():
                self._selector.unregister(client.sock)
                self._waiting.append(client)
        except _DroppedError as why:
            self._selector.unregister(client.sock)
            self._drop(client, why)

    def _serve(self, client: _Client) -> None:
        try:
            client.answer(self._detect(client))
        except _DroppedError as why:
            self._drop(client, why)
        else:
            self._selector.register(client.sock, selectors.EVENT_READ, client)

    def _detect(self, client: _Client) -> DetectReply:
        request, picture = client.request, client.picture
        if request is None or picture is None or client.has_gone():
            raise _DroppedError
        began_s = time.monotonic()
        try:
            detections = self._detector.detect(
                picture, request.content_width_px, request.content_height_px
            )
        except DetectorError as error:
            if error.code != "detector.input":
                raise
            raise _DroppedError(error.message) from error
        ended_s = time.monotonic()
        self._sharing.looked(ended_s - began_s)
        wish = Wish(request.wished_per_s, request.need)
        return DetectReply(
            frame_id=request.frame_id,
            detections=tuple(detections),
            model=self._detector.manifest.model,
            took_ms=(ended_s - began_s) * 1000,
            every_s=self._sharing.every_s(request.camera_id, wish, ended_s),
            has_spare=self._sharing.has_spare,
        )

    def _drop(self, client: _Client, why: _DroppedError) -> None:
        client.sock.close()
        if str(why):
            camera_id = client.request.camera_id if client.request else None
            _log.warning("client dropped", camera_id=camera_id, why=str(why))


def serve(
    socket_path: Path,
    detector: Answering,
    beat: Callable[[], None],
    stop: threading.Event,
    look_s: float = 0.03,
) -> None:
    """Answer questions on `socket_path` until `stop` is set.

    `look_s`, what one detection takes here, is where sharing begins; it learns from each answer.
    `beat` is called at least twice a second, except during one inference. Raises `DetectorError`
    when the engine fails, `OSError` when the socket can't be made.
    """
    tell_model(socket_path, detector.manifest)
    with _listening(socket_path) as listener:
        server = _Server(listener, detector, look_s)
        try:
            while not stop.is_set():
                beat()
                server.turn()
        finally:
            server.close()


@contextlib.contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    path.unlink(missing_ok=True)  # left by a process that was killed
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        path.chmod(_SOCKET_MODE)
        listener.listen()
        listener.setblocking(False)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)
