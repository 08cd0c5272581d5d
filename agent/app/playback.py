"""What a camera's folder holds of a time range, as packets for a push. In the push's thread."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError

from agent.buffer.reading import for_clip
from agent.clips.export import ClipSource, in_range, packets_of
from agent.core.errors import StorageError
from agent.messages.push import StartPush
from agent.push.live_tap import Copied, Run
from agent.push.nal_units import coding_of
from agent.push.recorded_tap import Recorded

_TICK_S = Fraction(1, 90_000)


def recorded(folder: Path, order: StartPush) -> Iterator[Recorded]:
    """Yield what is to be shown. Raises `StorageError` clip.nothing_recorded."""
    if order.since is None or order.until is None:
        return
    _, found = for_clip(folder, order.since, order.until, order.recorded)
    run, description, is_anything = None, b"", False
    for segment in found:
        source = ClipSource(segment.path, segment.start_at)
        try:
            container = av.open(source.path)
        except (FFmpegError, OSError):  # deleted meanwhile, or open and without a whole fragment
            continue
        with container:
            context = container.streams.video[0].codec_context
            if run is None or bytes(context.extradata or b"") != description:
                description = bytes(context.extradata or b"")
                run = Run(coding_of(context.name, description), _TICK_S)
            for one in _of_segment(container, source, order, run):
                is_anything = True
                yield one
    if not is_anything:
        raise StorageError("clip.nothing_recorded", "Nothing was recorded at that time.")


def _of_segment(
    container: InputContainer, source: ClipSource, order: StartPush, run: Run
) -> Iterator[Recorded]:
    assert order.since is not None  # noqa: S101 - seen by the caller
    assert order.until is not None  # noqa: S101 - seen by the caller
    for dated in in_range(packets_of(container, source), order.since, order.until):
        packet, at_s = dated.packet, dated.at.timestamp()
        assert packet.dts is not None  # noqa: S101 - checked by the reader
        assert packet.time_base is not None  # noqa: S101 - checked by the reader
        lead = (packet.pts - packet.dts) * packet.time_base if packet.pts is not None else 0
        dts = round(at_s / _TICK_S)
        copied = Copied(bytes(packet), dts + round(lead / _TICK_S), dts, packet.is_keyframe)
        yield Recorded(run, copied, at_s)
