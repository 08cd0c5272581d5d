"""A simulated camera in a thread of the test, and a sink that notes what a session hands on."""

import asyncio
import threading
from dataclasses import dataclass, field
from fractions import Fraction

from agent.core.clock import SystemClock
from agent.ingest.session import IngestSession, StreamAddress
from agent.simulators.camera.digest import Credentials
from agent.simulators.camera.faults import Faults
from agent.simulators.camera.live_stream import LiveStream
from agent.simulators.camera.rtsp_server import RtspServer

PATIENCE_S = 30.0


class _CountingServer(RtspServer):
    connects_total = 0

    def _new_connection(self):
        self.connects_total += 1
        return super()._new_connection()


class CameraThread:
    """A camera whose power a test holds: `with camera:` is on, its port stays its own."""

    def __init__(self, media, port=0, password="geheim"):
        self.media, self.port, self.password = media, port, password
        self.faults = Faults()

    def __enter__(self):
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="camera")
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(PATIENCE_S)

    @property
    def url(self):
        return f"rtsp://127.0.0.1:{self.port}/main"

    @property
    def connects_total(self):
        return self._server.connects_total

    def jump(self, seconds):
        """Let the stream's time stamps jump, as after a camera's clock was set."""
        self._loop.call_soon_threadsafe(self._jump, seconds)

    def _jump(self, seconds):
        self.stream._first_90k += round(seconds * 90_000)

    async def _serve(self):
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        clock = SystemClock()
        self.stream = LiveStream({"": self.media}, lambda: "", clock, self.faults)
        self._server = _CountingServer(
            {"main": self.stream},
            host="127.0.0.1",
            port=self.port,
            credentials=Credentials("admin", self.password),
            clock=clock,
            faults=self.faults,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._server.serve())
                await self._server.listening.wait()
                self.port = self._server.port
                self._ready.set()
        except asyncio.CancelledError:
            return


@dataclass
class Run:
    times: list[Fraction] = field(default_factory=list)
    keys: list[bool] = field(default_factory=list)
    cause: str | None = None

    @property
    def steps(self):
        return {after - before for before, after in zip(self.times, self.times[1:], strict=False)}


class Notes:
    """A sink: every run with its packets' media times and its end."""

    def __init__(self):
        self.runs: list[Run] = []

    def run_started(self, stream, facts):
        self.runs.append(Run())

    def packet(self, packet, arrived_mono_s):
        self.runs[-1].times.append(packet.dts * packet.time_base)
        self.runs[-1].keys.append(packet.is_keyframe)

    def run_ended(self, cause):
        self.runs[-1].cause = cause

    @property
    def ended(self):
        return [run for run in self.runs if run.cause is not None]


class Watcher:
    """An ingest session in its thread, stopped at the end of a `with` block."""

    def __init__(self, url, sink, *, password="geheim", stall_s=1.0):
        self.sink, self.stop = sink, threading.Event()
        self.session = IngestSession(
            "main",
            lambda: StreamAddress(url, "admin", password),
            sink,
            SystemClock(),
            self.stop,
            stall_s=stall_s,
        )
        self._thread = threading.Thread(target=self.session.run, name="session")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    @property
    def status(self):
        return self.session.status


def eventually(condition, what="the condition"):
    """Wait in a thread until `condition()` is true."""
    clock, nobody = SystemClock(), threading.Event()
    until_s = clock.monotonic_s() + PATIENCE_S
    while not condition():
        assert clock.monotonic_s() < until_s, f"{what} did not come true"
        nobody.wait(0.02)
