"""Chooses who reads an RTSP camera: our own reader, or libav's for what ours does not understand.

One a session. What libav has to read, it goes on reading until the camera's address changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.core import log
from agent.core.errors import CameraError
from agent.ingest.wire.strange import NotUnderstood

if TYPE_CHECKING:
    from agent.core.clock import Clock
    from agent.ingest.source import OnSound, Pace, Patience, Source, StreamAddress

# Ours may be at fault when nothing but nonsense comes: after so many tries in a row libav has one.
_TRIES = 3
_MAYBE_OURS = frozenset({"camera.garbled", "camera.not_a_camera", "camera.no_video"})


class Readers:
    """Remembers which reader understands the camera, and why."""

    def __init__(self, *, own: bool = True) -> None:
        """`own` False: libav's reader only."""
        self._own = own
        self._address: StreamAddress | None = None
        self._not_understood: str | None = None
        self._tries = 0

    def open(
        self,
        address: StreamAddress,
        patience: Patience,
        clock: Clock,
        on_sound: OnSound | None,
        pace: Pace,
    ) -> Source:
        """Open the stream with the reader for it. Raises `CameraError`."""
        if address != self._address:
            self._address, self._not_understood, self._tries = address, None, 0
        if self._own and not address.audio and not self._not_understood and self._tries < _TRIES:
            try:
                return self._open_own(address, patience, clock, pace)
            except NotUnderstood as reason:
                self.not_understood(reason)
        return self._open_libav(address, patience, clock, on_sound)

    def not_understood(self, reason: NotUnderstood) -> None:
        """The open stream turned out to be of a kind that only libav's reader knows."""
        self._not_understood = str(reason)
        log.get("ingest.reader").warning("libav's reader is used", reason=self._not_understood)

    def _open_own(
        self, address: StreamAddress, patience: Patience, clock: Clock, pace: Pace
    ) -> Source:
        from agent.ingest.wire.reader import WireSource  # noqa: PLC0415 - where it is used

        try:
            source = WireSource(address, patience, clock, pace)
        except CameraError as error:
            self._tries = self._tries + 1 if error.code in _MAYBE_OURS else 0
            raise
        self._tries = 0
        return source

    def _open_libav(
        self, address: StreamAddress, patience: Patience, clock: Clock, on_sound: OnSound | None
    ) -> Source:
        from agent.ingest.rtsp import RtspSource  # noqa: PLC0415 - where it is used

        is_trial, self._tries = self._tries >= _TRIES, 0
        source = RtspSource(address, patience, clock, on_sound)
        if is_trial:
            self.not_understood(NotUnderstood("our reader could not open it"))
        return source
