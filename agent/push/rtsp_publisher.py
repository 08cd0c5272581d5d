"""An RTSP client that publishes (RFC 2326, ANNOUNCE and RECORD) one video track over TCP or TLS.

Not libav's: PyAV holds the interpreter's lock while libav connects, so a silent relay would stop
the recording of the whole worker; and a socket of our own can be cut in an instant.
"""

import base64
import fcntl
import select
import socket
import ssl
import struct
import termios
from array import array
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

from agent.core.errors import PolesideError
from agent.push.nal_units import Coding
from agent.push.rtp import CLOCK_HZ, PAYLOAD_TYPE
from agent.push.rtp_jpeg import JpegTrack
from agent.push.rtsp_login import Login

_ANSWER_S, _SLICE_S, _STALL_S, _DEAD_S = 3.0, 0.2, 1.0, 5.0
_END_TRIES, _END_LOOK_S = 15, 0.02
_MOST_ANSWER_BYTES = 16 * 1024
_PORTS = {"rtsp": 554, "rtsps": 322}


class PushError(PolesideError):
    """The relay can't be reached, refuses, or does not take what is sent."""


class RtspPublisher:
    """One connection. Used by one thread; `may_go_on` is asked at least every 0.2 s of sending."""

    def __init__(
        self,
        url: str,
        token: str,
        coding: Coding | JpegTrack,
        may_go_on: Callable[[], bool],
        ca: str = "",
        send_bytes: int = 0,
    ) -> None:
        """Connect and begin. `ca`: PEM of the one authority that may vouch for the relay.

        `send_bytes` bounds what waits in the system; 0 leaves that to it.

        Raises `PushError` push.unreachable, untrusted, refused or not_a_relay.
        """
        self._url, self._may_go_on, self._login = url, may_go_on, Login(token)
        self._seq, self._session = 0, ""
        self._challenges: list[str] = []
        self.stalls = 0
        try:
            self._socket = _connect(url, ca, send_bytes)
        except ssl.SSLCertVerificationError:
            raise _error("untrusted", "The relay can't prove who it is.") from None
        except OSError as error:
            raise _error(
                "unreachable", f"The relay can't be reached: {type(error).__name__}."
            ) from None
        try:
            self._begin(coding)
        except (OSError, ValueError) as error:
            self.cut()
            raise _error(
                "not_a_relay", f"The relay does not answer: {type(error).__name__}."
            ) from None
        except PushError:
            self.cut()
            raise
        self._socket.settimeout(_SLICE_S)

    def send(self, data: bytes) -> None:
        """Send interleaved packets. Raises `PushError` push.stalled, push.lost, push.over."""
        view, waited_s = memoryview(data), 0.0
        try:
            while view:
                if not self._may_go_on():
                    raise _error("over", "The push is over.")
                try:
                    view = view[self._socket.send(view) :]
                    waited_s = 0.0
                except TimeoutError:
                    self.stalls += waited_s < _STALL_S <= waited_s + _SLICE_S
                    waited_s += _SLICE_S
                    if waited_s >= _DEAD_S:
                        raise _error("stalled", "The relay takes nothing more.") from None
            self._hear()
        except OSError as error:
            raise _error("lost", f"The line to the relay ended: {type(error).__name__}.") from None

    def end(self) -> None:
        """Say good-bye and close; nothing that waits to be sent goes out later."""
        try:
            self._ask("TEARDOWN", wait=False)
            if self._is_all_sent():
                self._socket.close()
                return
        except OSError:
            pass  # it takes nothing more
        self.cut()

    def cut(self) -> None:
        """Close at once; what the system has not sent yet is thrown away."""
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            self._socket.close()

    def _is_all_sent(self) -> bool:
        """Give the system a moment to send what it holds (ioctl SIOCOUTQ, tcp(7))."""
        held = array("i", [0])
        for _ in range(_END_TRIES):
            fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, held)
            if held[0] == 0:
                return True
            select.select([], [], [], _END_LOOK_S)
        return False

    def _begin(self, coding: Coding | JpegTrack) -> None:
        sdp = _sdp(coding)
        status = self._ask("ANNOUNCE", {"Content-Type": "application/sdp"}, sdp)
        if status == 401 and self._login.challenged(self._challenges):
            status = self._ask("ANNOUNCE", {"Content-Type": "application/sdp"}, sdp)
        transport = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1;mode=record"}
        if status == 200:
            status = self._ask("SETUP", transport, path="/trackID=0")
        if status == 200:
            status = self._ask("RECORD", {"Range": "npt=0.000-"})
        if status != 200:
            raise _error("refused", f"The relay refuses the push ({status}).")

    def _ask(
        self,
        method: str,
        headers: dict[str, str] | None = None,
        body: str = "",
        *,
        path: str = "",
        wait: bool = True,
    ) -> int:
        """Send a request; return the answer's status."""
        self._seq += 1
        every = {"CSeq": str(self._seq), "User-Agent": "Poleside"} | (headers or {})
        if self._session:
            every["Session"] = self._session
        if login := self._login.header(method, self._url + path):
            every["Authorization"] = login
        if body:
            every["Content-Length"] = str(len(body.encode()))
        lines = [f"{method} {self._url}{path} RTSP/1.0"]
        lines += [f"{name}: {text}" for name, text in every.items()]
        self._socket.sendall(("\r\n".join([*lines, "", ""]) + body).encode())
        return self._answer() if wait else 0

    def _answer(self) -> int:
        head = bytearray()
        while b"\r\n\r\n" not in head:
            more = self._socket.recv(1)  # nothing behind the answer may be taken along
            if not more or len(head) > _MOST_ANSWER_BYTES:
                raise ValueError("no answer")
            head += more
        first, *lines = head.decode("utf-8", "replace").split("\r\n")
        self._challenges = [
            text.strip()
            for name, _, text in (line.partition(":") for line in lines)
            if name.lower() == "www-authenticate"
        ]
        fields = {name.lower(): text.strip() for name, _, text in (x.partition(":") for x in lines)}
        self._skip(int(fields.get("content-length", "0")))
        self._session = fields.get("session", self._session).partition(";")[0]
        return int(first.split(" ")[1])

    def _skip(self, size_bytes: int) -> None:
        while size_bytes > 0:
            got = len(self._socket.recv(min(size_bytes, _MOST_ANSWER_BYTES)))
            if not got:
                return
            size_bytes -= got

    def _hear(self) -> None:
        """Take what the relay says (reports, answers) off the line; nobody needs it."""
        while select.select([self._socket], [], [], 0)[0]:
            try:
                heard = self._socket.recv(4096)
            except (TimeoutError, ssl.SSLWantReadError):
                return
            if not heard:
                raise ConnectionResetError


