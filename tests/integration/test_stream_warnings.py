"""Streams that are awkward are faults while they are so, and no longer."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from agent.health import onvif
from agent.simulators.camera.onvif_media_answers import Encoder
from tests.onvif_box import Deskwork, make_desk, settings_of
from tests.simulated_onvif import ShiftedClock, eventually, running_camera


@pytest.fixture(params=[False, True], ids=["media 1", "media 2"])
async def camera(request):
    async with running_camera(media2=request.param) as device:
        yield device


@asynccontextmanager
async def _warned(camera, folder, port):
    """A desk whose looks can be hurried; gives what it warns of now."""
    clock = ShiftedClock()
    desk = make_desk(folder, clock, port, settings_of(camera))
    running = asyncio.create_task(Deskwork(desk, clock).run())

    def codes(*, again: bool = False) -> set[str]:
        if again:
            desk.changed_by_us("gate")
        facts = desk.facts("gate")
        faults = onvif.stream_faults("gate", facts.warnings, audio_allowed=False)
        return {fault.code for fault in faults}

    try:
        await eventually(lambda: desk.facts("gate").device)
        yield codes
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("fault", ["gop_long", "smart_codec", "sends_audio", "other_codec"])
async def test_a_warning_is_raised_and_cleared(camera, tmp_path, unused_tcp_port, fault):
    before = dict(camera.media.state.encoders)
    async with _warned(camera, tmp_path, unused_tcp_port) as codes:
        assert not codes()
        if fault == "gop_long":
            camera.media.state.encoders["main"] = Encoder("encoder-main", (1920, 1080), 15, 75)
        elif fault == "other_codec":
            for name, size in (("main", (1920, 1080)), ("sub", (640, 360))):
                jpeg = Encoder(f"encoder-{name}", size, 15, 0, encoding="JPEG")
                camera.media.state.encoders[name] = jpeg
        else:
            setattr(camera.faults, fault, True)
        await eventually(lambda: codes(again=True) == {f"camera.{fault}"})

        camera.media.state.encoders.update(before)
        camera.faults.smart_codec = camera.faults.sends_audio = False
        await eventually(lambda: not codes(again=True))


async def test_a_jpeg_profile_listed_first_is_neither_chosen_nor_warned_of(
    camera, tmp_path, unused_tcp_port
):
    camera.faults.lists_jpeg = True
    async with _warned(camera, tmp_path, unused_tcp_port) as codes:
        assert not codes()
