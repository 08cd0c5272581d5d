"""What a head, its presets and its imaging do over real HTTP, whatever it lacks or fakes."""

import asyncio

import pytest

from agent.cameras import imaging
from agent.cameras.imaging import ImagingWish
from agent.cameras.port import CameraBadResponse, CameraNotSupported, Place
from agent.cameras.ptz_head import PtzHead, Span
from agent.cameras.ptz_sectors import Sector, Sectors
from agent.core.clock import SystemClock
from agent.core.errors import CommandError
from tests.plain_backend import BACKENDS
from tests.simulated_onvif import LOGIN, eventually, running_camera


class Rig:
    """A camera and its head; `ask` calls in a thread, as the gate does."""

    def __init__(self, camera, control):
        self.camera, self.control = camera, control
        self.head = PtzHead(control, Sectors())

    async def ask(self, question, *args):
        return await asyncio.to_thread(question, *args)

    async def arrives(self, pan, tilt):
        def there():
            at = self.camera.motor.position()
            is_there = (at.pan, at.tilt) == pytest.approx((pan, tilt), abs=1e-3)
            return is_there and not self.camera.motor.is_moving

        await eventually(there)


@pytest.fixture(params=BACKENDS)
async def rig(request):
    async with running_camera() as camera:
        control = request.param(camera.url, LOGIN, SystemClock())
        yield Rig(camera, control)
        control.close()


async def test_the_head_says_its_ranges_and_abilities(rig):
    facts = await rig.ask(rig.head.facts)
    assert (facts.pan, facts.tilt, facts.zoom) == (Span(-1, 1), Span(-1, 1), Span(0, 1))
    assert facts.has_home
    assert "tt:Wiper|On" in facts.auxiliaries


@pytest.mark.parametrize("in_degrees", [False, True])
async def test_it_goes_to_a_place_in_the_cameras_own_numbers(rig, in_degrees):
    rig.camera.faults.in_degrees = in_degrees
    place = Place(225.0, 45.0) if in_degrees else Place(0.25, 0.5)

    await rig.ask(rig.head.goto, place)
    await rig.arrives(0.25, 0.5)

    at = await rig.ask(rig.control.position)
    assert (at.pan, at.tilt) == pytest.approx((place.pan, place.tilt), abs=0.1)
    assert at.space.endswith("Degrees" if in_degrees else "GenericSpace")


async def test_a_missing_axis_stays_and_a_turn_adds_to_it(rig):
    await rig.ask(rig.head.goto, Place(pan=0.1))
    await rig.arrives(0.1, 0.0)
    await rig.ask(rig.head.turn, Place(pan=0.1, tilt=-0.1))
    await rig.arrives(0.2, -0.1)


async def test_without_a_position_it_turns_by_the_cameras_own_means(rig):
    rig.camera.faults.tells_no_position = True
    assert await rig.ask(rig.head.turn, Place(pan=0.1, tilt=0.0)) is False
    await rig.arrives(0.1, 0.0)


async def test_out_of_range_is_refused_here(rig):
    with pytest.raises(CommandError) as caught:
        await rig.ask(rig.head.goto, Place(2.0, 0.0))
    assert caught.value.code == "ptz.out_of_range"
    assert "AbsoluteMove" not in rig.camera.calls


@pytest.mark.parametrize("fault", ["only_continuous", "min_is_max"])
async def test_a_head_without_places_says_so(rig, fault):
    setattr(rig.camera.faults, fault, True)
    with pytest.raises(CameraNotSupported):
        await rig.ask(rig.head.goto, Place(0.1, 0.1))


async def test_presets_are_listed_set_gone_to_and_removed(rig):
    await rig.ask(rig.head.goto, Place(0.1, 0.1))
    await rig.arrives(0.1, 0.1)
    kept = await rig.ask(rig.head.set_preset, 'Gate <north> & "east"')
    assert (kept.name, kept.place.pan) == ('Gate <north> & "east"', pytest.approx(0.1))

    await rig.ask(rig.head.goto_preset, "1")
    await rig.arrives(0.0, 0.0)
    assert await rig.ask(rig.head.goto_preset, kept.token)
    await rig.arrives(0.1, 0.1)

    await rig.ask(rig.head.remove_preset, kept.token)
    assert kept.token not in {p.token for p in await rig.ask(rig.head.presets)}
    with pytest.raises(CommandError, match="no preset"):
        await rig.ask(rig.head.goto_preset, kept.token)


async def test_three_hundred_presets_are_read(rig):
    rig.camera.faults.presets = 300
    assert len(await rig.ask(rig.head.presets)) == 300


async def test_a_camera_that_only_says_that_it_removed_is_found_out(rig):
    rig.camera.faults.ignores_writes = True
    with pytest.raises(CameraBadResponse):
        await rig.ask(rig.head.remove_preset, "1")


async def test_home_is_set_and_gone_to_or_not_supported(rig):
    await rig.ask(rig.head.goto, Place(0.1, 0.0))
    await rig.arrives(0.1, 0.0)
    await rig.ask(rig.head.set_home)
    await rig.ask(rig.head.goto_preset, "1")
    await rig.arrives(0.0, 0.0)
    await rig.ask(rig.head.goto_home)
    await rig.arrives(0.1, 0.0)

    rig.camera.faults.has_no_home = True
    with pytest.raises(CameraNotSupported):
        await rig.ask(rig.head.goto_home)


async def test_wiper_and_lamp_are_switched_and_others_not_supported(rig):
    await rig.ask(rig.head.auxiliary, "Wiper", "On")
    await rig.ask(rig.head.auxiliary, "IRLamp", "Auto")
    assert rig.camera.head.auxiliaries == ["tt:Wiper|On", "tt:IRLamp|Auto"]
    with pytest.raises(CameraNotSupported):
        await rig.ask(rig.head.auxiliary, "Washer", "On")


async def test_places_and_presets_in_a_sector_are_refused(rig):
    head = PtzHead(rig.control, Sectors([Sector(pan_from=0.5)]))
    await rig.ask(head.goto, Place(0.1, 0.0))
    await rig.arrives(0.1, 0.0)
    await rig.ask(rig.head.set_preset, "window", "2")
    strict = PtzHead(rig.control, Sectors([Sector(0.05, 0.2)]))

    for question, argument in ((head.goto, Place(0.6, 0.0)), (strict.goto_preset, "2")):
        with pytest.raises(CommandError) as caught:
            await rig.ask(question, argument)
        assert caught.value.code == "ptz.forbidden"
    with pytest.raises(CommandError):
        await rig.ask(head.turn, Place(pan=0.7))


async def test_imaging_is_set_and_read_back(rig):
    wish = ImagingWish(ir_cut="off", wdr="on", exposure_us=10_000, gain_db=6)
    done = await rig.ask(imaging.change, rig.control.line, wish)
    assert all(one.is_same for one in done)
    assert rig.camera.imaging.values["Exposure/Mode"] == "MANUAL"
    assert rig.camera.imaging.values["IrCutFilter"] == "OFF"

    rig.camera.faults.ignores_writes = True
    done = await rig.ask(imaging.change, rig.control.line, ImagingWish(ir_cut="on"))
    assert [(one.asked, one.got) for one in done] == [("ON", "OFF")]


async def test_focus_moves_and_stops(rig):
    await rig.ask(imaging.focus, rig.control.line, -0.5)
    assert rig.camera.imaging.focus == -0.5
    await rig.ask(imaging.focus, rig.control.line, 0.0)
    assert rig.camera.imaging.focus == 0.0
