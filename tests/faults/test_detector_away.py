"""While the detect process is away or stuck, a camera worker goes on, and finds it again."""

import contextlib
import socket
import threading
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from agent.contract.events import TimeQuality
from agent.core.framing import recv_message, send_message
from agent.detect.client import DetectClient, DetectorState
from agent.detect.letterbox import Letterboxed
from agent.detect.wire import DetectReply

PICTURE = Letterboxed(np.zeros((256, 416, 3), np.uint8), 416, 234)


class HandClock:
    """A clock that a test moves by hand."""

    def __init__(self):
        self.now_s = 100.0

    def utc_now(self):
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic_s(self):
        return self.now_s

    def quality(self):
        return TimeQuality.NTP

    async def sleep_s(self, seconds):
        raise AssertionError("the client waits on its socket, never in asyncio")


@contextlib.contextmanager
def answering(path, answer):
    """Run a detect process that treats each connection with `answer(sock)`."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(30)
        done = threading.Event()

        def run():
            sock, _ = listener.accept()
            with sock:
                answer(sock)
                done.wait(30)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
    path.unlink()


def take_question(sock):
    return recv_message(sock), recv_message(sock)


def test_nobody_there_is_no_error_and_is_not_asked_again_at_once(tmp_path):
    clock = HandClock()
    client = DetectClient(tmp_path / "none", clock)
    retries = []
    for _ in range(3000):
        before = client._retry_mono_s
        assert client.detect(PICTURE, 1) is None
        if client._retry_mono_s != before:
            retries.append(clock.now_s)
        clock.now_s += 0.01
    gaps = np.diff(retries)
    assert gaps[0] == pytest.approx(0.2, abs=0.02)
    assert (np.diff(gaps) > -0.02).all()
    assert gaps.max() == pytest.approx(5.0, abs=0.02)
    assert client.counters.asked == 0
    assert client.state is DetectorState.UNAVAILABLE


@pytest.mark.parametrize(
    ("answer", "timeouts"),
    [
        pytest.param(lambda sock: None, 1, id="stuck before reading"),
        pytest.param(take_question, 1, id="stuck in an inference"),
        pytest.param(lambda sock: sock.shutdown(socket.SHUT_RDWR), 0, id="killed"),
        pytest.param(
            lambda sock: (take_question(sock), send_message(sock, b"\xc1")), 0, id="nonsense"
        ),
    ],
)
def test_a_detector_in_trouble_gives_none_and_is_left(tmp_path, answer, timeouts):
    client = DetectClient(tmp_path / "d.sock", HandClock())
    with answering(tmp_path / "d.sock", answer):
        assert client.detect(PICTURE, 1) is None
        assert client.detect(PICTURE, 2) is None  # at once: not connected, not yet time
    assert client.state is DetectorState.UNAVAILABLE
    assert (client.counters.asked, client.counters.answered) == (1, 0)
    assert client.counters.timeouts == timeouts


def test_the_answer_to_another_question_is_never_taken(tmp_path):
    def wrong(sock):
        take_question(sock)
        send_message(sock, _reply(7))

    client = DetectClient(tmp_path / "d.sock", HandClock())
    with answering(tmp_path / "d.sock", wrong):
        assert client.detect(PICTURE, 8) is None
    assert client.state is DetectorState.UNAVAILABLE


def test_a_detector_that_comes_back_is_found_and_the_state_tells_since_when(tmp_path):
    clock = HandClock()
    client = DetectClient(tmp_path / "d.sock", clock)
    assert client.detect(PICTURE, 1) is None
    assert client.since_mono_s == 100.0
    clock.now_s = 130.0

    def right(sock):
        take_question(sock)
        send_message(sock, _reply(2))

    with answering(tmp_path / "d.sock", right):
        assert client.detect(PICTURE, 2).frame_id == 2
        assert (client.state, client.since_mono_s) == (DetectorState.READY, 130.0)
        client.close()


def _reply(frame_id):
    return msgspec.msgpack.encode(
        DetectReply(frame_id=frame_id, detections=(), model="m/1", took_ms=1.0)
    )
