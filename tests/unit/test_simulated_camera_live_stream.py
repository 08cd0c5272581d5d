"""A viewer that does not read loses whole GOPs, never a part of one, and nobody else does."""

from fractions import Fraction

import pytest

from agent.core.clock import SystemClock
from agent.simulators.camera.faults import Faults
from agent.simulators.camera.live_stream import MAX_UNSENT_BYTES, LiveStream, Viewer
from agent.simulators.camera.media import Media, Picture
from agent.simulators.camera.nal_units import ParameterSets

GOP = 5


class Pipe:
    """The write side of a connection whose far end reads or not."""

    def __init__(self):
        self.written = []
        self.unsent_bytes = 0

    def get_write_buffer_size(self):
        return self.unsent_bytes

    def is_closing(self):
        return False

    def write(self, data):
        self.written.append(data)


def loop_of(letter: bytes) -> Media:
    pictures = tuple(
        Picture((letter + bytes([index]),), is_key=index % GOP == 0) for index in range(2 * GOP)
    )
    sets = ParameterSets((), (b"gABC",), (b"h",), 4)
    return Media("h264", 64, 64, Fraction(10), sets, pictures, (0, GOP))


@pytest.fixture
def chosen():
    return ["a"]


@pytest.fixture
def stream(chosen):
    views = {"a": loop_of(b"a"), "b": loop_of(b"b")}
    return LiveStream(views, lambda: chosen[0], SystemClock(), Faults())


def send(stream, count):
    for _ in range(count):
        stream._send(stream._next_picture())


def shown(pipe):
    return [data[16:] for data in pipe.written]


def test_a_new_viewer_waits_for_the_next_key_picture(stream):
    send(stream, 2)
    pipe = Pipe()
    stream.add(Viewer(pipe, 0))
    send(stream, 5)
    assert shown(pipe) == [b"a\x05", b"a\x06"]


def test_all_viewers_see_the_same_live_position(stream):
    early, late = Pipe(), Pipe()
    stream.add(Viewer(early, 0))
    send(stream, 3)
    stream.add(Viewer(late, 0))
    send(stream, 6)
    assert late.written == early.written[GOP:]
    assert len(late.written) == 4


def test_a_viewer_that_does_not_read_loses_whole_gops(stream):
    slow, quick = Pipe(), Pipe()
    viewer = Viewer(slow, 0)
    stream.add(viewer)
    stream.add(Viewer(quick, 0))
    send(stream, 2)
    slow.unsent_bytes = MAX_UNSENT_BYTES + 1
    send(stream, 1)
    slow.unsent_bytes = 0
    send(stream, 4)
    assert shown(slow) == [b"a\x00", b"a\x01", b"a\x05", b"a\x06"]
    assert len(quick.written) == 7
    assert viewer.lost_gops_total == stream.lost_gops_total == 1


def test_a_view_changes_only_at_a_key_picture_and_goes_on_from_there(stream, chosen):
    pipe = Pipe()
    stream.add(Viewer(pipe, 0))
    send(stream, 3)
    chosen[0] = "b"
    send(stream, 4)
    assert [data[:1] for data in shown(pipe)] == [b"a"] * 5 + [b"b"] * 2
    assert shown(pipe)[-2:] == [b"b\x05", b"b\x06"]
