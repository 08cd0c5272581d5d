"""A camera worker's first thread looks at once when it is called, and no call is lost."""

import os
import signal
import threading

import pytest

from agent.app.worker_calls import WorkerCalls

LONG_S = 3600.0  # nobody waits so long: without the call the test would never end


@pytest.fixture
def calls():
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)}
    yield WorkerCalls()
    for one, handler in before.items():
        signal.signal(one, handler)


def test_what_came_before_the_wait_ends_it(calls):
    calls.wake()
    calls.wake()
    calls.wait(LONG_S)


def test_another_thread_ends_a_wait(calls):
    other = threading.Timer(0.05, calls.wake)
    other.start()
    calls.wait(LONG_S)
    other.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_ends_a_wait_and_says_what_is_wanted(calls, number):
    calls.catch()
    other = threading.Timer(0.05, os.kill, (os.getpid(), number))
    other.start()
    calls.wait(LONG_S)
    other.join()
    assert calls.stop.is_set() is (number == signal.SIGTERM)
    assert calls.replace.is_set() is (number == signal.SIGUSR1)


def test_ctrl_c_is_left_to_the_supervisor(calls):
    calls.catch()
    os.kill(os.getpid(), signal.SIGINT)
    assert not calls.stop.is_set()


def test_a_storm_of_news_is_one_look(calls):
    for _ in range(1000):
        calls.wake()
    calls.wait(LONG_S)
    calls.wait(0.0)
    assert calls._news.empty()
