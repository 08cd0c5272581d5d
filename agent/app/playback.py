"""What a camera's folder holds of a time range, as packets for a push. In the push's thread."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

from agent.buffer.reading import StoredSegment, for_clip, segments
from agent.clips.export import Dated, in_range, packets_of
from agent.clips.given import Given, Opened
from agent.clips.sound import ClipSource
from agent.commands.lacks import lacks_of
from agent.core.clock import SystemClock
from agent.core.errors import StorageError
from agent.messages.push import Lack, StartPush
from agent.push.live_tap import Copied, Run
from agent.push.nal_units import coding_of
from agent.push.recorded_tap import Lacking, Recorded

_TICK_S = Fraction(1, 90_000)


def recorded(folder: Path, order: StartPush) -> Iterator[Recorded | Lacking]:
    """Yield what is to be shown, and at its end what could not be, and was not recorded.

    Raises `StorageError` clip.nothing_recorded, clip.unreadable.
    """
    since, until = order.since, order.until
    if since is None or until is None:
        return
    stream, found = for_clip(folder, since, until, order.recorded)
    given = Given([_source(one) for one in found], since, until)
    run, description, is_anything = None, b"", False
    for segment in found:
        with given.opened(_source(_just_now(folder, segment))) as opened:
            if opened is None:
                continue
            told = bytes(opened.stream.codec_context.extradata or b"")
            if run is None or told != description:
                run, description = _run_of(opened, told), told
            if run is None:
                continue
            for dated in in_range(given.seen(packets_of(opened)), since, until):
                given.gave(dated.at, dated.until)
                is_anything = True
                yield Recorded(run, _copied(dated), dated.at.timestamp())
    if not is_anything:
        raise given.nothing()
    lacks = lacks_of(given.holes, folder, stream, since, until, SystemClock().utc_now())
    yield Lacking(tuple(Lack(since=one.since, until=one.until, cause=one.cause) for one in lacks))


def _source(segment: StoredSegment) -> ClipSource:
    times = segment.start_at, segment.end_at
    return ClipSource(segment.path, *times, segment.run_id, segment.is_thinned)


def _just_now(folder: Path, segment: StoredSegment) -> StoredSegment:
    """Return it as it is when its turn comes, perhaps long after the question: closed, thinned."""
    if not segment.is_open and segment.path.exists():
        return segment
    begin, same = segment.start_at, list[StoredSegment]()
    with suppress(StorageError):  # an index that was lost meanwhile
        same = segments(folder, begin, begin + timedelta(microseconds=1), segment.stream)
    return next((one for one in same if one.start_at == begin), segment)


def _run_of(opened: Opened, description: bytes) -> Run | None:
    """Return a time line of its own; None where the description makes no sense."""
    with suppress(LookupError, struct.error):
        return Run(coding_of(opened.stream.codec_context.name, description), _TICK_S)
    return None


def _copied(dated: Dated) -> Copied:
    packet = dated.packet
    assert packet.dts is not None  # noqa: S101 - checked by the reader
    assert packet.time_base is not None  # noqa: S101 - checked by the reader
    lead = (packet.pts - packet.dts) * packet.time_base if packet.pts is not None else 0
    dts = round(dated.at.timestamp() / _TICK_S)
    return Copied(bytes(packet), dts + round(lead / _TICK_S), dts, packet.is_keyframe)
