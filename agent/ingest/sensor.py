"""A camera sensor on the board's ribbon, shared: one owner of the hardware, any number of readers.

libcamera gives a sensor to one owner only, and the worker reads two streams of it in two threads:
the first reader starts it with both encoders, the last one stops it. Written to picamera2's manual
(`create_video_configuration` with `lores`, `start_encoder(…, name=…)`, `Output.outputframe`).
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import Any

from agent.core.errors import CameraError

_MAX_WAITING = 120  # frames; a reader that can't keep up loses all until the next key frame
_LORES = {"main": "main", "sub": "lores"}  # our word, picamera2's

Frame = tuple[bytes, bool, int]


@dataclass(frozen=True, slots=True)
class SensorMode:
    """How a sensor is run; sizes in pixels. The first reader's mode is that of all."""

    number: int
    main_px: tuple[int, int]
    sub_px: tuple[int, int]
    fps: int


class Reader:
    """One reader's frames of one stream; they begin with a key frame."""

    def __init__(self) -> None:
        self.frames: queue.Queue[Frame] = queue.Queue(_MAX_WAITING)
        self._needs_key = True

    def take(self, frame: Frame) -> None:
        """Called by the encoder's thread; never waits."""
        self._needs_key = self._needs_key and not frame[1]
        if self._needs_key:
            return
        try:
            self.frames.put_nowait(frame)
        except queue.Full:
            self._needs_key = True


class Sensor:
    """One running sensor."""

    def __init__(self, mode: SensorMode) -> None:
        """Start it. Raises `CameraError` camera.unreachable."""
        self._readers: dict[str, list[Reader]] = {stream: [] for stream in _LORES}
        self._camera = self._start(mode)

    def attach(self, stream: str) -> Reader:
        reader = Reader()
        self._readers[stream] = [*self._readers[stream], reader]  # the encoder's thread reads it
        return reader

    def detach(self, reader: Reader) -> bool:
        """Let a reader go; return whether it was the last."""
        for stream, readers in self._readers.items():
            self._readers[stream] = [one for one in readers if one is not reader]
        return not any(self._readers.values())

    def stop(self) -> None:
        self._camera.stop_recording()
        self._camera.close()

    def _start(self, mode: SensorMode) -> Any:
        try:
            from picamera2 import Picamera2  # type: ignore[import-not-found] # noqa: PLC0415 - only on a Pi
            from picamera2.encoders import (  # type: ignore[import-not-found] # noqa: PLC0415
                H264Encoder,
            )
            from picamera2.outputs import Output  # type: ignore[import-not-found] # noqa: PLC0415
        except ImportError as error:
            raise CameraError(
                "camera.unreachable",
                "This box has no software for a camera sensor.",
                hint="Install Poleside with its extra `pi` on a Raspberry Pi.",
            ) from error
        all_readers = self._readers

        class Frames(Output):  # type: ignore[misc] # picamera2 has no types
            """Called by the encoder's thread; never waits."""

            def __init__(self, stream: str) -> None:
                super().__init__()
                self._stream = stream

            def outputframe(
                self, frame: bytes, keyframe: bool = True, timestamp: int = 0, *_: Any, **__: Any
            ) -> None:
                taken = (bytes(frame), keyframe, timestamp)
                for reader in all_readers[self._stream]:
                    reader.take(taken)

        camera: Any = None
        try:
            camera = Picamera2(mode.number)
            camera.configure(
                camera.create_video_configuration(
                    main={"size": mode.main_px},
                    lores={"size": mode.sub_px, "format": "YUV420"},
                    controls={"FrameRate": mode.fps},
                )
            )
            for stream, name in _LORES.items():
                encoder = H264Encoder(repeat=True, iperiod=mode.fps)
                camera.start_encoder(encoder, Frames(stream), name=name)
            camera.start()
        except (RuntimeError, ValueError, LookupError, OSError) as error:
            if camera is not None:  # left open it would be in use at each further try
                camera.close()
            raise CameraError(
                "camera.unreachable",
                f"The camera sensor {mode.number} does not start: {error}.",
                hint="Check its ribbon cable, and that no other program has it.",
                retryable=True,
            ) from error
        return camera


_running: dict[int, Sensor] = {}
_lock = threading.Lock()


def attach(mode: SensorMode, stream: str) -> Reader:
    """Return a reader of `main` or `sub`; starts the sensor. Raises `CameraError`."""
    with _lock:
        sensor = _running.get(mode.number)
        if sensor is None:
            sensor = _running[mode.number] = Sensor(mode)
        return sensor.attach(stream)


def detach(mode: SensorMode, reader: Reader) -> None:
    """Let a reader go; with the last one the sensor is stopped."""
    with _lock:
        sensor = _running.get(mode.number)
        if sensor is not None and sensor.detach(reader):
            del _running[mode.number]
            sensor.stop()
