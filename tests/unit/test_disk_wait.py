"""A disk that neither answers nor refuses is noticed, and nobody is killed for it at once."""

import signal
import socket
import subprocess
import threading

import pytest

from agent.app.process import ManagedProcess
from agent.app.process_table import ProcessSpec
from agent.buffer.index import Index
from agent.core.disk_wait import BORNE_S, STUCK, STUCK_S, Calls, DiskWait
from agent.core.errors import StorageError
from agent.messages.supervision import Beat, ProcessState
from tests.fake_clock import FakeClock


def test_only_a_call_that_lasts_counts():
    clock, calls, quiet = FakeClock(), Calls(), Calls()
    wait = DiskWait([calls, quiet], clock)
    for _ in range(20):  # busy, but each call ends
        with calls:
            clock.pass_s(1.0)
            assert not wait.is_stuck
        clock.pass_s(1.0)
    assert wait.waits_s == 0.0
    with calls:
        assert not wait.is_stuck
        clock.pass_s(STUCK_S + 1)
        assert wait.is_stuck
        assert wait.borne({"main": 99.0}) == {"main": 0.0}
        clock.pass_s(BORNE_S)
        assert wait.borne({"main": 99.0}) == {"main": 99.0}
    assert not wait.is_stuck
    assert wait.borne({"main": 99.0}) == {"main": 99.0}


def test_a_hit_is_not_held_up_by_another_thread_that_waits_for_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("agent.buffer.index.STUCK_S", 0.05)
    index, clock = Index(tmp_path), FakeClock()
    thawed, waiting = threading.Event(), threading.Event()

    def write():
        with index.transaction():
            waiting.set()
            thawed.wait(30)

    writer = threading.Thread(target=write)
    writer.start()
    assert waiting.wait(10)
    with pytest.raises(StorageError) as refused:
        index.keep_hit("a", clock.utc_now(), 1.0, "began", b"")
    assert refused.value.code == STUCK
    thawed.set()
    writer.join()
    index.keep_hit("a", clock.utc_now(), 1.0, "began", b"")
    index.close()


def test_a_process_that_does_not_end_when_killed_is_said_once_and_told():
    clock = FakeClock()
    child = ManagedProcess(ProcessSpec(name="camera-gate", sections=frozenset()), clock)
    with subprocess.Popen(["sleep", "60"]) as process:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            child.started(process.pid, ours)
            child.heard(Beat(ages_s={}))
            clock.pass_s(child.spec.silent_s + 1)
            assert child.is_silent()
            assert child.kill()
            assert not child.kill()
            assert child.report().state is ProcessState.HANGING
            assert not child.is_well()
            process.wait(30)
            child.exited(signal.SIGKILL, 0.0)
            assert child.report().state is ProcessState.WAITING
