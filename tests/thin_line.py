"""A TCP line to a relay that carries so many bytes a second, changeable, with little in between."""

import socket
import threading
import time
from contextlib import suppress

_PIECE_BYTES, _BUFFER_BYTES = 1024, 4096


class ThinLine:
    """`with ThinLine(port, kbps) as line:` listens on `line.port`; `line.kbps` may be set."""

    def __init__(self, to_port, kbps):
        self.to_port, self.kbps = to_port, kbps
        self.carried_bytes = 0
        self._carried = []  # when, how much by then

    def most_kbps(self, within_s):
        """Return the highest rate of any window of so many seconds."""
        most, first = 0, 0
        for now_s, total in self._carried:
            while self._carried[first][0] < now_s - within_s:
                first += 1
            before = self._carried[first - 1][1] if first else 0
            most = max(most, total - before)
        return most / 125 / within_s

    def __enter__(self):
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port = self._listener.getsockname()[1]
        self._sockets, self._threads = {self._listener}, []
        self._begin(self._accept)
        return self

    def __exit__(self, *_):
        for one in tuple(self._sockets):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join(10)

    def _begin(self, target, *args):
        thread = threading.Thread(target=target, args=args, name="thin-line")
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to_port))
                self._sockets |= {near, far}
                self._begin(self._carry, near, far, True)
                self._begin(self._carry, far, near, False)

    def _carry(self, source, sink, is_thin):
        free_at_s = time.monotonic()
        with suppress(OSError):
            while piece := source.recv(_PIECE_BYTES):
                if is_thin:
                    self.carried_bytes += len(piece)
                    self._carried.append((time.monotonic(), self.carried_bytes))
                    lasts_s = len(piece) / (self.kbps * 125)
                    free_at_s = max(free_at_s, time.monotonic() - 0.02) + lasts_s
                    time.sleep(max(0.0, free_at_s - time.monotonic()))
                sink.sendall(piece)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
