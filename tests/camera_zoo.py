"""Many simulated cameras and many sessions in one process, and what a fault did to each.

The cameras run in one event loop, each session in a thread with a real recorder behind it, as in a
camera's worker. All faults come at the same moment, so that a whole zoo takes as long as one.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from agent.core.clock import SystemClock
from agent.ingest.session import IngestSession, StreamAddress
from agent.messages.worker import CameraState
from agent.simulators.camera.digest import Credentials
from agent.simulators.camera.faults import Faults
from agent.simulators.camera.live_stream import LiveStream
from agent.simulators.camera.rtsp_server import RtspServer
from tests.recording import Tape

PATIENCE_S = 40.0
STALL_S = 2.0
CLOCK = SystemClock()


class ZooCamera:
    """One camera, whose view, faults and password a test may change at any time."""

    def __init__(self, views, *, sound=None, tls=None):
        self.views, self.view = views, next(iter(views))
        self.faults = Faults()
        self.password, self.connects_total, self.refused_total = "geheim", 0, 0
        self.stream = LiveStream(views, lambda: self.view, CLOCK, self.faults, sound=sound)
        self.server = RtspServer(
            {"main": self.stream},
            host="127.0.0.1",
            port=0,
            credentials=Credentials("admin", self.password),
            clock=CLOCK,
            faults=self.faults,
            tls=tls,
        )

    @property
    def url(self):
        return f"rtsp://127.0.0.1:{self.server.port}/main"

    def set_password(self, password):
        """From now on the camera wants another password."""
        self.password = password
        self.server._credentials = Credentials("admin", password)


class CameraLoop:
    """Runs cameras in one event loop of its own thread, for the length of a `with` block."""

    def __init__(self, cameras):
        self._cameras = cameras

    def __enter__(self):
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="cameras")
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(PATIENCE_S)

    async def _serve(self):
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        with contextlib.suppress(asyncio.CancelledError):
            async with asyncio.TaskGroup() as tasks:
                for camera in self._cameras:
                    tasks.create_task(camera.server.serve())
                for camera in self._cameras:
                    await camera.server.listening.wait()
                self._ready.set()


@dataclass
class Run:
    began_mono_s: float
    codec: str
    arrivals: list[float] = field(default_factory=list)
    times: list[tuple] = field(default_factory=list)  # (dts, pts) in seconds
    cause: str | None = None

    @property
    def steps(self):
        dts = [dts for dts, _ in self.times]
        return {after - before for before, after in pairwise(dts)}


class Visitor:
    """A session with a recorder behind it, and notes of all that came."""

    def __init__(self, camera, folder: Path, *, stall_s=STALL_S):
        self.camera, self.stop = camera, threading.Event()
        self.login = ("admin", "geheim")
        self.runs: list[Run] = []
        self.tape = Tape(folder, CLOCK)
        self.session = IngestSession("main", self._address, self, CLOCK, self.stop, stall_s=stall_s)
        self.thread = threading.Thread(target=self.session.run, name=f"session-{folder.name}")

    def _address(self):
        return StreamAddress(self.camera.url, *self.login)

    def run_started(self, stream, facts):
        self.runs.append(Run(CLOCK.monotonic_s(), facts.codec))
        size_px = (facts.width_px, facts.height_px)
        self.tape.recorder.run_started(stream, facts.codec, size_px, facts.sound)

    def packet(self, packet, arrived_mono_s):
        run = self.runs[-1]
        run.arrivals.append(arrived_mono_s)
        run.times.append((packet.dts * packet.time_base, packet.pts * packet.time_base))
        self.tape.recorder.packet(packet, arrived_mono_s)

    def run_ended(self, cause):
        self.runs[-1].cause = cause
        self.tape.recorder.run_ended(cause)

    def frames_since(self, mono_s, count):
        """Return whether the present run has `count` frames that came after `mono_s`."""
        if self.session.status.state is not CameraState.ONLINE or not self.runs:
            return False
        return len([at for at in self.runs[-1].arrivals[-count:] if at > mono_s]) >= count

    def recovery_s(self, well_mono_s):
        """Return how long after `well_mono_s` the last run had a frame."""
        return next(at for at in self.runs[-1].arrivals if at >= well_mono_s) - well_mono_s

    def gaps(self):
        return self.tape.rows("gaps")


@contextlib.contextmanager
def visits(visitors):
    """Run the visitors' sessions for the length of a `with` block."""
    for visitor in visitors:
        visitor.thread.start()
    try:
        yield
    finally:
        for visitor in visitors:
            visitor.stop.set()
        for visitor in visitors:
            visitor.thread.join(PATIENCE_S)
        alive = [visitor.thread.name for visitor in visitors if visitor.thread.is_alive()]
        assert not alive, f"sessions that did not end: {alive}"


def pause(seconds):
    threading.Event().wait(seconds)


def eventually(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    """Wait until `condition()` holds; else fail and say `what()`."""
    until_s = CLOCK.monotonic_s() + PATIENCE_S
    while not condition():
        assert CLOCK.monotonic_s() < until_s, what()
        pause(0.05)


@contextlib.contextmanager
def black_hole(port):
    """Hold a port whose SYNs are never answered: its queue of connections is full."""
    with contextlib.ExitStack() as held:
        hole = held.enter_context(socket.socket())
        hole.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hole.bind(("127.0.0.1", port))
        hole.listen(0)
        for _ in range(4):
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        yield
