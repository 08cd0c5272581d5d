"""The detect process: chooses model and engine, times itself, answers all camera workers.

It keeps nothing worth keeping: when it hangs or dies, the supervisor starts it anew and the
workers go on with motion only meanwhile. An engine that hangs or crashes three times in half an
hour gives way to the next one; when none is left the process stays, says so, and tries again later.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import msgspec

from agent.app.child import SupervisorLink
from agent.app.engine_choice import engines_here
from agent.app.memory import RECYCLED
from agent.app.model_choice import model_choice
from agent.app.run_dir import DETECT_SOCKET, run_dir
from agent.core import log
from agent.core.clock import Clock, SystemClock
from agent.core.errors import DetectorError
from agent.core.patience import Patience
from agent.detect.backends.opening import runnable
from agent.detect.choice import ModelChoice, self_test
from agent.detect.detector import Detector, open_detector
from agent.detect.engine_order import measured_order, named_first
from agent.detect.engine_record import WITHIN_S, EngineRecord
from agent.detect.manifest import Manifest, load_manifest
from agent.detect.model_signature import check_signature
from agent.detect.server import serve
from agent.detect.shadow import Agreement, Shadowed
from agent.messages.capacity import CAPACITY_FILE, DetectorCapacity, ShapeCapacity
from agent.messages.engines import Engine
from agent.settings.model import Settings
from hardware.interface import Accelerator
from hardware.pick import pick_board

BEAT_S = 1.0
TELL_SHADOW_S = 600.0
BETTER_AGAIN_S = 6 * 3600.0  # so long on a lesser engine or file, then the better one is tried

Tell = Callable[[], None]


def run(settings: Settings, link: SupervisorLink) -> int:
    """Body of the process; returns its exit code."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    clock = SystemClock()
    with contextlib.suppress(OSError):
        os.nice(settings.detector.nice)  # recording goes first
    folder = run_dir(settings)
    (folder / DETECT_SOCKET).unlink(missing_ok=True)  # nobody listens until the engine is proven
    choice, record = model_choice(settings), EngineRecord(folder, clock)
    beats = _Beats(link, clock, stop)
    order = _Order(settings, choice, record, beats.beat)
    try:
        detector = choice.open(settings.detector.threads, order, record)
    except DetectorError as error:
        return _without(error, order, beats, stop, folder, clock)
    shapes = _timed(detector, beats.beat)
    inference_ms = max(shape.inference_ms for shape in shapes)
    capacity = DetectorCapacity(
        model=detector.manifest.model,
        sha256=detector.manifest.sha256,
        backend=detector.backend_name,
        inference_ms=inference_ms,
        shapes=shapes,
        measured_at=clock.utc_now(),
        engine=detector.engine,
        left_out=order.left_out(),
        lost=order.lost(detector.manifest),
        is_measured=detector.manifest.is_measured,
    )
    (folder / CAPACITY_FILE).write_bytes(msgspec.json.encode(capacity))
    log.get("detect").info(
        "ready", model=capacity.model, engine=detector.engine, inference_ms=capacity.inference_ms
    )
    asked = _shadowed(detector, choice, settings)
    beats.agreement = asked.agreement if isinstance(asked, Shadowed) else None
    is_less = bool(capacity.left_out or capacity.lost)
    beats.until_s = clock.monotonic_s() + BETTER_AGAIN_S if is_less else float("inf")
    serve(folder / DETECT_SOCKET, asked, beats.beat, stop, inference_ms / 1000)
    record.done()
    return RECYCLED if beats.is_over else 0


def _timed(detector: Detector, tell: Tell) -> tuple[ShapeCapacity, ...]:
    """Time the model on pictures of each shape; a file no camera is for shall cost no memory."""
    shapes = []
    for form in detector.manifest.forms:
        tell()
        shapes.append(
            ShapeCapacity(
                width_px=form.input.width_px,
                height_px=form.input.height_px,
                sha256=form.sha256,
                inference_ms=round(detector.self_timing(form.input.shape), 2),
            )
        )
    detector.rest()
    return tuple(shapes)


def _without(
    error: DetectorError,
    order: "_Order",
    beats: "_Beats",
    stop: threading.Event,
    folder: Path,
    clock: Clock,
) -> int:
    """No engine works: say so, let the cameras see motion only, and try again in a while."""
    log.get("detect").error("motion only", code=error.code, detail=error.message)
    capacity = DetectorCapacity(
        measured_at=clock.utc_now(), left_out=tuple(order.known), why=error.message
    )
    (folder / CAPACITY_FILE).write_bytes(msgspec.json.encode(capacity))
    beats.until_s = clock.monotonic_s() + WITHIN_S
    while not stop.wait(BEAT_S / 2):
        beats.beat()
    return RECYCLED if beats.is_over else 0


class _Order:
    """The engines for a model on this box, best first."""

    def __init__(
        self, settings: Settings, choice: ModelChoice, record: EngineRecord, tell: Tell
    ) -> None:
        self._settings, self._choice, self._record, self._tell = settings, choice, record, tell
        self.known: list[Engine] = []
        self._whole: Manifest | None = None

    def __call__(self, folder: Path, manifest: Manifest) -> list[Engine]:
        told, self._whole = self._settings.detector, manifest
        chips: tuple[Accelerator, ...] = ()
        if len(runnable(manifest)) > 1:  # else a chip that hangs would be asked for nothing
            board = pick_board(kind=self._settings.board.kind)
            chips = Patience().ask("detector chip", board.accelerators.read, ())
        engines = engines_here(manifest, chips)
        if told.engine is not None:
            self.known = named_first(told.engine, engines)
        else:
            self.known = measured_order(
                engines, manifest, folder, self._choice.memory, told.threads, self._tell
            )
        return self.known

    def left_out(self) -> tuple[Engine, ...]:
        """Return the engines that are left alone now, though they should come first."""
        if self._whole is None:
            return ()
        left = self._record.left(self._whole.sha256, self.known)
        return tuple(engine for engine in self.known if engine not in left)

    def lost(self, used: Manifest) -> tuple[str, ...]:
        """Return the files of the model that could not be used."""
        whole = () if self._whole is None else self._whole.forms
        return tuple(form.file for form in whole if form.input not in used.inputs)


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
        second.rest()  # a file for pictures that never come
        return Shadowed(detector, second, told.shadow_share)
    except DetectorError as error:
        log.get("detect").error("no shadow", code=error.code, detail=error.message)
        return detector


class _Beats:
    """Passes on at most one beat a second, and ends the process when nobody wants it any longer."""

    def __init__(self, link: SupervisorLink, clock: Clock, stop: threading.Event) -> None:
        self._link, self._clock, self._stop = link, clock, stop
        self._last_s, self._told_s = float("-inf"), clock.monotonic_s()
        self.agreement: Agreement | None = None
        self.until_s, self.is_over = float("inf"), False

    def beat(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._last_s < BEAT_S:
            return
        self._last_s = now_s
        if self.agreement is not None and now_s - self._told_s >= TELL_SHADOW_S:
            self._told_s = now_s
            log.get("detect").info("shadow", **asdict(self.agreement))
        if now_s >= self.until_s:
            self.is_over = True
            self._stop.set()
        self._link.beat({})
        try:
            self._link.receive()
        except EOFError:
            self._stop.set()
