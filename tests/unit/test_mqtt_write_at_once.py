"""A socket that breaks while it is written is given to nobody: asyncio would complain of it."""

import asyncio
import socket
from types import SimpleNamespace

import pytest

from agent.uplink.client import write_at_once


class Paho:
    """What the MQTT library does of a write: all is written, a part of it, or the line breaks."""

    def __init__(self, *, breaks):
        self.line, self.other = socket.socketpair()
        self.breaks, self.waits = breaks, []
        self.on_socket_register_write = self.wait_for_room

    def wait_for_room(self, _, __, sock):
        self.waits.append(sock.fileno())

    def socket(self):
        return None if self.line.fileno() < 0 else self.line

    def loop_write(self):
        if self.breaks:
            self.line.close()

    def want_write(self):
        return True


@pytest.mark.parametrize("breaks", [True, False])
async def test_only_a_line_that_is_whole_is_waited_for(breaks):
    paho = Paho(breaks=breaks)
    write_at_once(SimpleNamespace(_client=paho))
    paho.on_socket_register_write(None, None, paho.line)
    await asyncio.sleep(0)
    assert paho.waits == ([] if breaks else [paho.line.fileno()])
    paho.line.close()
    paho.other.close()
