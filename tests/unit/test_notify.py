"""systemd hears of us over its real socket, and its absence or deafness never hurts."""

import secrets
import socket

import pytest

from agent.core.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path):
    """A bound datagram socket, and the address as NOTIFY_SOCKET would name it."""
    name = f"poleside-test-{secrets.token_hex(4)}"
    named = f"@{name}" if request.param == "abstract" else str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name if request.param == "abstract" else named)
        sock.settimeout(5)
        yield sock, named


def test_every_state_is_one_datagram(systemd):
    sock, address = systemd
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
    assert notifier.ready("2 cameras")
    assert notifier.watchdog()
    assert notifier.status("카메라 2대")
    assert notifier.stopping()
    heard = [sock.recv(4096).decode() for _ in range(4)]
    assert heard == ["READY=1\nSTATUS=2 cameras", "WATCHDOG=1", "STATUS=카메라 2대", "STOPPING=1"]


def test_a_slow_start_is_given_another_minute(systemd):
    sock, address = systemd
    assert Notifier(address).still_starts()
    assert sock.recv(4096) == b"EXTEND_TIMEOUT_USEC=60000000"


def test_a_status_can_not_smuggle_in_another_field(systemd):
    sock, address = systemd
    Notifier(address).status("camera x\nREADY=1")
    assert sock.recv(4096).decode().splitlines() == ["STATUS=camera x READY=1"]


def test_a_full_queue_neither_blocks_nor_raises(systemd):
    _, address = systemd
    notifier = Notifier(address)
    while notifier.watchdog():
        pass
    assert not notifier.status("still here")


@pytest.mark.parametrize("address", ["", "/nonexistent/notify", "vsock:2:1234", "relative"])
def test_without_systemd_nothing_happens(address):
    assert not Notifier.from_environment({"NOTIFY_SOCKET": address}).ready()


def test_the_same_status_is_told_once(systemd):
    sock, address = systemd
    notifier = Notifier(address)
    told = [notifier.status(text) for text in ("well", "well", "no progress: core", "well")]
    assert told == [True, False, True, True]
    assert [sock.recv(4096) for _ in range(3)][1] == b"STATUS=no progress: core"
