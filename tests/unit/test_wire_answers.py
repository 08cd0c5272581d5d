"""An answer is read when it is all there; one that wants our memory, or is none, is refused."""

import pytest

from agent.ingest.wire.answers import MOST_HEAD_BYTES, BadAnswerError, take_answer

WHOLE = b"RTSP/1.0 200 OK\r\nCSeq: 3\r\ncontent-length: 4\r\nX: a\r\nX: b\r\n\r\nbody"


def take(data: bytes):
    return take_answer(bytearray(data), 0, len(data))


def test_an_answer_is_taken_when_it_is_whole_and_no_further():
    for length in range(len(WHOLE)):
        assert take(WHOLE[:length]) is None
    answer, end = take(WHOLE + b"$\x00")
    assert end == len(WHOLE)
    assert (answer.status, answer.reason, answer.cseq, answer.body) == (200, "OK", 3, b"body")
    assert answer.all("x") == ["a", "b"]
    assert answer.header("session") == ""


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff",
        b"RTSP/1.0 OK\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nno header\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 2000000000\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n" + b"X: 1\r\n" * 1_000 + b"\r\n",
        b"RTSP/1.0 200 OK\r\nX: " + b"a" * MOST_HEAD_BYTES,
    ],
)
def test_what_is_no_answer_is_refused(data):
    with pytest.raises(BadAnswerError):
        take(data)
