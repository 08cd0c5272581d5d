"""An RTMP client that publishes one video track (Adobe, "RTMP 1.0"), over TCP or TLS.

RTMP knows no login: the token goes where `{token}` stands in the address, else into its query.
"""

import secrets
import select
from collections.abc import Callable
from urllib.parse import quote, urlsplit

from agent.push import amf, flv_video
from agent.push.live_tap import Copied, Run
from agent.push.nal_units import Coding
from agent.push.relay_line import PushError, RelayLine, push_error
from agent.push.rtmp_chunks import (
    COMMAND,
    COMMAND_STREAM,
    DATA,
    VIDEO,
    VIDEO_STREAM,
    Message,
    Reader,
    chunk_size,
    pack,
    pong_to,
)

_VERSION, _HANDSHAKE_BYTES, _NOBODYS = b"\x03", 1536, 0
_CONNECT, _CREATE, _PUBLISH = 1, 2, 3
_HANGS_UP_WITHIN_S = 0.1  # how some say that a token is wrong, after a kind word
_AGENT = "FMLE/3.0 (compatible; Poleside)"  # what servers look for in a publisher


class RtmpPublisher:
    """One connection. Used by one thread; `may_go_on` is asked at least every 0.2 s of sending."""

    def __init__(
        self,
        url: str,
        token: str,
        coding: Coding,
        may_go_on: Callable[[], bool],
        ca: str = "",
        send_bytes: int = 0,
    ) -> None:
        """Connect and begin; see `RelayLine`.

        Raises `PushError` push.unreachable, untrusted, refused, not_a_relay or no_description.
        """
        try:
            self._description = flv_video.description(coding)
        except (ValueError, IndexError):
            raise push_error("no_description", "The camera does not describe its video.") from None
        self._reader, self._stream = Reader(), _NOBODYS
        self._first_dts: int | None = None
        self._line = RelayLine(url, may_go_on, ca, send_bytes)
        self._socket = self._line.socket
        self._app, self._name, self._where = _parts(url, token)
        self._is_taken = False
        try:
            self._begin(coding)
        except (OSError, ValueError) as error:
            self.cut()
            if self._is_taken:  # it knew us, and shut the door: what a wrong token comes to
                raise push_error("refused", "The relay refuses the push.") from None
            raise push_error(
                "not_a_relay", f"The relay does not answer: {type(error).__name__}."
            ) from None
        except PushError:
            self.cut()
            raise
        self._line.begun()

    @property
    def stalls(self) -> int:
        """How often the relay took nothing for a second."""
        return self._line.stalls

    def picture(self, run: Run, packet: Copied) -> int:
        """Send one picture; return its bytes on the line.

        Raises `PushError` push.stalled, push.lost, push.over, push.refused.
        """
        if self._first_dts is None:
            self._first_dts = packet.dts
        units = run.coding.units(packet.data)
        if packet.is_key:
            units = run.coding.with_sets(units)
        lead_ms = max(0, int((packet.pts - packet.dts) * run.tick_s * 1000))
        time_ms = max(0, int((packet.dts - self._first_dts) * run.tick_s * 1000))
        tag = flv_video.picture(run.coding, units, is_key=packet.is_key, lead_ms=lead_ms)
        data = pack(VIDEO_STREAM, VIDEO, tag, time_ms=time_ms, stream=self._stream)
        self._hear(self._line.send(data))
        return len(data)

    def end(self) -> None:
        """Say good-bye and close; nothing that waits to be sent goes out later."""
        self._line.end(
            lambda: self._socket.sendall(_command("deleteStream", 0, None, self._stream))
        )

    def cut(self) -> None:
        """Close at once; what the system has not sent yet is thrown away."""
        self._line.cut()

    def _begin(self, coding: Coding) -> None:
        self._shake_hands()
        about = {"app": self._app, "type": "nonprivate", "flashVer": _AGENT, "tcUrl": self._where}
        more = {"fourCcList": [flv_video.HEVC.decode()]} if coding.codec == "hevc" else {}
        connect = _command("connect", _CONNECT, {**about, **more})
        self._socket.sendall(chunk_size() + connect)
        self._answer(_CONNECT)
        self._is_taken = True
        self._socket.sendall(_command("createStream", _CREATE, None))
        match self._answer(_CREATE)[-1]:
            case float(number) if 0 <= number < 1 << 32:
                self._stream = int(number)
            case _:
                raise ValueError("no stream")
        publish = _command("publish", _PUBLISH, None, self._name, "live", stream=self._stream)
        self._socket.sendall(publish)
        self._answer(_PUBLISH)
        self._is_kept()
        codec = flv_video.AVC_ID if coding.codec == "h264" else int.from_bytes(flv_video.HEVC)
        told = amf.encode("@setDataFrame", "onMetaData", {"videocodecid": float(codec)})
        self._socket.sendall(
            pack(VIDEO_STREAM, DATA, told, stream=self._stream)
            + pack(VIDEO_STREAM, VIDEO, self._description, stream=self._stream)
        )

    def _shake_hands(self) -> None:
        ours = bytes(8) + secrets.token_bytes(_HANDSHAKE_BYTES - 8)
        self._socket.sendall(_VERSION + ours)
        theirs = self._exactly(1 + 2 * _HANDSHAKE_BYTES)
        if theirs[:1] != _VERSION:
            raise ValueError("another protocol")
        self._socket.sendall(theirs[1 : 1 + _HANDSHAKE_BYTES])

    def _exactly(self, size_bytes: int) -> bytes:
        data = b""
        while len(data) < size_bytes:
            more = self._socket.recv(size_bytes - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data

    def _answer(self, number: int) -> list[amf.Value]:
        """Wait for the answer to a command; `onStatus` is the one to `publish`."""
        while True:
            more = self._socket.recv(4096)
            if not more:
                raise ConnectionResetError
            for message in self._reader.feed(more):
                self._socket.sendall(pong_to(message))
                if message.kind != COMMAND:
                    continue
                values = amf.decode(message.body)
                if _is_refusal(values):
                    raise push_error("refused", "The relay refuses the push.")
                if values[:2] == ["_result", float(number)]:
                    return values
                if number == _PUBLISH and values[:1] == ["onStatus"]:
                    return values

    def _is_kept(self) -> None:
        if select.select([self._socket], [], [], _HANGS_UP_WITHIN_S)[0]:
            more = self._socket.recv(4096)
            if not more:
                raise ConnectionResetError
            self._hear(more)

    def _hear(self, heard: bytes) -> None:
        try:
            for message in self._reader.feed(heard):
                if answer := pong_to(message):
                    self._line.send(answer)
                if _ends(message):
                    raise push_error("refused", "The relay has ended the push.")
        except ValueError:
            raise push_error("lost", "The relay says what makes no sense.") from None


def _parts(url: str, token: str) -> tuple[str, str, str]:
    """Return the application, the stream's name with the token, and where the application is."""
    if "{token}" in url:
        url = url.replace("{token}", quote(token, safe=""))
    elif token:
        url += ("&" if "?" in url else "?") + "token=" + quote(token, safe="")
    parts = urlsplit(url)
    app, _, name = parts.path.strip("/").rpartition("/")
    if parts.query:
        name += f"?{parts.query}"
    return app, name, f"{parts.scheme}://{parts.netloc}/{app}"


def _command(name: str, number: int, *values: amf.Value, stream: int = 0) -> bytes:
    return pack(COMMAND_STREAM, COMMAND, amf.encode(name, number, *values), stream=stream)


def _is_refusal(values: list[amf.Value]) -> bool:
    if values[:1] == ["_error"]:
        return True
    about = values[-1] if values[:1] == ["onStatus"] else None
    return isinstance(about, dict) and about.get("level") == "error"


def _ends(message: Message) -> bool:
    return message.kind == COMMAND and _is_refusal(amf.decode(message.body))
