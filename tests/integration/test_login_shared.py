"""What ONVIF and video learn of a camera's login: one try for both, and what works goes on."""

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest

from agent.core.login_record import Face
from agent.core.login_tries import BACK_OFF_S, VIDEO_RETRY_S, tries_of
from agent.ingest.session import IngestSession, StreamAddress
from agent.messages.worker import CameraState
from agent.simulators.camera import rtsp_connection
from agent.simulators.camera.digest import Credentials, DigestGate
from agent.simulators.camera.media import load_media
from tests.camera_zoo import CameraLoop, ZooCamera
from tests.footage_maker import make_clip
from tests.onvif_box import Deskwork, make_desk, settings_of
from tests.simulated_onvif import PASSWORD, USERNAME, ShiftedClock, eventually, running_camera

STREAMS = ("main", "sub")


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return {"": load_media(make_clip(path, size_px=(160, 120), seconds=1))}


class Frames:
    """A sink that counts."""

    def __init__(self):
        self.total = 0

    def run_started(self, *_): ...

    def packet(self, *_):
        self.total += 1

    def run_ended(self, *_): ...

    def flush(self): ...


class Video:
    """A worker's two streams from one camera."""

    def __init__(self, url, tries, clock, password):
        self.stop, self.frames = threading.Event(), {name: Frames() for name in STREAMS}
        address = StreamAddress(url, USERNAME, password, tries=tries)
        self.sessions = [
            IngestSession(name, lambda: address, self.frames[name], clock, self.stop, stall_s=10.0)
            for name in STREAMS
        ]
        self.threads = [threading.Thread(target=session.run) for session in self.sessions]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def is_in(self, state):
        return all(session.status.state is state for session in self.sessions)


@pytest.fixture
def refused(monkeypatch):
    """Return the logins that were refused over RTSP."""
    logins = []

    class Gate(DigestGate):
        def admits(self, method, authorization):
            is_in = super().admits(method, authorization)
            if authorization and not is_in:
                logins.append(authorization)
            return is_in

    monkeypatch.setattr(rtsp_connection, "DigestGate", Gate)
    return logins


@asynccontextmanager
async def box(folder, port, media, password, *, onvif, video):
    """Run one camera, its passwords for ONVIF and for video as told, and a box that has another."""
    clock, zoo = ShiftedClock(), ZooCamera(media)
    zoo.server._credentials = Credentials(USERNAME, video)
    async with running_camera(password=onvif) as device:
        with CameraLoop([zoo]):
            told = settings_of(device, password=password, main_url=zoo.url)
            desk = make_desk(folder, clock, port, told)
            running = asyncio.create_task(Deskwork(desk, clock).run())
            tries = tries_of(folder, "gate", clock)  # as in the worker's process
            try:
                with Video(zoo.url, tries, clock, password) as seen:
                    yield clock, desk, seen, zoo, device.login
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)


async def test_a_wrong_password_is_tried_once_in_five_minutes_over_all(
    tmp_path, unused_tcp_port, media, refused
):
    async with box(
        tmp_path, unused_tcp_port, media, "wrong", onvif=PASSWORD, video="geheim"
    ) as all_of_it:
        clock, desk, seen, _, onvif = all_of_it
        await eventually(lambda: desk.facts("gate").code == "camera.wrong_password")
        await eventually(lambda: seen.is_in(CameraState.AUTH_FAILED))
        assert len(refused) + onvif.refused_total == 1
        clock.shift_s = BACK_OFF_S - 30
        await asyncio.sleep(1.5)
        assert len(refused) + onvif.refused_total == 1
        clock.shift_s = BACK_OFF_S + 65  # ONVIF's turn; the video waits for its own
        await eventually(lambda: onvif.refused_total)
        await asyncio.sleep(1.5)
        assert len(refused) == 1
        assert onvif.refused_total <= 2  # a digest, and once a token


async def test_a_camera_that_forgets_its_users_for_a_while_is_recorded_soon_after(
    tmp_path, unused_tcp_port, media, refused
):
    async with box(
        tmp_path, unused_tcp_port, media, PASSWORD, onvif=PASSWORD, video=PASSWORD
    ) as all_of_it:
        clock, desk, seen, zoo, onvif = all_of_it
        await eventually(lambda: all(frames.total > 3 for frames in seen.frames.values()))
        await eventually(lambda: (f := desk.facts("gate")) and f.device)
        zoo.set_password("none yet")
        zoo.faults.disconnect = True
        address = seen.sessions[0]._address()
        await eventually(lambda: address.tries.refusals(address.secret, Face.VIDEO) == 2)
        await eventually(lambda: not zoo.server._connections)  # nobody waits there for his turn
        assert len(refused) == 2
        assert not any(s.status.state is CameraState.AUTH_FAILED for s in seen.sessions)
        zoo.server._credentials = Credentials(USERNAME, PASSWORD)
        before = [frames.total for frames in seen.frames.values()]
        clock.shift_s = VIDEO_RETRY_S / 5  # ONVIF asks by the minute
        await eventually(
            lambda: all(f.total > n + 3 for f, n in zip(seen.frames.values(), before, strict=True))
        )
        assert len(refused) <= 3  # one may have been under way as its users came back
        assert not onvif.refused_total


async def test_a_user_that_onvif_does_not_know_is_recorded_all_the_same(
    tmp_path, unused_tcp_port, media, refused
):
    async with box(
        tmp_path, unused_tcp_port, media, "geheim", onvif=PASSWORD, video="geheim"
    ) as all_of_it:
        _, desk, seen, zoo, onvif = all_of_it
        await eventually(lambda: all(frames.total > 3 for frames in seen.frames.values()))
        await eventually(lambda: desk.facts("gate").code == "camera.wrong_password")
        before = [frames.total for frames in seen.frames.values()]
        connects = [session.status.connects_total for session in seen.sessions]
        zoo.faults.disconnect = True
        await eventually(
            lambda: all(
                s.status.connects_total > n for s, n in zip(seen.sessions, connects, strict=True)
            )
        )
        zoo.faults.disconnect = False
        await eventually(
            lambda: all(f.total > n + 3 for f, n in zip(seen.frames.values(), before, strict=True))
        )
        assert not len(refused)
        assert 1 <= onvif.refused_total <= 2


async def test_a_user_that_only_onvif_knows_is_heard_after_the_pause(
    tmp_path, unused_tcp_port, media, refused
):
    async with box(
        tmp_path, unused_tcp_port, media, PASSWORD, onvif=PASSWORD, video="geheim"
    ) as all_of_it:
        clock, desk, seen, _, onvif = all_of_it
        await eventually(lambda: seen.is_in(CameraState.AUTH_FAILED))
        await eventually(lambda: desk.facts("gate").code == "camera.wrong_password")
        clock.shift_s = BACK_OFF_S + 65
        await eventually(lambda: (f := desk.facts("gate")) and f.device)
        await asyncio.to_thread(desk.relays("gate").make_safe)
        assert not onvif.refused_total
        assert len(refused) <= 2  # what ONVIF takes the video tries once more
