"""Where a camera's streams are: from the settings, else as ONVIF told, now or at an earlier start.

Worker processes only.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Protocol

import msgspec
from av.audio.stream import AudioStream
from av.packet import Packet

from agent.app.stream_door import StreamDoor, place_of
from agent.core.clock import Clock
from agent.core.login_tries import tries_of
from agent.ingest.session import IngestSession, PacketSink, StreamAddress
from agent.ingest.source import TlsTrust
from agent.messages.worker import UseStreams
from agent.settings.camera_secret import password_of
from agent.settings.model import CameraSettings

STREAMS_FILE = "streams.json"
# How long the main stream's frames may gather, for nothing is looked at: what a kill costs is this,
# for each handful is written at once. Half a second is allowed.
GATHER_S, WATCHED_GATHER_S = 0.45, 0.1


class StoringSink(PacketSink, Protocol):
    """Who takes the main stream's packets, and those of its sound where they are allowed."""

    @property
    def is_watched(self) -> bool:
        """Whether somebody sees the stream live just now."""
        ...

    def sound(self, packet: Packet[AudioStream], /) -> None: ...

    def flush(self) -> None: ...


class Streams:
    """One camera's addresses; ONVIF's are kept in `folder` for the next start."""

    def __init__(
        self,
        camera: CameraSettings,
        folder: Path,
        clock: Clock,
        *,
        audio: bool = False,
        data_dir: Path | None = None,
    ) -> None:
        """`audio`: the center allows, signed, that the main stream's sound is recorded.

        In `data_dir` lies the password, if the box gave the camera one of its own.
        """
        self._camera, self._folder, self.audio = camera, folder, audio
        self._data_dir = data_dir
        self.tries = tries_of(data_dir, camera.camera_id, clock)
        self.door = self._sub_door = StreamDoor(camera, folder, clock)
        if camera.sub_url and place_of(camera.sub_url) != place_of(camera.main_url):
            self._sub_door = StreamDoor(camera, folder, clock, of_sub=True)
        self._known = _read(folder)

    @property
    def doors(self) -> set[StreamDoor]:
        """Who is asked before the login goes out: two, where the streams come from two places."""
        return {self.door, self._sub_door}

    @property
    def fixed(self) -> bool:
        """Whether the camera can't turn, as far as is known."""
        return self._known is None or not self._known.has_ptz

    @property
    def has_sub(self) -> bool:
        """Whether the camera has a second stream, as far as is known."""
        camera = self._camera
        known = camera.sub_url or (self._known and self._known.sub_url)
        return bool(known) or camera.main_url.startswith("csi:")

    def use(self, told: UseStreams) -> bool:
        """Take ONVIF's addresses; return whether they are news."""
        is_news = self._known != told
        self._known = told
        if is_news:
            _write(self._folder, told)
        return is_news

    def main(self) -> StreamAddress | None:
        known = self._known.main_url if self._known else ""
        return self._address(self._camera.main_url or known, audio=self.audio)

    def sub(self) -> StreamAddress | None:
        """Return the sub stream; a camera that has only one is looked at through that."""
        if self._camera.sub_url:
            address = self._address(self._camera.sub_url)
            return address and replace(address, door=self._sub_door)
        if (main := self._camera.main_url).startswith("csi:"):  # a sensor always has both
            return self._address(f"{main}{'&' if '?' in main else '?'}stream=sub")
        if self._known and self._known.sub_url:
            return self._address(self._known.sub_url)
        return self._address(self._camera.main_url or (self._known.main_url if self._known else ""))

    def _address(self, url: str, *, audio: bool = False) -> StreamAddress | None:
        if not url:
            return None
        camera = self._camera
        trust = TlsTrust(camera.tls_ca_file, camera.tls_host, camera.tls_verify)
        password = password_of(self._data_dir, camera)
        return StreamAddress(url, camera.username, password, trust, audio, self.door, self.tries)


def main_session(
    camera: CameraSettings, streams: Streams, sink: StoringSink, clock: Clock, stop: Event
) -> IngestSession:
    """Return the session of the stream that is recorded."""
    return IngestSession(
        "main",
        streams.main,
        sink,
        clock,
        stop,
        stall_s=camera.stall_s,
        gather_s=lambda: WATCHED_GATHER_S if sink.is_watched else GATHER_S,
        before_gathering=sink.flush,
        on_sound=sink.sound,
    )


def _read(folder: Path) -> UseStreams | None:
    try:
        return msgspec.json.decode((folder / STREAMS_FILE).read_bytes(), type=UseStreams)
    except (OSError, msgspec.MsgspecError):
        return None


def _write(folder: Path, told: UseStreams) -> None:
    scratch = folder / f"{STREAMS_FILE}.tmp"
    with suppress(OSError):
        scratch.write_bytes(msgspec.json.encode(told))
        scratch.replace(folder / STREAMS_FILE)
