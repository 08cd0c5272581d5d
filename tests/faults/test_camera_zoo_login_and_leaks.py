"""A refused login is never hammered, and ten thousand failed tries leave nothing behind."""

import contextlib
import gc
import threading

import psutil
import pytest

from agent.core.errors import CameraError
from agent.ingest import greeting
from agent.ingest.source import Patience, StreamAddress, open_source
from agent.messages.worker import CameraState
from agent.simulators.camera.faults import Faults
from agent.simulators.camera.media import load_media
from tests.camera_zoo import CLOCK, CameraLoop, Visitor, ZooCamera, eventually, pause, visits
from tests.footage_maker import make_clip

WELL = {name: getattr(Faults(), name) for name in Faults.__struct_fields__}
RSS_GROWTH_BYTES = 8 * 1024 * 1024


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return {"": load_media(make_clip(path, size_px=(160, 120), seconds=1))}


def test_a_password_changed_on_the_camera_costs_three_tries_until_the_box_is_told(media, tmp_path):
    visitor = Visitor(ZooCamera(media), tmp_path / "camera")
    camera = visitor.camera
    with CameraLoop([camera]), visits([visitor]):
        eventually(lambda: visitor.frames_since(0.0, 5), lambda: "frames")
        camera.set_password("neu")
        camera.faults.disconnect = True
        eventually(
            lambda: visitor.session.status.state is CameraState.AUTH_FAILED, lambda: "auth-failed"
        )
        pause(4.0)
        assert visitor.session.status.connects_total == 4  # the good one and three refused
        told_s = CLOCK.monotonic_s()
        visitor.login = ("admin", "neu")
        eventually(lambda: visitor.frames_since(told_s, 5), lambda: "frames with the new password")
        assert visitor.session.status.connects_total == 5
    visitor.tape.index.close()


def fail_to_open(media, count, monkeypatch):
    """Open broken streams of many kinds in turn; return (descriptors, threads, RSS) around it."""
    monkeypatch.setattr(greeting, "GREETING_TIMEOUT_S", 0.2)
    camera = ZooCamera(media)
    kinds = [
        {"status": 404},
        {"status": 401},
        {"status": 503},
        {"status": 500, "status_of": "SETUP"},
        {"status": 454, "status_of": "PLAY"},
        {"mangle_answers": 0.2},
    ]
    process, patience = psutil.Process(), Patience(0.5, 0.5, is_known=True)

    def measure():
        gc.collect()
        return process.num_fds(), threading.active_count(), process.memory_info().rss

    with CameraLoop([camera]):
        address = StreamAddress(camera.url, "admin", "geheim")
        before = None
        for number in range(count):
            for name in camera.faults.__struct_fields__:
                setattr(camera.faults, name, kinds[number % len(kinds)].get(name, WELL[name]))
            with contextlib.suppress(CameraError):
                open_source(address, patience, CLOCK).close()
            if number == count // 4:  # caches are warm
                before = measure()
        eventually(lambda: measure()[0] <= before[0] + 2, lambda: f"{before} -> {measure()}")
        return before, measure()


@pytest.mark.parametrize("count", [200, pytest.param(10_000, marks=pytest.mark.long)])
@pytest.mark.timeout(1800)
def test_failed_tries_leave_nothing_behind(media, count, monkeypatch):
    before, after = fail_to_open(media, count, monkeypatch)
    assert after[0] <= before[0] + 2
    assert after[1] <= before[1]
    assert after[2] <= before[2] + RSS_GROWTH_BYTES
