"""A second stream that is only shown is open as long as it is shown, and never twice."""

import threading

import pytest

from agent.app.sub_stream import SubStream
from agent.core.clock import SystemClock
from agent.messages.worker import CameraState, StreamStatus
from tests.camera_thread import eventually

NOW = SystemClock().utc_now()


class Session:
    """Comes to its end when it is told to, and no camera keeps it in the middle of something."""

    def __init__(self, end, is_kept):
        self.end, self.is_kept, self.is_over = end, is_kept, False
        self.state, self.restarts, self.last_progress_mono_s = CameraState.CONNECTING, 0, 0.0

    def run(self):
        self.end.wait(30)
        while self.is_kept.is_set():
            threading.Event().wait(0.01)
        self.is_over = True

    def restart(self):
        self.restarts += 1

    @property
    def status(self):
        return StreamStatus(name="sub", state=self.state, since=NOW)


class Worker:
    def __init__(self, *, is_permanent=False):
        self.stop, self.is_kept, self.sessions = threading.Event(), threading.Event(), []
        self.sub = SubStream(self._made, self.stop, is_permanent=is_permanent)

    def _made(self, end):
        self.sessions.append(Session(end, self.is_kept))
        return self.sessions[-1]

    def open(self):
        return [one for one in self.sessions if not one.is_over]


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.is_kept.clear()
    made.stop.set()
    made.sub.close()
    assert made.open() == []


def test_it_is_open_once_however_often_it_is_wanted_and_closed_when_nobody_does(worker):
    assert (worker.sub.begin(), worker.sub.status, worker.sub.ages_s(9.0)) == ([], None, {})
    worker.sub.restart()  # of nothing
    for _ in range(3):
        worker.sub.follow(wanted=True)
    (session,) = worker.open()
    assert worker.sub.status is None  # it is being opened
    session.state = CameraState.LOST
    assert worker.sub.status.state is CameraState.LOST
    worker.sub.restart()
    assert (session.restarts, worker.sub.ages_s(9.0)) == (1, {"sub": 9.0})
    worker.sub.follow(wanted=False)
    eventually(lambda: worker.open() == [])
    assert (worker.sub.status, worker.sub.ages_s(9.0)) == (None, {})
    worker.sub.follow(wanted=True)
    assert len(worker.open()) == 1


def test_one_that_ends_while_it_opens_is_waited_for_before_another_is_opened(worker):
    worker.is_kept.set()
    worker.sub.follow(wanted=True)
    worker.sub.follow(wanted=False)
    for _ in range(3):
        worker.sub.follow(wanted=True)
        assert len(worker.sessions) == 1
    worker.is_kept.clear()
    eventually(lambda: worker.open() == [])

    def is_opened():
        worker.sub.follow(wanted=True)
        return len(worker.sessions) == 2

    eventually(is_opened)


def test_a_worker_that_ends_opens_none(worker):
    worker.sub.follow(wanted=True)
    worker.stop.set()
    worker.sub.close()
    worker.sub.follow(wanted=True)
    assert (len(worker.sessions), worker.open()) == (1, [])


def test_one_that_is_open_for_good_ends_with_its_worker_alone():
    worker = Worker(is_permanent=True)
    (thread,) = worker.sub.begin()
    worker.sub.follow(wanted=False)
    (session,) = worker.open()
    assert worker.sub.status.state is CameraState.CONNECTING
    worker.stop.set()
    thread.join(30)
    assert session.is_over
