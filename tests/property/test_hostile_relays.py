"""Whatever a relay says, it is an answer, none (`ValueError`) or a lost line (`OSError`)."""

import socket
from contextlib import suppress
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.push import amf
from agent.push.rtmp_chunks import Reader
from agent.push.rtsp_dialog import RtspDialog
from agent.push.rtsp_login import Login

LINES = st.lists(
    st.sampled_from(
        [b"RTSP/1.0 ", b"RTSP/1.0 200 OK", b"RTSP/1.0 401", b"Content-Length: ", b"9" * 5000, b"-1",
         b"WWW-Authenticate: Digest qop=", b"Session:;", b"\r\n", b"\r\n\r\n", b"$\0\0\1", b":"]
    ) | st.binary(max_size=20),
    max_size=20,
).map(b"".join)  # fmt: skip


@given(LINES)
@example(b"RTSP/1.0\r\n\r\n")
@example(b"\r\n\r\n")
def test_an_odd_rtsp_answer_is_no_answer(said):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5.0)
        theirs.sendall(said)
        theirs.shutdown(socket.SHUT_WR)
        dialog = RtspDialog(SimpleNamespace(socket=ours), Login("token"))
        with suppress(ValueError, OSError):
            dialog.ask("ANNOUNCE", "rtsp://relay.example/gate")


@given(st.binary(max_size=200))
@example(b"\x0a\0\0\0\1" * 2_000)
@example(b"\x03\0\1a" * 2_000)
def test_odd_amf_is_no_amf(said):
    with suppress(ValueError):
        amf.decode(said)


@given(st.lists(st.binary(max_size=100), max_size=20))
def test_odd_chunks_are_no_rtmp(said):
    reader = Reader()
    with suppress(ValueError):
        for one in said:
            reader.feed(one)


def test_what_is_nested_as_relays_do_is_read():
    value = {"a": {"b": [1.0, {"c": None}]}}
    assert amf.decode(amf.encode(value)) == [value]
    with pytest.raises(ValueError, match="deep"):
        amf.decode(b"\x0a\0\0\0\1" * 20 + b"\x05")
