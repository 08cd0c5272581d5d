"""Whether who answers at a camera's RTSP address gets its login. Camera workers.

What our camera showed there (MAC address, certificate, realm) is kept, and compared before each
login; two keys that agree are enough. Where they are fewer (behind a router, on plain RTSP) the
core is asked, which looks by ONVIF. An unknown never stops recording for long; one who shows
himself as another gets nothing until a technician says so.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from agent.core import log
from agent.core.shown import Shown, Verdict, learned, weigh
from agent.core.whole_file import write_whole
from agent.ingest import refusals
from agent.messages.worker import Recognised, Word

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.core.clock import Clock
    from agent.ingest.admission import Asking
    from agent.settings.model import CameraSettings

PEER_FILE, SUB_PEER_FILE = "peer.json", "peer-sub.json"
ANSWER_S = 0.5  # a try to open the stream waits so long for the core
PATIENCE_S = 6.0  # when the core says nothing for so long, what is known must do
VAIN_ASKS = 6  # and to so many questions: one that was lost long ago says nothing of now
FORGET_S = 60.0
FRESH_S = 3.0


class Peer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the camera showed at the address in the settings (`given`).

    `in_clear`: that is how it asked for its password when it was accepted.
    """

    given: str
    shown: Shown = Shown()
    in_clear: bool = False


class _InVain(NamedTuple):
    """Questions to the core without an answer, and since when."""

    since_s: float
    asks: int
    last_s: float


class StreamDoor:
    """One camera's; `agent.ingest.admission.Admission`. Shared by the threads of its streams.

    `ask` is set once the line to the core is there; it asks the core and does not wait.
    """

    def __init__(
        self, camera: CameraSettings, folder: Path, clock: Clock, *, of_sub: bool = False
    ) -> None:
        """`of_sub`: of the sub stream, where the settings have it come from another place."""
        self._file, self._clock = folder / (SUB_PEER_FILE if of_sub else PEER_FILE), clock
        given = place_of(camera.main_url) or place_of(camera.onvif_url)
        self._given = place_of(camera.sub_url) if of_sub else given
        self._has_onvif = bool(camera.onvif_url)
        self._log = log.get("stream-door").bind(camera=camera.camera_id)
        peer = _read(self._file)
        self._peer = peer if peer is not None and peer.given == self._given else None
        self.ask: Callable[[str], None] | None = None
        self._words: dict[str, tuple[Word, float]] = {}
        self._in_vain: dict[str, _InVain] = {}
        self._told = threading.Condition()

    def admit(self, asking: Asking) -> None:
        """Return when the login may be sent. Raises `CameraError` camera.stranger, unreachable."""
        peer, host = self._peer, asking.host
        if peer is None:
            return  # the technician has just said that the camera is there
        verdict = weigh(peer.shown, asking.shown)
        if verdict is not Verdict.OURS:
            word = self._word_of(host)
            if word is Word.STRANGER or (verdict is Verdict.STRANGER and word is not Word.OURS):
                raise refusals.stranger(host)
            if word is None and not self._is_in_vain(host):
                raise refusals.unreachable(host, "who answers there is not known yet")
        if asking.in_clear and not peer.in_clear:
            self._log.warning("password asked for in clear, not given", host=host)
            raise refusals.in_clear(host)

    def opened(self, asking: Asking) -> None:
        """Video came: what is shown there is our camera's."""
        self._in_vain.clear()
        peer = self._peer or Peer(given=self._given, in_clear=asking.in_clear)
        known = msgspec.structs.replace(peer, shown=learned(peer.shown, asking.shown))
        if known != self._peer:
            self._peer = known
            with suppress(OSError):  # then it is learned again after the next start
                write_whole(self._file, msgspec.json.encode(known), 0o600)

    def told(self, message: Recognised) -> None:
        """Take the core's word."""
        with self._told:
            if message.word is Word.ACCEPTED:
                self._peer = None
                self._words.clear()
                with suppress(OSError):  # else the one before is back at the next start
                    self._file.unlink(missing_ok=True)
            else:
                self._words[message.host] = message.word, self._clock.monotonic_s()
                self._in_vain.pop(message.host, None)
            self._told.notify_all()

    def _word_of(self, host: str) -> Word | None:
        """Ask the core who is there; None while it says nothing."""
        if not self._has_onvif or self.ask is None:
            return Word.UNKNOWN
        asked_s = self._clock.monotonic_s()
        with self._told:
            word, at_s = self._words.get(host, (None, 0.0))
            if word is not None and asked_s - at_s < FRESH_S:
                return word
            self.ask(host)
            self._told.wait_for(lambda: self._words.get(host, (None, 0.0))[1] >= asked_s, ANSWER_S)
            word, at_s = self._words.get(host, (None, 0.0))
            if word is not None and at_s >= asked_s:
                return word
            before = self._in_vain.get(host)
            if before is None or asked_s - before.last_s > FORGET_S:
                before = _InVain(asked_s, 0, asked_s)
            self._in_vain[host] = _InVain(before.since_s, before.asks + 1, asked_s)
            return None

    def _is_in_vain(self, host: str) -> bool:
        told = self._in_vain.get(host)
        if told is None or told.asks < VAIN_ASKS:
            return False
        return self._clock.monotonic_s() - told.since_s > PATIENCE_S


def place_of(url: str) -> str:
    """Return host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.hostname else ""


def _read(file: Path) -> Peer | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Peer)
    except (OSError, msgspec.MsgspecError):
        return None
