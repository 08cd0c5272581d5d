"""One RTSP client of the simulated camera: answers its requests, ties it to a live stream.

Synchronous throughout (an asyncio protocol): nothing here ever waits, so no task per client.
"""

import asyncio
import contextlib
import re
import secrets
import socket
import struct
from collections.abc import Callable, Mapping
from typing import cast

from agent.core import log
from agent.simulators.camera.digest import Credentials, DigestGate
from agent.simulators.camera.faults import Faults
from agent.simulators.camera.live_stream import LiveStream, Viewer
from agent.simulators.camera.loudspeaker import BACK_CHANNEL, Loudspeaker
from agent.simulators.camera.rtsp_messages import (
    Request,
    Response,
    RtspSyntaxError,
    take_request,
)
from agent.simulators.camera.wire_faults import WireFaults, hostile_answer

SESSION_TIMEOUT_S = 60

_CHANNELS = re.compile(r"interleaved=(\d{1,3})")


class RtspConnection(asyncio.Protocol):
    """State of one TCP connection: at most one session with one stream, as video-only needs."""

    def __init__(
        self,
        streams: Mapping[str, LiveStream],
        credentials: Credentials,
        faults: Faults,
        connections: set["RtspConnection"],
        saw_login: Callable[[], None],
    ) -> None:
        self._saw_login = saw_login
        self._streams, self._faults, self._connections = streams, faults, connections
        self._wire_faults = WireFaults(faults)
        self._gate = DigestGate(credentials)
        self._buffer = bytearray()
        self._session_id = secrets.token_hex(8)
        self._stream: LiveStream | None = None
        self._viewer: Viewer | None = None
        self._speaker: Loudspeaker | None = None
        self._speaker_channel = 0
        self._methods: dict[str, Callable[[Request], Response | None]] = {
            "OPTIONS": self._options,
            "DESCRIBE": self._describe,
            "SETUP": self._set_up,
            "PLAY": self._play,
            "GET_PARAMETER": self._get_parameter,
            "TEARDOWN": self._tear_down,
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._connections.discard(self)
        self._leave()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while (request := take_request(self._buffer, self._heard)) is not None:
                self._answer(request)
        except RtspSyntaxError:
            self._transport.write(Response(400).encode("0"))
            self._transport.close()

    def drop(self) -> None:
        """Cut the connection without a word, as a pulled plug does."""
        self._transport.abort()

    def reset(self) -> None:
        """Cut it with a TCP reset, as a camera that crashed and is back does."""
        sock = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # the client was faster
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _answer(self, request: Request) -> None:
        response = self._respond(request)
        if response is None or self._faults.stall or request.method == self._faults.hang:
            return
        answer = response.encode(request.headers.get("cseq", "0"))
        if self._faults.hostile and request.method == "DESCRIBE":
            answer = hostile_answer(self._faults.hostile, answer)
        answer = self._wire_faults.answer(answer)
        self._transport.write(answer[:1] if self._faults.drip else answer)

    def _respond(self, request: Request) -> Response | None:
        method = self._methods.get(request.method)
        if method is None:
            return Response(501)
        if self._faults.status and request.method == self._faults.status_of:
            return Response(self._faults.status)
        open_to_all = request.method == "OPTIONS"
        login = request.headers.get("authorization", "")
        if login:
            self._saw_login()
        if not open_to_all and not self._gate.admits(request.method, login):
            if login:
                log.get("simulated-camera").warning("login refused", by="rtsp")
            return Response(401, {"WWW-Authenticate": self._gate.challenge})
        return method(request)

    def _options(self, _: Request) -> Response:
        return Response(headers={"Public": ", ".join(self._methods)})

    def _describe(self, request: Request) -> Response | None:
        if self._faults.hang_describe:
            return None
        stream = self._streams.get(request.stream_name)
        if stream is None:
            return Response(404)
        headers = {
            "Content-Base": request.uri.rstrip("/") + "/",
            "Content-Type": "application/sdp",
        }
        sound = stream.sound.sdp if stream.sound else ()
        if BACK_CHANNEL in request.headers.get("require", ""):
            if stream.speaker is None:
                return Response(551)
            sound = (*sound, *stream.speaker.sdp)
        sdp = stream.media.sdp(with_sets=not self._faults.no_sets_in_sdp, sound=sound)
        return Response(headers=headers, body=sdp)

    def _set_up(self, request: Request) -> Response:
        stream = self._streams.get(request.stream_name)
        if stream is None:
            return Response(404)
        transport = request.headers.get("transport", "")
        if "RTP/AVP/TCP" not in transport:
            return Response(461)
        found = _CHANNELS.search(transport)
        channel = int(found[1]) if found else 0
        if channel > 254:
            return Response(400)
        if request.uri.endswith("trackID=2") and stream.speaker is not None:
            self._speaker, self._speaker_channel = stream.speaker, channel
            self._stream = stream
        elif request.uri.endswith("trackID=1") and self._viewer is not None:
            self._viewer.audio_channel = channel
            stream.audio_set_ups_total += 1
        else:
            self._leave()
            self._stream, self._viewer = stream, Viewer(self._transport, channel)
        answer = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1};ssrc={stream.ssrc:08X}"
        session = f"{self._session_id};timeout={SESSION_TIMEOUT_S}"
        return Response(headers={"Transport": answer, "Session": session})

    def _play(self, request: Request) -> Response:
        is_set_up = self._viewer is not None or self._speaker is not None
        if self._stream is None or not is_set_up or not self._is_own_session(request):
            return Response(454)
        if self._viewer is not None:
            self._stream.add(self._viewer)
        return Response(headers={"Session": self._session_id, "Range": "npt=now-"})

    def _get_parameter(self, request: Request) -> Response:
        return Response() if self._is_own_session(request) else Response(454)

    def _tear_down(self, request: Request) -> Response:
        if not self._is_own_session(request):
            return Response(454)
        self._leave()
        return Response()

    def _is_own_session(self, request: Request) -> bool:
        given = request.headers.get("session", self._session_id)
        return given.partition(";")[0].strip() == self._session_id

    def _leave(self) -> None:
        if self._stream is not None and self._viewer is not None:
            self._stream.remove(self._viewer)
        self._stream = self._viewer = self._speaker = None

    def _heard(self, frame: bytes) -> None:
        """Take what the client says; reports of receivers come the same way."""
        if self._speaker is not None and frame[1] == self._speaker_channel:
            self._speaker.hear(frame[16:])
