"""Only a camera that refuses clearly is believed to refuse the password."""

import socket
import threading
from contextlib import contextmanager

import pytest

from agent.ingest.greeting import refuses_clearly

SOUND = (
    'RTSP/1.0 401 Unauthorized\r\nCSeq: 7\r\nWWW-Authenticate: Digest realm="cam", nonce="{nonce}"'
    "\r\nDate: Sun, 22 Nov 2026 06:0{nonce}:00 GMT\r\n\r\n"
)


@contextmanager
def camera(*answers):
    """Give the address of a camera that says these, one a connection, the last for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def serve():
            for number in range(3):
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line:
                    line.recv(2048)
                    line.sendall(answers[min(number, len(answers) - 1)])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"rtsp://127.0.0.1:{server.getsockname()[1]}/main"
        finally:
            server.shutdown(socket.SHUT_RDWR)  # wakes who waits for another connection
            server.close()
            thread.join()


def sound(nonce):
    return SOUND.replace("{nonce}", str(nonce)).encode()


@pytest.mark.parametrize(
    ("answers", "is_clear"),
    [
        ([sound(1), sound(2), sound(3)], True),
        ([b'RTSP/1.0 401 Unauthorized\r\nCSeq: 7\r\nWWW-Authenticate: Basic realm="c"\r\n\r\n'], 1),
        ([b"RTSP/1.0 403 Forbidden\r\nCSeq: 7\r\n\r\n"], True),
        ([sound(1), sound(2), sound(3).replace(b"cam", b"c\xe9m")], False),
        ([sound(1), sound(2).replace(b'"cam"', b'"cbm"'), sound(3)], False),
        ([sound(1).replace(b"CSeq: 7", b"CSeq: 9")], False),
        ([sound(1).replace(b"Digest", b"Dig#st")], False),
        ([sound(1).replace(b"401", b"4\x001")], False),
        ([b"RTSP/1.0 200 OK\r\nCSeq: 7\r\n\r\n"], False),  # it lets everybody in
        ([b"RTSP/1.0 401 Unauthorized\r\nCSeq: 7\r\n\r\n"], False),
        ([b""], False),
    ],
)
def test_a_refusal_counts_when_it_is_well_formed_and_always_the_same(answers, is_clear):
    with camera(*answers) as url:
        assert refuses_clearly(url) == bool(is_clear)


def test_one_who_can_not_be_asked_again_is_believed():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert refuses_clearly(f"rtsp://127.0.0.1:{port}/main")
