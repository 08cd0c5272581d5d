"""LED signs that speak Adaptive Micro Systems' "Alpha" protocol, over TCP or a serial line.

"Alpha Sign Communications Protocol" (pn 9708-8061), standard transmission packet and "write TEXT
file": the frame goes to all sign types (`Z`), address 00; file `A` is what a sign shows. The file
is held by the sign's own memory, so what is shown has an end of its own on the box.
"""

import os
import socket
import termios
from pathlib import Path

from hardware.signs import SignError

_WAKE, _SOH, _STX, _ESC, _EOT = b"\0" * 5, b"\x01", b"\x02", b"\x1b", b"\x04"
_ALL_SIGNS, _WRITE_TEXT = b"Z00", b"AA"
_MIDDLE_LINE, _HOLD, _ROTATE = b" ", b"b", b"a"
_LONGEST_STILL = 14  # letters that a small sign shows at once
_WITHIN_S = 3.0


def frame(text: str) -> bytes:
    """Return what makes a sign show `text`: still when it fits, else wandering."""
    letters = text.encode("latin-1", "replace").translate(None, bytes(range(32)))
    mode = _HOLD if len(letters) <= _LONGEST_STILL else _ROTATE
    head = _WAKE + _SOH + _ALL_SIGNS + _STX + _WRITE_TEXT
    return head + _ESC + _MIDDLE_LINE + mode + letters + _EOT


class AlphaSigns:
    """`tcp://host:port`, or a serial device by its path (9600 baud, 8N1)."""

    def show(self, address: str, text: str) -> None:
        try:
            if address.startswith("tcp://"):
                host, _, port = address.removeprefix("tcp://").rpartition(":")
                with socket.create_connection((host, int(port)), _WITHIN_S) as line:
                    line.sendall(frame(text))
            else:
                _write_serial(Path(address), frame(text))
        except (OSError, ValueError, termios.error) as error:
            raise SignError(f"The sign at {address} can't be reached: {error}.") from error


def _write_serial(device: Path, data: bytes) -> None:
    line = os.open(device, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        told = termios.tcgetattr(line)
        told[0], told[1], told[3] = 0, 0, 0  # no translation of any letter
        told[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
        told[4] = told[5] = termios.B9600
        termios.tcsetattr(line, termios.TCSANOW, told)
        os.write(line, data)
    finally:
        os.close(line)
