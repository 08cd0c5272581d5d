"""The detect process: loads the model, times itself, answers all camera workers.

It keeps nothing worth keeping: when it hangs or dies, the supervisor starts it anew and the
workers go on with motion only meanwhile.
"""

import contextlib
import os
import signal
import threading
from dataclasses import asdict
from pathlib import Path

import msgspec

from agent.app.child import SupervisorLink
from agent.app.model_choice import model_choice
from agent.app.run_dir import DETECT_SOCKET, run_dir
from agent.core import log
from agent.core.clock import Clock, SystemClock
from agent.core.errors import DetectorError
from agent.detect.choice import ModelChoice, self_test
from agent.detect.detector import Detector, open_detector
from agent.detect.manifest import load_manifest
from agent.detect.model_signature import check_signature
from agent.detect.server import serve
from agent.detect.shadow import Agreement, Shadowed
from agent.messages.capacity import CAPACITY_FILE, DetectorCapacity
from agent.settings.model import Settings

BEAT_S = 1.0
TELL_SHADOW_S = 600.0


def run(settings: Settings, link: SupervisorLink) -> int:
    """Body of the process; returns its exit code."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    clock = SystemClock()
    with contextlib.suppress(OSError):
        os.nice(settings.detector.nice)  # recording goes first
    folder = run_dir(settings)
    choice = model_choice(settings)
    detector = choice.open(settings.detector.threads)
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
    asked = _shadowed(detector, choice, settings)
    beats = _Beats(link, clock, stop, asked.agreement if isinstance(asked, Shadowed) else None)
    serve(folder / DETECT_SOCKET, asked, beats.beat, stop, inference_ms / 1000)
    return 0


def _shadowed(detector: Detector, choice: ModelChoice, settings: Settings) -> Detector | Shadowed:
    """Put the model that is tried into the shadow; a bad one costs nothing but a line."""
    told = settings.detector
    if not told.shadow_model:
        return detector
    folder = Path(told.shadow_model)
    try:
        check_signature(folder, load_manifest(folder), choice.keys_file)
        second = open_detector(folder, threads=told.threads)
        self_test(second)
        return Shadowed(detector, second, told.shadow_share)
    except DetectorError as error:
        log.get("detect").error("no shadow", code=error.code, detail=error.message)
        return detector


class _Beats:
    """Passes on at most one beat a second, and stops the server when the supervisor is gone."""

    def __init__(
        self,
        link: SupervisorLink,
        clock: Clock,
        stop: threading.Event,
        agreement: Agreement | None = None,
    ) -> None:
        self._link, self._clock, self._stop = link, clock, stop
        self._agreement, self._told_s = agreement, clock.monotonic_s()
        self._last_s = float("-inf")

    def beat(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._last_s < BEAT_S:
            return
        self._last_s = now_s
        if self._agreement is not None and now_s - self._told_s >= TELL_SHADOW_S:
            self._told_s = now_s
            log.get("detect").info("shadow", **asdict(self._agreement))
        self._link.beat({})
        try:
            self._link.receive()
        except EOFError:
            self._stop.set()
