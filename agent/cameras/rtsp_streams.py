"""The streams of a camera without ONVIF: the makers' known RTSP paths, tried with a login.

The login goes out on a technician's word alone, a path at a time, by digest where the camera asks
for one; at the first refusal all is over. Blocking; for the set-up page.
"""

import base64
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from agent.cameras.credentials import DigestChallenge
from agent.cameras.port import CameraBadResponse, CameraUnreachable, CameraWrongPassword, Login
from agent.cameras.rtsp_paths import Answered, TriedPath, try_paths
from agent.core.clock import Clock

TRY_S, LOGIN_S = 20.0, 30.0  # for all paths together
_ANSWER_S = 3.0
_MOST_HEAD_BYTES, _MOST_BODY_BYTES = 8 * 1024, 32 * 1024
_CODING = re.compile(r"a=rtpmap:\d{1,3} ([A-Za-z0-9-]{1,16})/")


@dataclass(frozen=True, slots=True)
class RtspStream:
    """One that there is; `encoding` as in its description, "" where that doesn't say."""

    role: str
    url: str
    encoding: str


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    challenges: tuple[str, ...]
    body: str


def answering(host: str, port: int, clock: Clock) -> tuple[TriedPath, ...]:
    """Return the known paths that may be streams, asked without a login; empty when none answers.

    Where any are open to all, only those. Raises `CameraUnreachable`.
    """
    until_s, tried = clock.monotonic_s() + TRY_S, list[TriedPath]()
    try:
        for one in try_paths(host, port):
            if one.answered is not Answered.NOTHING:
                tried.append(one)
            if clock.monotonic_s() > until_s:
                break
    except CameraUnreachable:  # it has enough of so many questions
        if not tried:
            raise
    return tuple(one for one in tried if one.answered is Answered.STREAM) or tuple(tried)


def streams(
    host: str, port: int, tried: Iterable[TriedPath], login: Login, clock: Clock
) -> tuple[RtspStream, ...]:
    """Return the main stream, and the same maker's sub stream if there is one; the first that fits.

    Raises `CameraWrongPassword` at the first refusal, `CameraUnreachable`, `CameraBadResponse`.
    """
    until_s, asked = clock.monotonic_s() + LOGIN_S, dict[str, str | None]()
    found: dict[str, RtspStream] = {}
    maker = ""
    for one in tried:
        is_fit = one.stream not in found and maker in ("", one.maker)
        if not is_fit or (one.stream == "sub" and not found) or clock.monotonic_s() > until_s:
            continue
        url = f"rtsp://{host}:{port}{one.path}"
        try:
            if url not in asked:
                asked[url] = _described(host, port, url, login, clock)
        except CameraWrongPassword:
            if not found:
                raise
            break  # some say so of paths that they don't have
        encoding = asked[url]
        if encoding is not None:
            found[one.stream] = RtspStream(one.stream, url, encoding)
            maker = one.maker
    return tuple(found.values())


def _described(host: str, port: int, url: str, login: Login, clock: Clock) -> str | None:
    """Return how the stream is encoded, None when there is none."""
    until_s = clock.monotonic_s() + _ANSWER_S
    try:
        with socket.create_connection((host, port), timeout=_ANSWER_S) as line:
            answer = _ask(line, url, 1, "", until_s, clock)
            if answer.status == 401 and login.username:
                proof = _proof(answer.challenges, login, url)
                answer = _ask(line, url, 2, proof, until_s, clock)
    except TimeoutError:
        return None
    except OSError as error:
        raise CameraUnreachable(f"the camera at {host}:{port} breaks off") from error
    if answer.status in (401, 403):
        raise CameraWrongPassword("the camera refuses user name or password")
    has_video = answer.status == 200 and "m=video" in answer.body
    coding = _CODING.search(answer.body.partition("m=video")[2])
    return (coding[1].upper() if coding else "") if has_video else None


def _proof(challenges: tuple[str, ...], login: Login, url: str) -> str:
    challenge = DigestChallenge.best_of(challenges)
    if challenge is not None:
        return challenge.authorization(login, url, "DESCRIBE")
    if not any(one.lower().startswith("basic") for one in challenges):
        raise CameraBadResponse("the camera asks for a login in a way that is not known")
    secret = f"{login.username}:{login.password}".encode()
    return f"Basic {base64.b64encode(secret).decode()}"


def _ask(
    line: socket.socket, url: str, number: int, proof: str, until_s: float, clock: Clock
) -> _Answer:
    lines = [f"DESCRIBE {url} RTSP/1.0", f"CSeq: {number}", "Accept: application/sdp"]
    lines += ["User-Agent: Poleside", *([f"Authorization: {proof}"] if proof else [])]
    line.sendall("\r\n".join([*lines, "", ""]).encode())
    data = b""
    while b"\r\n\r\n" not in data and len(data) < _MOST_HEAD_BYTES:
        data += _more(line, until_s, clock)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    parted = (one.partition(":") for one in rest)
    fields = [(name.strip().lower(), value.strip()) for name, _, value in parted]
    size_bytes = 0
    with suppress(ValueError):
        size_bytes = int(dict(fields).get("content-length", "0"))
    while len(body) < min(size_bytes, _MOST_BODY_BYTES):
        body += _more(line, until_s, clock)
    words = first.split(" ")
    is_rtsp = len(words) > 1 and words[0].startswith("RTSP/") and words[1].isdecimal()
    challenges = tuple(value for name, value in fields if name == "www-authenticate")
    return _Answer(int(words[1]) if is_rtsp else 0, challenges, body.decode("utf-8", "replace"))


def _more(line: socket.socket, until_s: float, clock: Clock) -> bytes:
    left_s = until_s - clock.monotonic_s()
    if left_s <= 0:
        raise TimeoutError
    line.settimeout(left_s)
    more = line.recv(4096)
    if not more:
        raise ConnectionResetError
    return more
