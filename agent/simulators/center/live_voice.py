"""Somebody speaks at the stand-in center, and boxes hear it as it is said: one stream over HTTP.

A Sun audio file that never ends, in pieces of 20 ms as they are spoken (a WAV libav would first
gather, for two seconds); nothing is kept. Who connects later hears what is said from then on.
"""

import asyncio
import shutil
import struct
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from secrets import token_urlsafe
from typing import TypeVar

import av
from av.audio.resampler import AudioResampler
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from agent.core.clock import Clock
from agent.core.errors import SettingsError
from agent.local.web.server import open_listener, serve

MICROPHONE = "mic"
_HZ, _PIECE_SAMPLES = 16_000, 320
_PIECE_S, _PIECE_BYTES = _PIECE_SAMPLES / _HZ, _PIECE_SAMPLES * 2
_RECORDER = ("arecord", "-q", "-t", "raw", "-f", "S16_BE", "-r", str(_HZ), "-c", "1")
_AU_HEADER = struct.pack(">4sIIIII", b".snd", 24, 0xFFFFFFFF, 3, _HZ, 1)  # endless, 16 bit
T = TypeVar("T")


class LiveVoice:
    """`source`: a sound file, said once in its own time, or `mic`, what `arecord` hears here."""

    def __init__(
        self,
        clock: Clock,
        source: str,
        listen: str,
        base_url: str = "",
        recorder: tuple[str, ...] = _RECORDER,
    ) -> None:
        """`base_url` is where the box reaches `listen`.

        Raises `SettingsError` talk.no_file, talk.no_microphone, `PageError` as `open_listener`.
        """
        self._clock, self._source, self._recorder = clock, source, recorder
        self._pieces = [] if source == MICROPHONE else _pieces(source)
        if source == MICROPHONE and shutil.which(recorder[0]) is None:
            raise SettingsError(
                "talk.no_microphone",
                f"There is no `{recorder[0]}` here to hear a microphone by.",
                hint="Install alsa-utils, or name a sound file.",
            )
        self._path = f"/voice/{token_urlsafe(16)}.au"
        self._bound = open_listener(listen)
        host, port = self._bound.getsockname()[:2]
        self.url = (base_url.rstrip("/") or f"http://{host}:{port}") + self._path

    async def during(self, work: Callable[[], Awaitable[T]]) -> T:
        """Let it be heard at `url` while `work` goes on."""
        stop = asyncio.Event()
        app = Starlette(routes=[Route(self._path, self._hear)])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(app, self._bound, stop))
            try:
                return await work()
            finally:
                stop.set()

    async def _hear(self, _request: Request) -> StreamingResponse:
        spoken = self._microphone() if self._source == MICROPHONE else self._file()
        return StreamingResponse(_endless(spoken), media_type="audio/basic")

    async def _file(self) -> AsyncIterator[bytes]:
        begun_s = self._clock.monotonic_s()
        for number, piece in enumerate(self._pieces, 1):
            yield piece
            await self._clock.sleep_s(begun_s + number * _PIECE_S - self._clock.monotonic_s())

    async def _microphone(self) -> AsyncIterator[bytes]:
        process = await asyncio.create_subprocess_exec(
            *self._recorder, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None  # noqa: S101 - it was asked for
        try:
            while piece := await process.stdout.read(_PIECE_BYTES):
                yield piece
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _endless(spoken: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield _AU_HEADER
    async for piece in spoken:
        yield piece


def _pieces(file: str) -> list[bytes]:
    """Return a file's sound in big-endian pieces. Raises `SettingsError` talk.no_file."""
    resampler, pieces = AudioResampler("s16", "mono", _HZ, _PIECE_SAMPLES), []
    try:
        with av.open(str(Path(file))) as source:
            if not source.streams.audio:
                raise SettingsError("talk.no_file", f"`{file}` has no sound.")
            for frame in (*source.decode(source.streams.audio[0]), None):
                for piece in resampler.resample(frame):
                    samples = array("h", bytes(piece.planes[0])[: 2 * piece.samples])
                    samples.byteswap()
                    pieces.append(samples.tobytes())
    except (av.FFmpegError, OSError) as error:
        raise SettingsError(
            "talk.no_file",
            f"`{file}` can't be heard: {type(error).__name__}.",
            hint=f"Name a sound file, or `{MICROPHONE}`.",
        ) from None
    return pieces
