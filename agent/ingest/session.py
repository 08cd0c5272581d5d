"""Keeps one stream coming: connect, hand packets on, notice every kind of end, come back.

Runs in one thread of a camera worker. A *run* is one unbroken session: its packets have one
timeline and one video format; anything that breaks them ends the run with a cause.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from av.error import FFmpegError

from agent.core import log
from agent.core.clock import Clock, wait_s
from agent.core.errors import CameraError
from agent.core.login_record import REFUSED, Face
from agent.core.login_tries import IN_DOUBT, LoginHeldError, LoginTries
from agent.core.retry import Backoff
from agent.ingest import refusals
from agent.ingest.handfuls import Handfuls
from agent.ingest.readers import Readers
from agent.ingest.rtsp import broken_off
from agent.ingest.run_cutter import PacketSink, RunCutter
from agent.ingest.source import OnSound, Pace, Source, StreamAddress, StreamFacts, open_source
from agent.ingest.timeline import Dating
from agent.ingest.tries import OpenPatience
from agent.ingest.wire.reader import WireSource  # noqa: F401 - loaded before workers are forked
from agent.ingest.wire.strange import NotUnderstood
from agent.messages.worker import CameraState, StreamStatus

__all__ = ["IngestSession", "PacketSink", "StreamAddress"]

# A try costs the box 10 ms of CPU, and a camera on its own LAN little more: be back soon.
RECONNECT_FIRST_S, RECONNECT_CAP_S = 0.3, 1.0
STRANGER_EVERY_S = 3.0

_STATE_OF_CODE = {
    "camera.wrong_password": CameraState.AUTH_FAILED,
    "camera.not_a_camera": CameraState.NOT_A_CAMERA,
    "camera.no_video": CameraState.NOT_A_CAMERA,
    "camera.codec": CameraState.NOT_A_CAMERA,
    "camera.no_such_stream": CameraState.NOT_A_CAMERA,
}


class IngestSession:
    """One stream of one camera. `status` may be read from any thread."""

    def __init__(
        self,
        name: str,
        address: Callable[[], StreamAddress | None],
        sink: PacketSink,
        clock: Clock,
        stop: threading.Event,
        *,
        stall_s: float,
        gather_s: Callable[[], float] = lambda: 0.0,
        before_gathering: Callable[[], None] = lambda: None,
        on_sound: OnSound | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`gather_s`: how long what comes may wait before it is read; see `Pace`.

        `on_sound` takes the packets of the sound track, where the address allows it. `on_change` is
        called when `status` tells another state.
        """
        self._on_sound, self.on_change = on_sound, on_change
        self.sound_fault: str | None = None
        self._name, self._address, self._sink, self._clock = name, address, sink, clock
        self._stop, self._stall_s = stop, stall_s
        self._pace, self._readers = Pace(stop, gather_s, before_gathering), Readers()
        self._handfuls = Handfuls(clock, self._pace)
        self._restart = threading.Event()
        self._backoff = Backoff(RECONNECT_FIRST_S, RECONNECT_CAP_S)
        self._patience = OpenPatience(clock)
        self._tries = LoginTries(clock)  # where the address brings none
        self._log = log.get(f"ingest.{name}")
        self._status = StreamStatus(name=name, state=CameraState.CONNECTING, since=clock.utc_now())
        self._frames = self._bytes = self._connects = 0
        self._last_frame_mono_s: float | None = None
        self._fps = _RateMeter()
        self.last_progress_mono_s = clock.monotonic_s()

    @property
    def status(self) -> StreamStatus:
        """What to tell the core: state, cause and counters."""
        base = self._status
        return StreamStatus(
            name=base.name,
            state=base.state,
            since=base.since,
            code=base.code,
            detail=base.detail,
            codec=base.codec,
            width_px=base.width_px,
            height_px=base.height_px,
            fps=self._fps.per_s if base.state is CameraState.ONLINE else None,
            frames_total=self._frames,
            bytes_total=self._bytes,
            connects_total=self._connects,
            last_frame_mono_s=self._last_frame_mono_s,
        )

    def run(self) -> None:
        """Thread body: until stopped, connect and hand packets on."""
        while not self._stop.is_set():
            self._progressed()
            self._restart.clear()
            address = self._address()
            if address is None:  # ONVIF has not told the address yet
                wait_s(self._stop, 0.5)
                continue
            began_s = self._clock.monotonic_s()
            every_s = self._one_connection(address)
            self._wait(address, began_s + every_s)

    def restart(self) -> None:
        """Connect anew with fresh addresses and login, at once."""
        self._backoff.reset()
        self._restart.set()

    def _progressed(self) -> None:
        self.last_progress_mono_s = self._clock.monotonic_s()

    def _wait(self, tried: StreamAddress, until_s: float) -> None:
        """Wait for the next try. Another address or password is tried at once."""
        while not self._restart.is_set():
            left_s = max(until_s - self._clock.monotonic_s(), self._held_s(tried))
            if left_s <= 0:
                return
            self._progressed()
            if wait_s(self._stop, min(0.2, left_s)) or self._address() != tried:
                return

    def _held_s(self, tried: StreamAddress) -> float:
        """Return how long the camera is to be left alone with this login."""
        if self._status.code not in (REFUSED, IN_DOUBT):
            return 0.0
        return (tried.tries or self._tries).left_s(tried.secret, Face.VIDEO)

    def _one_connection(self, address: StreamAddress) -> float:
        """Connect, stream until something ends it; return the time from this try to the next."""
        self._connects += 1
        began_s = self._clock.monotonic_s()
        try:
            source = self._opened(address)
        except CameraError as error:
            return self._failed(error)
        self._progressed()  # opening and the first packet may each take their full time
        self._patience.opened_in(self._clock.monotonic_s() - began_s)
        self.sound_fault = source.facts.sound_fault
        try:
            cause = self._stream(source)
        except NotUnderstood as reason:
            self._readers.not_understood(reason)
            return 0.0
        except (CameraError, FFmpegError, OSError) as error:
            return self._spent_s(began_s) + self._failed(broken_off(error, address.url))
        finally:
            source.close()
        if cause == "stopped":
            return 0.0
        return self._spent_s(began_s) + self._failed(refusals.lost())

    def _opened(self, address: StreamAddress) -> Source:
        """Open the stream; what it thinks of the login is noted for all lines to the camera."""
        patience = self._patience.for_next_try(self._stall_s)
        trial = (address.tries or self._tries).trial(address.secret, Face.VIDEO)
        tried = replace(address, trial=trial)
        try:
            source = open_source(
                tried, patience, self._clock, self._on_sound, self._pace, self._readers
            )
            trial.taken()
        except CameraError as error:
            is_refused = error.code == REFUSED and not isinstance(error, LoginHeldError)
            if is_refused and trial.refused():
                raise refusals.unsettled(address.secret.host) from error
            raise
        finally:
            trial.close()
        return source

    def _spent_s(self, began_s: float) -> float:
        return self._clock.monotonic_s() - began_s

    def _stream(self, source: Source) -> str:
        """Hand packets on until the stream ends; the sink is told why in every case."""
        runs = RunCutter(
            source,
            self._sink,
            self._clock,
            stall_s=self._stall_s,
            on_run=lambda: self._online(source.facts),
            on_packet=self._count,
            on_key=self._patience.key_after,
        )
        cause = "camera-closed"
        dating, tick_s = Dating(), float(source.facts.time_base)
        self._handfuls.begin()
        try:
            for undated in source.packets():
                if self._stop.is_set() or self._restart.is_set():
                    cause = "stopped"
                    break
                self._progressed()
                size_bytes = undated.size
                packets = dating.take(undated) if size_bytes else ()
                for packet in packets:
                    runs.take(packet)
                if not packets:
                    runs.check_silence()
                if not source.looks_after_itself:
                    dts = undated.dts
                    self._handfuls.took(size_bytes, None if dts is None else dts * tick_s)
        except (FFmpegError, CameraError, OSError) as error:
            code = broken_off(error, "").code
            if code != "camera.lost":  # a line that breaks is as good as one that is closed
                cause = code.removeprefix("camera.")
            raise
        finally:
            runs.end(cause)
        return cause

    def _count(self, size_bytes: int, now_s: float) -> None:
        self._frames += 1
        self._bytes += size_bytes
        self._last_frame_mono_s = now_s
        self._fps.count(now_s)

    def _online(self, facts: StreamFacts) -> None:
        self._backoff.reset()
        self._fps = _RateMeter()
        self._log.info("stream online", codec=facts.codec, width_px=facts.width_px)
        self._status = StreamStatus(
            name=self._name,
            state=CameraState.ONLINE,
            since=self._clock.utc_now(),
            codec=facts.codec,
            width_px=facts.width_px,
            height_px=facts.height_px,
        )
        self.on_change()

    def _failed(self, error: CameraError) -> float:
        state = _STATE_OF_CODE.get(error.code, CameraState.LOST)
        since = self._status.since if self._status.state is state else self._clock.utc_now()
        if self._status.code != error.code:
            self._log.warning("stream lost", code=error.code, detail=error.message)
        self._status = StreamStatus(
            name=self._name, state=state, since=since, code=error.code, detail=error.message
        )
        self.on_change()
        delay_s = self._backoff.next_s()
        return STRANGER_EVERY_S if error.code == "camera.stranger" else delay_s


class _RateMeter:
    """Frames a second over the last few seconds."""

    def __init__(self) -> None:
        self._since_mono_s: float | None = None
        self._count = 0
        self.per_s: float | None = None

    def count(self, now_s: float) -> None:
        if self._since_mono_s is None:
            self._since_mono_s = now_s
            return
        self._count += 1
        span_s = now_s - self._since_mono_s
        if span_s >= 3.0:
            self.per_s = round(self._count / span_s, 2)
            self._since_mono_s, self._count = now_s, 0
