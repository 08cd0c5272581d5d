"""Carries one voice from the center to a loudspeaker, as fast as it is spoken, then ends.

Started by the core for one order (`TalkOrder` on its standard input, `TalkEnd` on its output); ends
by itself when the core is gone.
"""

import os
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import msgspec
from av.audio.frame import AudioFrame

from agent.app.child import orphaned
from agent.app.streams import Streams
from agent.buffer.reading import camera_folder
from agent.core import log
from agent.core.clock import Clock, SystemClock, wait_s
from agent.core.errors import CameraError, PolesideError
from agent.core.login_record import Face
from agent.core.login_tries import Trial
from agent.ingest.source import StreamAddress
from agent.ingest.wire.dialog import asking_of
from agent.messages.talk import TalkEnd, TalkOrder
from agent.push.back_channel import BackChannel, LoginRefusedError
from agent.push.live_pace import LivePace
from agent.push.voice import CHUNK_S, Telephone, plain, voice
from agent.settings.model import CameraSettings
from hardware.pick import pick_board
from hardware.speaker import SpeakerError

_AHEAD_S = 0.1  # so much is sent before it is due: what a network needs


class Mouth(Protocol):
    """A loudspeaker that is spoken through now."""

    def say(self, chunk: AudioFrame) -> None:
        """Let 20 ms be heard."""
        ...

    def close(self) -> None:
        """Be silent."""
        ...


def main() -> None:
    """Run for one order."""
    parent_pid = os.getppid()
    order = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=TalkOrder)
    log.configure("talk", "warning")
    end = carry(order, SystemClock(), lambda: not orphaned(parent_pid))
    sys.stdout.buffer.write(msgspec.msgpack.encode(end))


def carry(order: TalkOrder, clock: Clock, may_go_on: Callable[[], bool]) -> TalkEnd:
    """Let the voice be heard; return how it went."""
    nobody, begun_s, said_s, pace = threading.Event(), 0.0, 0.0, LivePace()
    mouth: Mouth | None = None
    try:
        for chunk in voice(order.source_url, order.ca, live=order.live):
            if mouth is None:  # nobody is disturbed before there is something to be heard
                mouth, begun_s = _mouth(order, may_go_on), clock.monotonic_s()
            now_s = clock.monotonic_s()
            if (now_s - begun_s if order.live else said_s) >= order.for_s or not may_go_on():
                break
            if order.live and not pace.takes(now_s, CHUNK_S):
                continue
            mouth.say(chunk)
            said_s += CHUNK_S
            if not order.live:
                wait_s(nobody, begun_s + said_s - _AHEAD_S - clock.monotonic_s())
    except PolesideError as error:
        return TalkEnd(said_s=said_s, code=error.code, message=error.message, hint=error.hint)
    except SpeakerError as error:
        hint = "Look at the speaker and the sound device (`aplay -l`)."
        return TalkEnd(said_s=said_s, code="talk.no_speaker", message=str(error), hint=hint)
    finally:
        if mouth is not None:
            until_s = pace.heard_at_s if order.live else begun_s + said_s
            wait_s(nobody, until_s - clock.monotonic_s())  # let it be said to the end
            mouth.close()
    return TalkEnd(said_s=said_s)


def _mouth(order: TalkOrder, may_go_on: Callable[[], bool]) -> Mouth:
    return _Camera(order, may_go_on) if order.camera_json else _Box(order)


class _Camera:
    def __init__(self, order: TalkOrder, may_go_on: Callable[[], bool]) -> None:
        camera = msgspec.json.decode(order.camera_json, type=CameraSettings)
        data_dir = Path(order.data_dir)
        folder = camera_folder(data_dir, camera.camera_id)
        address = Streams(camera, folder, SystemClock(), data_dir=data_dir).main()
        if address is None or not address.url.startswith("rtsp"):
            raise CameraError(
                "talk.no_speaker",
                f"Camera {camera.camera_id} can't be spoken through.",
                hint="It needs an RTSP stream with ONVIF's audio back-channel.",
            )
        parts = urlsplit(address.url)
        place = parts.netloc.rpartition("@")[2]
        ca = Path(address.tls.ca_file).read_text() if address.tls.ca_file else ""
        url = urlunsplit(parts._replace(netloc=place))
        self._channel = _opened(address, url, may_go_on, ca)
        self._telephone = Telephone(self._channel.law)

    def say(self, chunk: AudioFrame) -> None:
        self._channel.send(self._telephone.coded(chunk))

    def close(self) -> None:
        with suppress(PolesideError):
            self._channel.end()


def _opened(
    address: StreamAddress, url: str, may_go_on: Callable[[], bool], ca: str
) -> BackChannel:
    """Open the way to the loudspeaker; who asks for the login gets it as for video.

    Raises `CameraError`, `PushError`.
    """
    secret, tries = address.secret, address.tries
    trial: Trial | None = tries.trial(secret, Face.VIDEO) if tries is not None else None

    def admit(line: socket.socket, challenges: list[str]) -> None:
        if address.door is not None:
            address.door.admit(asking_of(address, line, challenges))
        if trial is not None:
            trial.begin()

    try:
        channel = BackChannel(url, secret.username, secret.password, may_go_on, ca, admit)
        if trial is not None:
            trial.taken()
    except LoginRefusedError:
        if trial is not None:
            trial.refused()
        raise
    finally:
        if trial is not None:
            trial.close()
    return channel


class _Box:
    def __init__(self, order: TalkOrder) -> None:
        board = pick_board(kind=order.board_kind, lines_folder=Path(order.lines_folder))
        self._speaker = board.speaker.open()

    def say(self, chunk: AudioFrame) -> None:
        self._speaker.write(plain(chunk))

    def close(self) -> None:
        self._speaker.close()


if __name__ == "__main__":
    main()
