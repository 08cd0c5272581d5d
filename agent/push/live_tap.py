"""Beside a stream's sink: keeps the present GOP and hands copies to those who push it.

The stream's thread calls it and is never made to wait: a follower that lags loses packets up to
the next key frame, no more.
"""

from __future__ import annotations

import struct
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

from av.packet import Packet
from av.video.stream import VideoStream

from agent.push.nal_units import Coding, coding_of

MOST_GOP_BYTES = 4 * 1024 * 1024
LEAN_PACKETS = 3  # a GOP so young is sent whole
MOST_QUEUED_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Copied:
    """A packet's bytes and times, in ticks of the stream; no part of libav's."""

    data: bytes
    pts: int
    dts: int
    is_key: bool


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One unbroken time line: plain data, for libav's stream is its session's thread's alone."""

    coding: Coding
    tick_s: Fraction


class Follower:
    """The bounded queue of one push."""

    def __init__(self) -> None:
        self._packets: deque[Copied] = deque()
        self._news = threading.Condition()
        self._size_bytes, self._is_waiting_for_key = 0, True
        self._newest_pts = 0
        self.tick_s = Fraction(0)
        self.run_is_over = False
        self.stalls = 0

    def put(self, packet: Copied) -> None:
        """Queue a packet; with a full queue all of it gives way to the next key frame."""
        with self._news:
            if self._size_bytes + len(packet.data) > MOST_QUEUED_BYTES and self._packets:
                self._packets.clear()
                self._size_bytes, self._is_waiting_for_key = 0, True
                self.stalls += 1
            if self._is_waiting_for_key and not packet.is_key:
                return
            self._is_waiting_for_key = False
            self._newest_pts = packet.pts
            self._packets.append(packet)
            self._size_bytes += len(packet.data)
            self._news.notify()

    def wait_for_key(self) -> None:
        """Take nothing more before the next key frame."""
        with self._news:
            self._is_waiting_for_key = True

    def get(self, within_s: float) -> Copied | None:
        """Return the next packet, None when none comes in time."""
        with self._news:
            if not self._packets:
                self._news.wait(within_s)
            if not self._packets:
                return None
            packet = self._packets.popleft()
            self._size_bytes -= len(packet.data)
            return packet

    def behind_s(self) -> float:
        """Return how much video waits in the queue."""
        with self._news:
            if not self._packets:
                return 0.0
            return float((self._newest_pts - self._packets[0].pts) * self.tick_s)

    def end_run(self) -> None:
        with self._news:
            self.run_is_over = True
            self._news.notify()


class LiveTap:
    """`run_started`, `packet` and `run_ended` are called by the stream's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._run: Run | None = None
        self._gop: list[Packet[VideoStream]] = []  # let go of by the stream's thread alone
        self._gop_bytes = 0
        self._followers: set[Follower] = set()
        self._key_pts: int | None = None
        self._key_bytes = self._since_key_bytes = 0
        self.kbps = self.key_kbps = 0.0  # of the last whole GOP: all, and its key frame alone

    def run_started(self, stream: VideoStream) -> None:
        """A new time line begins; what was kept of the old one means nothing."""
        context = stream.codec_context
        assert stream.time_base is not None  # noqa: S101 - every demuxer sets it
        run = None
        with suppress(LookupError, struct.error):  # a strange description must not stop recording
            coding = coding_of(context.name, bytes(context.extradata or b""))
            run = Run(coding, stream.time_base)
        with self._lock:
            self._end_run()
            self._run = run

    def packet(self, packet: Packet[VideoStream]) -> None:
        """Keep a packet, which nobody may change any more; copy it for those who follow."""
        pts, is_key, size_bytes = packet.pts, packet.is_keyframe, packet.size
        if pts is None or packet.dts is None:
            return
        with self._lock:
            self._measure(pts, size_bytes, is_key=is_key)
            if is_key:
                self._forget()
            if is_key or self._gop:
                self._gop.append(packet)
                self._gop_bytes += size_bytes
            if self._gop_bytes > MOST_GOP_BYTES:
                self._forget()  # who joins now waits for the next key frame
            if self._followers:
                copied = _copy(packet)
                for follower in self._followers:
                    follower.put(copied)

    def run_ended(self) -> None:
        with self._lock:
            self._end_run()

    @property
    def is_followed(self) -> bool:
        return bool(self._followers)

    @property
    def run(self) -> Run | None:
        """What is on now; None while the camera is away."""
        return self._run

    def join(self, run: Run, *, lean: bool = False) -> Follower | None:
        """Follow `run` from the kept GOP on, `lean`: from its key frame; None when it is over.

        A lean follower has that picture and then waits for the next key frame.
        """
        with self._lock:
            if run is not self._run:
                return None
            follower = Follower()
            follower.tick_s = run.tick_s
            is_lean = lean and len(self._gop) > LEAN_PACKETS
            for copied in [_copy(packet) for packet in self._gop[: 1 if is_lean else None]]:
                follower.put(copied)
            if is_lean:
                follower.wait_for_key()
            self._followers.add(follower)
            return follower

    def leave(self, follower: Follower) -> None:
        with self._lock:
            self._followers.discard(follower)

    def _measure(self, pts: int, size_bytes: int, *, is_key: bool) -> None:
        if is_key:
            if self._key_pts is not None and self._run is not None:
                lasted_s = float((pts - self._key_pts) * self._run.tick_s)
                if lasted_s > 0:
                    self.kbps = self._since_key_bytes * 8 / 1000 / lasted_s
                    self.key_kbps = self._key_bytes * 8 / 1000 / lasted_s
            self._key_pts, self._key_bytes = pts, size_bytes
            self._since_key_bytes = 0
        self._since_key_bytes += size_bytes

    def _end_run(self) -> None:
        for follower in self._followers:
            follower.end_run()
        self._forget()
        self._run = self._key_pts = None

    def _forget(self) -> None:
        self._gop.clear()
        self._gop_bytes = 0


def _copy(packet: Packet[VideoStream]) -> Copied:
    assert packet.pts is not None  # noqa: S101 - those without a time are not kept
    assert packet.dts is not None  # noqa: S101
    return Copied(bytes(packet), packet.pts, packet.dts, packet.is_keyframe)
