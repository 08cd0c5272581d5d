"""Requests and answers of one RTSP connection of ours (RFC 2326), with the login it asks for."""

import socket
from collections.abc import Callable
from dataclasses import dataclass

from agent.push.relay_line import RelayLine
from agent.push.rtsp_login import Login

_MOST_ANSWER_BYTES = 16 * 1024

Admit = Callable[[socket.socket, list[str]], None]


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have lower-case names; of several alike the last."""

    status: int
    headers: dict[str, str]
    challenges: list[str]
    body: str


class RtspDialog:
    """Used by one thread. Raises `OSError` and `ValueError` for what is no answer."""

    def __init__(self, line: RelayLine, login: Login, admit: Admit = lambda *_: None) -> None:
        """`admit` raises when who asks for the login shall not have it."""
        self._socket, self._login, self._admit = line.socket, login, admit
        self._seq, self._session = 0, ""

    def ask(
        self, method: str, url: str, headers: dict[str, str] | None = None, body: str = ""
    ) -> Answer:
        """Send a request, again with a login where one is asked for; return the answer."""
        self.say(method, url, headers, body)
        answer = self._answer()
        if answer.status == 401 and self._login.challenged(answer.challenges):
            self._admit(self._socket, answer.challenges)
            self.say(method, url, headers, body)
            answer = self._answer()
        return answer

    def say(
        self, method: str, url: str, headers: dict[str, str] | None = None, body: str = ""
    ) -> None:
        """Send a request whose answer nobody waits for."""
        self._seq += 1
        every = {"CSeq": str(self._seq), "User-Agent": "Poleside"} | (headers or {})
        if self._session:
            every["Session"] = self._session
        if login := self._login.header(method, url):
            every["Authorization"] = login
        if body:
            every["Content-Length"] = str(len(body.encode()))
        lines = [f"{method} {url} RTSP/1.0", *(f"{name}: {text}" for name, text in every.items())]
        self._socket.sendall(("\r\n".join([*lines, "", ""]) + body).encode())

    def _answer(self) -> Answer:
        head = bytearray()
        while b"\r\n\r\n" not in head:
            more = self._socket.recv(1)  # nothing behind the answer may be taken along
            if not more or len(head) > _MOST_ANSWER_BYTES:
                raise ValueError("no answer")
            head += more
            if head[:1] == b"$":  # media may come before it
                self._exactly(int.from_bytes(self._exactly(3)[1:]))
                head.clear()
        first, *lines = head.decode("utf-8", "replace").split("\r\n")
        pairs = [
            (name.lower(), text.strip()) for name, _, text in (x.partition(":") for x in lines)
        ]
        fields = dict(pairs)
        self._session = fields.get("session", self._session).partition(";")[0]
        size_bytes = int(fields.get("content-length", "0"))
        if not 0 <= size_bytes <= _MOST_ANSWER_BYTES:
            raise ValueError("an answer too long")
        return Answer(
            _status(first),
            fields,
            [text for name, text in pairs if name == "www-authenticate"],
            self._exactly(size_bytes).decode("utf-8", "replace"),
        )

    def _exactly(self, size_bytes: int) -> bytes:
        data = b""
        while len(data) < size_bytes:
            more = self._socket.recv(size_bytes - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data


def _status(line: str) -> int:
    version, _, rest = line.partition(" ")
    if not version.startswith("RTSP/"):
        raise ValueError("no RTSP")
    return int(rest[:3])
