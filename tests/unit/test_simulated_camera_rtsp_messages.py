"""RTSP requests are understood however TCP cuts them, and nonsense is told apart."""

import pytest

from agent.simulators.camera.digest import REALM, Credentials, DigestGate
from agent.simulators.camera.rtsp_messages import Response, RtspSyntaxError, take_request

PLAY = b"PLAY rtsp://h:1/main/trackID=0?x=1 RTSP/1.0\r\nCSeq: 4\r\nSession: ab\r\n\r\n"


def test_a_request_cut_into_single_bytes_is_found_once():
    buffer, found = bytearray(), []
    for byte in b"$\x01\x00\x04abcd" + PLAY:
        buffer.append(byte)
        request = take_request(buffer)
        if request is not None:
            found.append(request)
    assert [(one.method, one.stream_name, one.headers["session"]) for one in found] == [
        ("PLAY", "main", "ab")
    ]
    assert not buffer


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"PLAY\r\n\r\n",
        b"x" * 20_000,
        b"PLAY rtsp://h/ RTSP/1.0\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_no_rtsp_is_refused(data):
    with pytest.raises(RtspSyntaxError):
        take_request(bytearray(data))


def test_a_response_names_its_status_and_length():
    data = Response(461, {"Session": "1"}, body="é").encode("9")
    assert data.startswith(b"RTSP/1.0 461 Unsupported Transport\r\nCSeq: 9\r\n")
    assert b"Content-Length: 2\r\n\r\n\xc3\xa9" in data


def test_the_gate_admits_what_rfc_2617_computes_and_nothing_else():
    gate = DigestGate(Credentials("admin", "geheim"))
    nonce = gate.challenge.split('nonce="')[1].rstrip('"')

    def header(password: str, nonce: str = nonce) -> str:
        from hashlib import md5

        secret = md5(f"admin:{REALM}:{password}".encode()).hexdigest()
        action = md5(b"PLAY:rtsp://h/main").hexdigest()
        answer = md5(f"{secret}:{nonce}:{action}".encode()).hexdigest()
        return (
            f'Digest username="admin", realm="{REALM}", nonce="{nonce}", '
            f'uri="rtsp://h/main", response="{answer}"'
        )

    assert gate.admits("PLAY", header("geheim"))
    assert not gate.admits("SETUP", header("geheim"))
    assert not gate.admits("PLAY", header("falsch"))
    assert not gate.admits("PLAY", header("geheim", nonce="0" * 32))
    assert not gate.admits("PLAY", "Basic YWRtaW46Z2VoZWlt")
    assert not gate.admits("PLAY", "")
