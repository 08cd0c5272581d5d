"""The description of a stream follows the parameter sets that come with its video.

Some cameras go on describing (SDP) what they sent before somebody changed their encoder. A file
whose sample entry holds those sets shows garbage in players that heed nothing else.
"""

from __future__ import annotations

from dataclasses import replace

import av
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from agent.ingest import nal_units
from agent.ingest.source import StreamFacts

_LONG_START = b"\x00\x00\x00\x01"


def describe(
    stream: VideoStream, facts: StreamFacts, key_frame: Packet[VideoStream]
) -> StreamFacts:
    """Make `stream` tell of the video that `key_frame` begins; return the facts as they are then.

    Nothing changes where they agree, where the key frame brings no whole set, or where the stream
    is decoded already: a decoder finds them by itself.
    """
    sets = nal_units.parameter_sets(memoryview(key_frame), facts.codec)
    context = stream.codec_context
    told = {nal.rstrip(b"\x00") for nal in nal_units.split(bytes(context.extradata or b""))}
    if not sets or told.issuperset(sets) or context.is_open:
        return facts
    extradata = b"".join(_LONG_START + one for one in sets)
    context.extradata = extradata
    size_px = _size_of(extradata, key_frame, facts.codec)
    if size_px is None:
        return facts
    context.width, context.height = size_px
    return replace(facts, width_px=size_px[0], height_px=size_px[1])


def _size_of(
    extradata: bytes, key_frame: Packet[VideoStream], codec: str
) -> tuple[int, int] | None:
    decoder = av.VideoCodecContext.create(codec, "r")
    assert isinstance(decoder, av.VideoCodecContext)  # noqa: S101 - both codecs are video
    decoder.extradata = extradata
    try:
        frames = [*decoder.decode(av.Packet(bytes(key_frame))), *decoder.decode(None)]
    except FFmpegError:
        return None
    return (frames[0].width, frames[0].height) if frames else None
