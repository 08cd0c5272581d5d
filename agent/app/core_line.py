"""A camera worker's line to the core: status and rule hits out, orders in.

The core may be away: hits that began an incident are already in `index.db` and are sent again on
each new connection until the core acknowledges them; everything else is only the newest state.
"""

import contextlib
import queue
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.core import framing, log
from agent.core.clock import Clock, wait_s
from agent.core.errors import PolesideError
from agent.core.retry import Backoff
from agent.messages import worker
from agent.messages.worker import Hello, ToCore, ToWorker

STEADY_S = 5.0  # a line that held so long was a good one: the next wait is short again
OUT_LIMIT = 200  # messages; when full the oldest is dropped and counted (hits are in index.db)
LOOK_UP_S = 5.0  # with nothing to send, look this often whether the line or the worker has ended
_WAKE = b""  # not a message: look up now


class CoreLine:
    """Connects, sends what is put, hands what comes to `on_message` (in the reader's thread)."""

    def __init__(
        self,
        path: Path,
        hello: Hello,
        waiting: Callable[[], list[bytes]],
        on_message: Callable[[ToWorker], None],
        clock: Clock,
    ) -> None:
        self._path, self._hello, self._waiting = path, hello, waiting
        self._on_message, self._clock = on_message, clock
        self._out: queue.Queue[bytes] = queue.Queue(OUT_LIMIT)
        self._log = log.get("core-line")
        self._backoff = Backoff(0.1, 5.0)
        self.dropped_total = 0
        self.is_connected = False

    def put(self, message: ToCore) -> None:
        """Queue a message; with a full queue the oldest one gives way."""
        self.put_encoded(worker.encode(message))

    def put_encoded(self, payload: bytes) -> None:
        """Queue an encoded message; with a full queue the oldest one gives way."""
        while True:
            try:
                self._out.put_nowait(payload)
            except queue.Full:
                try:
                    self._out.get_nowait()
                    self.dropped_total += 1
                except queue.Empty:
                    continue
            else:
                return

    def wake(self) -> None:
        """Make the thread look up now: the line has ended, or `stop` was set."""
        with contextlib.suppress(queue.Full):  # full of messages: it is not asleep
            self._out.put_nowait(_WAKE)

    def run(self, stop: threading.Event) -> None:
        """Thread body: keep the line up until stopped; who sets `stop` calls `wake` after it."""
        while not stop.is_set():
            began_s = self._clock.monotonic_s()
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                    sock.settimeout(5.0)
                    sock.connect(str(self._path))
                    self._talk(sock, stop)
            except (OSError, PolesideError) as error:
                self._log.debug("core is away", detail=str(error))
            self.is_connected = False
            if self._clock.monotonic_s() - began_s > STEADY_S:
                self._backoff.reset()
            wait_s(stop, self._backoff.next_s())

    def _talk(self, sock: socket.socket, stop: threading.Event) -> None:
        framing.send_message(sock, worker.encode(self._hello))
        with self._out.mutex:
            queued = set(self._out.queue)
        for body in self._waiting():
            # Those in the queue come in their turn: before a hit that ended it.
            if body not in queued and self._is_sound(body):
                framing.send_message(sock, body)
        self.is_connected = True
        ended = threading.Event()
        reader = threading.Thread(target=self._read, args=(sock, ended), name="core-reader")
        reader.start()
        try:
            while not ended.is_set() and not (stop.is_set() and self._out.empty()):
                try:
                    payload = self._out.get(timeout=LOOK_UP_S)
                except queue.Empty:
                    continue
                if payload:
                    framing.send_message(sock, payload)
        finally:
            with contextlib.suppress(OSError):  # the core was faster
                sock.shutdown(socket.SHUT_RDWR)
            reader.join()

    def _is_sound(self, body: bytes) -> bool:
        """A kept hit that was damaged on the disk must not block those behind it for ever."""
        try:
            worker.decode_to_core(body)
        except msgspec.MsgspecError as error:
            self._log.error("a kept hit can't be read, left out", detail=str(error))
            return False
        return True

    def _read(self, sock: socket.socket, ended: threading.Event) -> None:
        try:
            while True:
                try:
                    payload = framing.recv_message(sock)
                except TimeoutError:
                    continue
                if payload is None:
                    return
                self._on_message(worker.decode_to_worker(payload))
        except (OSError, PolesideError, msgspec.MsgspecError) as error:
            self._log.debug("line ended", detail=str(error))
        finally:
            ended.set()
            self.wake()
