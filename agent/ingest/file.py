"""A video file played as a camera would send it: one packet at its time, then the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from agent.core.clock import Clock, wait_s
from agent.core.errors import CameraError
from agent.ingest.source import STRANGE_BYTES, video_of


class FileSource:
    """The first video stream of a file, paced in real time by its decoding times."""

    looks_after_itself = False

    def __init__(self, path: str, clock: Clock) -> None:
        self._clock = clock
        self._container: InputContainer = _open(path)
        try:
            self.template, self.facts = video_of(self._container)
        except CameraError:
            self._container.close()
            raise

    def packets(self) -> Iterator[Packet[VideoStream]]:
        nobody = threading.Event()
        began_s = first_s = None
        try:
            for packet in self._container.demux(self.template):
                if packet.dts is None:  # the demuxer's empty last one
                    continue
                media_s = float(packet.dts * self.facts.time_base)
                now_s = self._clock.monotonic_s()
                if began_s is None or first_s is None:
                    began_s, first_s = now_s, media_s
                wait_s(nobody, began_s + media_s - first_s - now_s)
                yield packet
        except STRANGE_BYTES as error:
            raise _unreadable(str(error)) from error

    def close(self) -> None:
        self._container.close()


def _open(path: str) -> InputContainer:
    try:
        return av.open(path, metadata_errors="replace")
    except STRANGE_BYTES as error:
        raise _unreadable(str(error)) from error


def _unreadable(why: str) -> CameraError:
    return CameraError(
        "camera.no_such_stream",
        f"The file can't be read as video: {why}.",
        hint="Give the path of an MP4 or MKV file with H.264 or H.265.",
    )
