"""Who is let in where a technician put another camera: the one he tried, soon, and once."""

import pytest

from agent.app.camera_upkeep import CHOSEN_S, CameraUpkeep
from agent.cameras.memory import CameraMemory
from tests.fake_clock import FakeClock

THERE, ELSEWHERE = (f"http://10.0.0.{host}/onvif/device_service" for host in (7, 8))


async def keep(**_):
    pass


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def upkeep(clock):
    upkeep = CameraUpkeep("gate", None, clock, CameraMemory, keep)
    upkeep.choose("10.0.0.7")
    return upkeep


async def test_it_is_let_in_once_where_it_was_tried_and_nowhere_else(upkeep):
    assert not await upkeep.is_let_in(ELSEWHERE)
    assert not upkeep.was_confirmed
    assert await upkeep.is_let_in(THERE)
    assert upkeep.was_confirmed
    assert not await upkeep.is_let_in(THERE)


async def test_a_choice_is_over_after_minutes(upkeep, clock):
    clock.pass_s(CHOSEN_S)
    assert not await upkeep.is_let_in(THERE)


async def test_a_choice_is_over_once_our_camera_is_met_there(upkeep):
    upkeep.met(ELSEWHERE)
    upkeep.met(THERE)
    assert not await upkeep.is_let_in(THERE)