def _connect(url: str, ca: str, send_bytes: int) -> socket.socket:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    plain = socket.create_connection((host, port), timeout=_ANSWER_S)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if send_bytes:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_bytes)
    if parts.scheme == "rtsp":
        return plain
    try:
        return cast("socket.socket", _trust(ca).wrap_socket(plain, server_hostname=host))
    except OSError:
        plain.close()
        raise


def _trust(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca or None)  # without one, also $SSL_CERT_FILE
    except ssl.SSLError:  # no certificate at all: then nobody is trusted
        raise ssl.SSLCertVerificationError from None


def _sdp(coding: Coding | JpegTrack) -> str:
    head = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=Poleside", "c=IN IP4 0.0.0.0", "t=0 0"]
    track = coding.sdp if isinstance(coding, JpegTrack) else _track(coding)
    return "\r\n".join([*head, *track, "a=control:trackID=0", ""])


def _track(coding: Coding) -> list[str]:
    """Describe the track (RFC 6184 section 8.1, RFC 7798 section 7.1)."""
    encoded = [base64.b64encode(unit).decode() for unit in coding.sets]
    if coding.codec == "h264":
        name, fmtp = "H264", "packetization-mode=1"
        if encoded:
            profile = coding.sets[0][1:4].hex().upper()
            fmtp += f";profile-level-id={profile};sprop-parameter-sets={','.join(encoded)}"
    else:
        kinds = {32: "sprop-vps", 33: "sprop-sps", 34: "sprop-pps"}
        name = "H265"
        fmtp = ";".join(
            f"{kinds[(unit[0] >> 1) & 63]}={text}"
            for unit, text in zip(coding.sets, encoded, strict=True)
        )
    return [
        f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
        f"a=rtpmap:{PAYLOAD_TYPE} {name}/{CLOCK_HZ}",
        *([f"a=fmtp:{PAYLOAD_TYPE} {fmtp}"] if fmtp else []),
    ]


def _error(what: str, message: str) -> PushError:
    return PushError(
        f"push.{what}", message, hint="Look at the relay and the line to it.", retryable=True
    )
