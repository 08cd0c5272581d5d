"""A stream whose description makes no sense can't be pushed, and costs nothing else."""

from fractions import Fraction
from types import SimpleNamespace

import pytest

from agent.push.live_tap import LiveTap


def stream(extradata, codec="h264"):
    context = SimpleNamespace(name=codec, extradata=extradata)
    return SimpleNamespace(codec_context=context, time_base=Fraction(1, 90_000))


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("extradata", [b"\x01", b"\x01\x64\x00\x1f\xff\xe1\x00", b"\x01" * 23])
def test_a_strange_description_is_no_error(codec, extradata):
    tap = LiveTap()
    tap.run_started(stream(extradata, codec))
    tap.run_ended()
    assert tap.run is None


def test_a_stream_without_a_description_can_be_pushed():
    tap = LiveTap()
    tap.run_started(stream(None))
    assert tap.run.coding.sets == ()
