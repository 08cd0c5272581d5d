"""An RTSP camera through our own reader: handfuls of RTP in, libav packets out.

libav's receiver takes six system calls and two allocations an RTP packet; here one call takes all
that has come. Decoding and storing stay libav's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast
from urllib.parse import urlsplit

from av.packet import Packet
from av.video.stream import VideoStream

from agent.core import log
from agent.core.clock import Clock
from agent.core.errors import CameraError
from agent.core.redact import redact_text
from agent.ingest import refusals
from agent.ingest.source import Pace, Patience, StreamAddress, StreamFacts
from agent.ingest.wire.answers import BadAnswerError, take_answer
from agent.ingest.wire.dialog import Dialog
from agent.ingest.wire.h264 import H264Pictures
from agent.ingest.wire.h265 import H265Pictures
from agent.ingest.wire.line import LineClosedError
from agent.ingest.wire.pictures import DOLLAR, FRAME_BYTES, Picture, Pictures
from agent.ingest.wire.template import TICK, Template

_SETTLE_S = 0.004  # a picture's packets come one after the other: one look for all of them
_ROOM_BYTES = 128 * 1024  # may gather in the kernel before the camera has to wait
_MOST_NONSENSE_BYTES = 1024 * 1024  # between two frames: the framing is lost for good
_TELL_DAMAGE_EVERY_S = 60.0


class WireSource:
    """One RTSP session over TCP or TLS, its video only. Used by one thread."""

    looks_after_itself = True

    def __init__(
        self, address: StreamAddress, patience: Patience, clock: Clock, pace: Pace
    ) -> None:
        """Connect, log in, play, and wait for the first picture.

        Raises `CameraError`; `NotUnderstood` where libav's reader should try.
        """
        self._patience, self._clock, self._pace = patience, clock, pace
        self._host = urlsplit(address.url).hostname or "the camera"
        self._log = log.get("ingest.reader")
        self._dialog: Dialog | None = None
        self._template: Template | None = None
        self._nonsense_bytes = self._told_damaged = 0
        self._tell_damage_s = self._handful_s = clock.monotonic_s()
        self._fills_in_s = 0.0
        try:
            self._begin(address, clock.monotonic_s() + patience.open_s)
        except BaseException as error:
            self.close()
            if isinstance(error, _TROUBLE):
                raise self._in_words(error, is_opening=True) from None  # it may hold the password
            raise

    @property
    def template(self) -> VideoStream:
        stream = self._template.stream if self._template is not None else None
        assert stream is not None  # noqa: S101 - asked for with a key frame in hand
        return stream

    @property
    def facts(self) -> StreamFacts:
        assert self._template is not None  # noqa: S101 - made while opening
        return StreamFacts(self._codec, *self._template.size_px, TICK)

    def packets(self) -> Iterator[Packet[VideoStream]]:
        assert self._template is not None  # noqa: S101 - made while opening
        while True:
            ready, self._pictures.ready = self._pictures.ready, []
            for picture in ready:
                self._template.learn(picture)
                yield _packet(picture, self._template.stream)
            self._look_at_damage()
            until_s = self._clock.monotonic_s() + self._patience.stall_s
            self._pace.gather(self._fills_in_s)  # what fails in there is not the camera's fault
            try:
                self._more(until_s)
            except _TROUBLE as error:
                raise self._in_words(error) from None

    def close(self) -> None:
        dialog, self._dialog = self._dialog, None
        if dialog is not None:
            dialog.close()
        if self._template is not None:
            self._template.close()

    # Opening

    def _begin(self, address: StreamAddress, until_s: float) -> None:
        self._dialog = dialog = Dialog(address, self._clock, until_s)
        dialog.connect()
        track = dialog.describe()
        self._codec = track.codec
        make = H264Pictures if track.codec == "h264" else H265Pictures
        self._pictures: Pictures = make(track.payload_type)
        dialog.set_up(track)
        self._template = Template(track.codec, track.sets)
        dialog.play()
        self._line, self._channel = dialog.line, dialog.channel
        self._keep_alive_due_s = self._clock.monotonic_s() + dialog.keep_alive_s
        while not self._pictures.ready:
            self._take_in(dialog, until_s + dialog.waited_s)
        if address.door is not None and dialog.asking is not None:
            address.door.opened(dialog.asking)

    def _in_words(self, error: Exception, *, is_opening: bool = False) -> CameraError:
        """Say what went wrong as a technician would."""
        is_camera = not is_opening or self._patience.is_known
        if isinstance(error, TimeoutError):
            return refusals.no_answer(self._host)
        if isinstance(error, LineClosedError):
            broken = refusals.unreachable(self._host, "it breaks the connection off")
            return broken if is_opening else refusals.lost()
        if isinstance(error, ConnectionRefusedError):
            return refusals.port_closed(self._host)
        if isinstance(error, OSError):
            why = redact_text(error.strerror or "no connection")
            return refusals.unreachable(self._host, why)
        has_answered = self._dialog is not None and self._dialog.has_answered
        return (
            refusals.garbled() if is_camera or has_answered else refusals.not_a_camera(self._host)
        )

    # Reading on

    def _more(self, until_s: float) -> None:
        """Wait until there are pictures to hand on."""
        dialog = self._dialog
        assert dialog is not None  # noqa: S101 - nobody reads a closed source
        while not self._pictures.ready:
            self._take_in(dialog, until_s)

    def _take_in(self, dialog: Dialog, until_s: float) -> None:
        """Take in what comes next, whatever it is. Raises `TimeoutError` at `until_s`."""
        now_s, line = self._clock.monotonic_s(), self._line
        if now_s >= self._keep_alive_due_s:
            self._keep_alive_due_s = now_s + dialog.keep_alive_s
            dialog.keep_alive()
        if size_bytes := line.read():
            self._fills_in_s = _ROOM_BYTES / size_bytes * (now_s - self._handful_s)
            self._handful_s = now_s
            self._split(dialog)
        elif now_s >= until_s:
            raise TimeoutError
        elif line.wait(min(until_s, self._keep_alive_due_s) - now_s):
            self._pace.rest(_SETTLE_S)

    def _split(self, dialog: Dialog) -> None:
        """Take all whole frames and answers out of the buffer."""
        line = self._line
        while True:
            line.start = self._pictures.take_frames(line.raw, line.start, line.end, self._channel)
            left = line.end - line.start
            if left < FRAME_BYTES or line.raw[line.start] == DOLLAR or not self._between(dialog):
                return

    def _between(self, dialog: Dialog) -> bool:
        """Take what stands between two frames; False when it is not all there yet."""
        line = self._line
        try:
            found = take_answer(line.raw, line.start, line.end)
        except BadAnswerError:
            self._pictures.lose()
            before, frame = line.start, bytes((DOLLAR, self._channel))
            at = line.raw.find(frame, before + 1, line.end)
            line.start = at if at >= 0 else line.end
            self._nonsense_bytes += line.start - before
            if self._nonsense_bytes > _MOST_NONSENSE_BYTES:
                raise
            return True
        if found is None:
            return False
        answer, line.start = found
        dialog.take(answer)
        return True

    def _look_at_damage(self) -> None:
        """Tell, now and then, how many pictures came damaged and were left out."""
        if self._pictures.damaged_total == self._told_damaged:
            return
        now_s = self._clock.monotonic_s()
        if now_s >= self._tell_damage_s:
            self._tell_damage_s = now_s + _TELL_DAMAGE_EVERY_S
            damaged = self._pictures.damaged_total - self._told_damaged
            self._told_damaged = self._pictures.damaged_total
            self._log.warning("damaged pictures left out", host=self._host, pictures=damaged)


def _packet(picture: Picture, stream: VideoStream | None) -> Packet[VideoStream]:
    seen = cast("bytes", picture.data)  # PyAV takes both
    packet = cast("Packet[VideoStream]", Packet(seen))
    if stream is not None:
        packet.stream = stream
    packet.pts = packet.dts = picture.ticks
    packet.time_base, packet.is_keyframe = TICK, picture.is_key
    return packet


_TROUBLE = (
    OSError,
    ValueError,
)  # what a connection and its nonsense raise; `BadAnswerError` is one
