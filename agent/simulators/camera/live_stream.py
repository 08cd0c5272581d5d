"""One live stream: a pacer that sends each picture at its time to whoever watches.

All viewers see the same position, as with a real camera. A viewer starts with a key picture; one
that does not read loses whole GOPs, so that what it gets can always be decoded.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from fractions import Fraction

from agent.core import log
from agent.core.clock import Clock
from agent.simulators.camera.faults import Faults
from agent.simulators.camera.loudspeaker import Loudspeaker
from agent.simulators.camera.media import Media, Picture
from agent.simulators.camera.rtp import CLOCK_HZ, interleave, sender_report
from agent.simulators.camera.sound import Sound
from agent.simulators.camera.wire_faults import WireFaults

MAX_UNSENT_BYTES = 512 * 1024  # about two seconds of a 2 Mbit/s stream
REPORT_EVERY_S = 5.0
_MAX_LATE_S = 2.0  # after a longer freeze of this process the camera goes on instead of hurrying


class Viewer:
    """One client's place in a stream: its connection and its interleaved channel numbers."""

    def __init__(self, transport: asyncio.WriteTransport, rtp_channel: int) -> None:
        self._transport = transport
        self.rtp_channel, self.rtcp_channel = rtp_channel, rtp_channel + 1
        self.audio_channel: int | None = None
        self.needs_key = True
        self.lost_gops_total = 0

    def has_room(self) -> bool:
        return self._transport.get_write_buffer_size() <= MAX_UNSENT_BYTES

    def write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


class LiveStream:
    """Loops one of `views` (same rate); `pick_view` is asked at each key picture.

    Views of another size or codec are a camera whose encoder is set anew while it streams.
    """

    def __init__(
        self,
        views: Mapping[str, Media],
        pick_view: Callable[[], str],
        clock: Clock,
        faults: Faults,
        *,
        sound: Sound | None = None,
        name: str = "",
    ) -> None:
        self._name, self._log = name, log.get("simulated-camera")
        self._views, self._pick_view = views, pick_view
        self._clock, self._faults = clock, faults
        self._wire_faults = WireFaults(faults)
        self.sound = sound
        self.speaker: Loudspeaker | None = Loudspeaker()
        self._media_time = Fraction(0)  # in pictures
        self._viewers: set[Viewer] = set()
        self._media = views[pick_view()]
        self._index = 0
        self._seq = secrets.randbits(16)
        self._first_90k = secrets.randbits(32)
        self._sent_pictures = 0
        self._sent_packets = 0
        self._sent_bytes = 0
        self.lost_gops_total = self.audio_set_ups_total = 0
        self.ssrc = secrets.randbits(32)

    @property
    def media(self) -> Media:
        """The view now on air."""
        return self._media

    def add(self, viewer: Viewer) -> None:
        """Let `viewer` see the stream from the next key picture on."""
        viewer.needs_key = True
        self._viewers.add(viewer)

    def remove(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)

    async def run(self) -> None:
        """Send pictures at their pace until cancelled."""
        period_s = float(1 / self._media.fps)
        due_s = next_report_s = self._clock.monotonic_s()
        while True:
            self._send(self._next_picture())
            if due_s >= next_report_s:
                self._report(self._clock.utc_now())
                next_report_s = due_s + REPORT_EVERY_S
            due_s += period_s
            now_s = self._clock.monotonic_s()
            due_s = now_s if now_s - due_s > _MAX_LATE_S else due_s
            await self._clock.sleep_s(due_s - now_s)

    def _next_picture(self) -> Picture:
        picture = self._media.pictures[self._index]
        if self._index == 0:  # what is seen can be set against the truth of the footage by this
            self._log.info("loop starts", stream=self._name)
        if picture.is_key:
            wanted = self._views[self._pick_view()]
            if wanted is not self._media:
                self._media, self._index = wanted, wanted.key_at_or_before(self._index)
                picture = wanted.pictures[self._index]
        self._index = (self._index + 1) % len(self._media.pictures)
        return picture

    def _send(self, picture: Picture) -> None:
        self._pass_time()
        wire: dict[int, bytes] = {}
        is_left_out = self._sent_pictures % self._faults.every != 0
        silent = self._faults.stall or self._faults.rtcp_only
        payloads = self._payloads(picture)
        if is_left_out:
            self._sent_pictures += 1
            return
        for viewer in self._viewers:
            if silent or not self._may_have(viewer, picture):
                viewer.needs_key = True
                continue
            channel = viewer.rtp_channel
            if channel not in wire:
                wire[channel] = self._wire(payloads, picture.shift, channel)
            viewer.write(wire[channel])
            if viewer.audio_channel is not None and self.sound is not None:
                heard_s = self._sent_pictures / self._media.fps, 1 / self._media.fps
                viewer.write(self.sound.packets(viewer.audio_channel, *heard_s, self.ssrc ^ 1))
        self._seq += len(payloads)
        self._sent_pictures += 1
        self._sent_packets += len(payloads)
        self._sent_bytes += sum(map(len, payloads))

    def _payloads(self, picture: Picture) -> tuple[bytes, ...]:
        if self._faults.no_sets_in_video:
            return picture.payloads
        return picture.sets + picture.payloads

    def _pass_time(self) -> None:
        """One more picture's worth of media time, as the faults have it."""
        faults = self._faults
        self._media_time += (
            Fraction(faults.pace) if faults.every == 1 else Fraction(1, faults.every)
        )
        if faults.jump_s:
            self._first_90k += round(faults.jump_s * CLOCK_HZ)
            faults.jump_s = 0.0
        if faults.seq_jump:
            self._seq += faults.seq_jump
            faults.seq_jump = 0

    def _may_have(self, viewer: Viewer, picture: Picture) -> bool:
        if viewer.needs_key and not picture.is_key:
            return False
        if not viewer.has_room():
            viewer.lost_gops_total += 1
            self.lost_gops_total += 1
            return False
        viewer.needs_key = False
        return True

    def _wire(self, payloads: tuple[bytes, ...], shift: int, channel: int) -> bytes:
        wire = interleave(
            payloads,
            channel=channel,
            first_seq=self._seq,
            timestamp_90k=self._timestamp_90k(shift),
            ssrc=self.ssrc,
        )
        return self._wire_faults.packets(wire)

    def _report(self, now: datetime) -> None:
        if self._faults.stall:
            return
        for viewer in self._viewers:
            viewer.write(
                sender_report(
                    now,
                    channel=viewer.rtcp_channel,
                    timestamp_90k=self._timestamp_90k(0),
                    ssrc=self.ssrc,
                    packets=self._sent_packets,
                    octets=self._sent_bytes,
                )
            )

    def _timestamp_90k(self, shift: int) -> int:
        pictures = self._media_time + shift
        return self._first_90k + int(pictures * self._media.ticks_per_picture_90k)
