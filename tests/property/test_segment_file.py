"""A segment plays while it is written, and after a cut at any byte plays what was whole."""

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.buffer.segment_file import OPEN_SUFFIX, SegmentFile, cut_torn_end, probe
from tests.footage_maker import make_clip
from tests.recording import frames_in, packets_of

FPS = 10


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, fps=FPS, seconds=3, size_px=(96, 160))


@pytest.fixture(scope="module")
def written(clip, tmp_path_factory):
    """A finished segment's bytes, and how many bytes and playable frames it had at each packet."""
    path = tmp_path_factory.mktemp("segment") / f"segment{OPEN_SUFFIX}"
    steps = []
    with av.open(str(clip)) as container:
        file = SegmentFile(path, container.streams.video[0])
        for packet in packets_of(container):
            file.mux(packet)
            steps.append((file.size_bytes, file.frames, probe(path)[0]))
        final = path.with_name("segment.mp4")
        file.finish(final)
    return final, steps, file


def test_a_segment_plays_while_it_is_written_but_for_the_last_half_second(written):
    _, steps, _ = written
    for size_bytes, put_in, playable in steps:
        assert put_in - playable <= FPS / 2
        assert (playable > 0) == (size_bytes > steps[0][0])


def test_a_finished_segment_holds_every_frame_and_its_figures_are_true(written):
    final, steps, file = written
    assert frames_in(final) == file.frames == len(steps) == 3 * FPS
    assert file.size_bytes == final.stat().st_size
    assert probe(final) == (file.frames, file.duration_us) == (30, 3_000_000)


@settings(max_examples=120, deadline=None)
@given(share=st.floats(0, 1))
def test_cut_at_any_byte_what_was_whole_plays_to_the_end(written, tmp_path_factory, share):
    final, steps, _ = written
    whole = final.read_bytes()
    at = round(share * len(whole))
    torn = tmp_path_factory.getbasetemp() / "torn.mp4"
    torn.write_bytes(whole[:at])

    cut_torn_end(torn)

    frames, duration_us = probe(torn)
    flushed = max((playable for size, _, playable in steps if size <= at), default=0)
    assert frames >= flushed
    assert duration_us == frames * 100_000
    assert torn.stat().st_size <= at
    if frames:
        assert frames_in(torn) == frames


def test_a_repeated_time_stamp_is_written_a_tick_later(clip, tmp_path):
    with av.open(str(clip)) as container:
        file = SegmentFile(tmp_path / f"a{OPEN_SUFFIX}", container.streams.video[0])
        last_dts = 0
        for number, packet in enumerate(packets_of(container)):
            if number % 3 == 2:  # cameras that stamp by their system clock do this
                packet.dts = packet.pts = last_dts
            last_dts = packet.dts
            file.mux(packet)
        file.finish(tmp_path / "a.mp4")
    assert frames_in(tmp_path / "a.mp4") == file.frames == 30


def test_a_stream_with_start_codes_is_stored_as_mp4_has_it(clip, tmp_path):
    film = tmp_path / "film.h264"
    with av.open(str(clip)) as source, av.open(str(film), "w", format="h264") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in packets_of(source):
            packet.stream = stream
            out.mux(packet)
    with av.open(str(film)) as container:
        file = SegmentFile(tmp_path / f"a{OPEN_SUFFIX}", container.streams.video[0])
        for number, packet in enumerate(container.demux(video=0)):
            if packet.size:
                packet.dts = packet.pts = number * 120_000  # of a 1.2 MHz clock, 10 a second
                file.mux(packet)
        file.finish(tmp_path / "a.mp4")
    assert frames_in(tmp_path / "a.mp4") == file.frames == 30
    assert file.duration_us == 3_000_000


def test_a_finished_segment_can_be_searched(written):
    final, _, _ = written
    with av.open(str(final)) as container:
        stream = container.streams.video[0]
        keys = [packet.pts for packet in packets_of(container) if packet.is_keyframe]
        assert len(keys) > 1
        container.seek(keys[-1], stream=stream)
        first = next(packets_of(container))
    assert (first.pts, first.is_keyframe) == (keys[-1], True)


def test_what_is_flushed_is_written_at_once(clip, tmp_path):
    path = tmp_path / f"a{OPEN_SUFFIX}"
    with av.open(str(clip)) as container:
        file = SegmentFile(path, container.streams.video[0])
        for number, packet in enumerate(packets_of(container), 1):
            file.mux(packet)
            if number % 3 == 0:
                file.flush()
                assert probe(path)[0] == number
        file.finish(tmp_path / "a.mp4")


def test_more_frames_than_the_kernel_takes_at_once_are_all_written(clip, tmp_path):
    with av.open(str(clip)) as container:
        file = SegmentFile(tmp_path / f"a{OPEN_SUFFIX}", container.streams.video[0])
        packets = packets_of(container)
        key, packet = next(packets), next(packets)
        file.mux(key)
        for number in range(1, 3_001):
            packet.dts = packet.pts = key.dts + number  # a camera whose time all but stands still
            file.mux(packet)
        file.finish(tmp_path / "a.mp4")
    assert probe(tmp_path / "a.mp4")[0] == file.frames == 3_001
    assert file.size_bytes == (tmp_path / "a.mp4").stat().st_size
