"""The detect process: loads the model, times itself, answers all camera workers.

It keeps nothing worth keeping: when it hangs or dies, the supervisor starts it anew and the
workers go on with motion only meanwhile.
"""

import contextlib
import os
import signal
import threading
from pathlib import Path

import msgspec

from agent.app.child import SupervisorLink
from agent.app.run_dir import DETECT_SOCKET, run_dir
from agent.core import log
from agent.core.clock import Clock, SystemClock
from agent.detect.detector import open_detector
from agent.detect.server import serve
from agent.messages.capacity import CAPACITY_FILE, DetectorCapacity
from agent.settings.model import Settings

BEAT_S = 1.0


def run(settings: Settings, link: SupervisorLink) -> int:
    """Body of the process; returns its exit code."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    clock = SystemClock()
    with contextlib.suppress(OSError):
        os.nice(settings.detector.nice)  # recording goes first
    folder = run_dir(settings)
    model_folder = Path(settings.detector.model) if settings.detector.model else None
    detector = open_detector(model_folder, threads=settings.detector.threads)
    inference_ms = detector.self_timing()
    capacity = DetectorCapacity(
        model=detector.manifest.model,
        sha256=detector.manifest.sha256,
        backend=detector.backend_name,
        inference_ms=round(inference_ms, 2),
        measured_at=clock.utc_now(),
    )
    (folder / CAPACITY_FILE).write_bytes(msgspec.json.encode(capacity))
    log.get("detect").info("ready", model=capacity.model, inference_ms=capacity.inference_ms)
    serve(folder / DETECT_SOCKET, detector, _Beats(link, clock, stop).beat, stop)
    return 0


class _Beats:
    """Passes on at most one beat a second, and stops the server when the supervisor is gone."""

    def __init__(self, link: SupervisorLink, clock: Clock, stop: threading.Event) -> None:
        self._link, self._clock, self._stop = link, clock, stop
        self._last_s = float("-inf")

    def beat(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._last_s < BEAT_S:
            return
        self._last_s = now_s
        self._link.beat({})
        try:
            self._link.receive()
        except EOFError:
            self._stop.set()
