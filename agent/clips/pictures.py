"""The pictures of a clip, one after the other: one that can't be decoded costs no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
from av.video.frame import VideoFrame

from agent.clips.garbled import GARBLED

Span = tuple[float, float]
# Decoders of H.265 pass over what they don't know and say nothing; and where two fields are one
# picture, each second one is never shown.
_LEAST_S = 0.5


class Pictures:
    """Gives each picture with its second. `undecoded` are, after the last, the seconds without."""

    def __init__(self, clip: Path) -> None:
        self._clip = clip
        self.undecoded: tuple[Span, ...] = ()

    def __iter__(self) -> Iterator[tuple[VideoFrame, float]]:
        sent: list[float] = []
        shown: set[float] = set()
        has_failed = False
        with av.open(str(self._clip)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            for packet in container.demux(stream):
                if packet.pts is not None and packet.time_base is not None:
                    sent.append(float(packet.pts * packet.time_base))
                try:
                    frames = packet.decode()
                except GARBLED:
                    has_failed = True
                    continue
                for frame in frames:
                    shown.add(float(frame.time or 0.0))
                    yield frame, float(frame.time or 0.0)
        missing = _missing(sorted(sent), shown)
        least_s = 0.0 if has_failed else _LEAST_S
        self.undecoded = tuple(one for one in missing if one[1] - one[0] >= least_s)


def _missing(sent: list[float], shown: set[float]) -> tuple[Span, ...]:
    """Return the spans of pictures that were sent and not shown, each up to one that was."""
    spans: list[Span] = []
    begin: float | None = None
    for at_s in sent:
        if at_s not in shown:
            begin = at_s if begin is None else begin
        elif begin is not None:
            spans.append((begin, at_s))
            begin = None
    if begin is not None:
        step_s = (sent[-1] - sent[0]) / max(1, len(sent) - 1)
        spans.append((begin, sent[-1] + step_s))
    return tuple(spans)
