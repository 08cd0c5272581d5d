"""A bell on a camera's input is told as one on a line is: once, stuck, cut, lost."""

import asyncio

import pytest

from agent.messages.pole import ContactState
from agent.pole.contact import CHATTER_EDGES
from agent.pole.heard_bells import RELEASE_S, WIRE_S, HeardBells
from tests.fake_clock import FakeClock

IDLE, ACTIVE, UNKNOWN = ContactState.IDLE, ContactState.ACTIVE, ContactState.UNKNOWN


class Camera:
    """Says how its input `1` is; what became of it is in `told`."""

    def __init__(self):
        self.clock, self.told = FakeClock(), []
        self.bells = HeardBells(self.clock, self._signal)

    async def _signal(self, signal):
        self.told.append(signal)

    async def says(self, *levels):
        for level in levels:
            self.bells.heard("gate", "bell-1", is_active=level)
        await self.rests()

    async def passes(self, seconds):
        """Let time pass for contacts, which wait by the loop's own time."""
        self.clock.pass_s(seconds)
        for watch in self.bells._watches.values():
            watch._news.set()
        await self.rests()

    async def rests(self):
        for _ in range(20):
            await asyncio.sleep(0)

    @property
    def states(self):
        return [signal.state for signal in self.told]


@pytest.fixture
async def camera():
    made = Camera()
    task = asyncio.ensure_future(made.bells.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_first_word_of_a_press_is_the_press_and_bounces_are_one(camera):
    await camera.says(True)
    assert camera.states == [ACTIVE]
    await camera.says(False, True, False, True, False)
    await camera.passes(RELEASE_S / 2)
    await camera.says(True, False)
    await camera.passes(RELEASE_S * 1.1)
    assert camera.states == [ACTIVE, IDLE]
    pressed, released = camera.told
    assert pressed.press_id == released.press_id
    assert (pressed.input_id, pressed.meaning, pressed.camera_id) == ("gate-bell-1", "bell", "gate")


async def test_a_press_that_came_and_went_in_one_message_is_told(camera):
    await camera.says(False)
    await camera.passes(RELEASE_S * 1.1)
    await camera.says(True, False)
    await camera.passes(RELEASE_S * 1.1)
    assert camera.states == [IDLE, ACTIVE, IDLE]


async def test_a_press_in_the_same_breath_as_a_loss_is_a_call_whichever_comes_first(camera):
    camera.bells.heard("gate", "bell-1", is_active=True)
    camera.bells.lost("gate")
    await camera.rests()
    assert camera.states == [ACTIVE, UNKNOWN]
    await camera.says(False)
    await camera.passes(RELEASE_S * 1.1)
    camera.bells.lost("gate")
    await camera.says(True)
    assert camera.states == [ACTIVE, UNKNOWN, IDLE, ACTIVE]


async def test_one_that_is_pressed_without_end_is_stuck_and_a_storm_is_told_as_such(camera):
    await camera.says(True)
    await camera.passes(61.0)
    assert camera.states == [ACTIVE, ContactState.STUCK]
    await camera.says(*[False, True] * (CHATTER_EDGES // 2))
    assert camera.states[2:] == [ContactState.CHATTERING]


async def test_two_inputs_of_one_button_that_agree_are_a_cut_wire_and_no_press(camera):
    await camera.says(False)
    camera.bells.heard_closed("gate", "bell-1", is_active=True)
    await camera.passes(RELEASE_S * 1.1)
    camera.bells.heard_closed("gate", "bell-1", is_active=False)
    await camera.passes(WIRE_S * 1.1)
    assert camera.states == [IDLE, ContactState.BROKEN]
    camera.bells.heard_closed("gate", "bell-1", is_active=True)
    await camera.passes(RELEASE_S * 1.1)
    await camera.says(True)
    camera.bells.heard_closed("gate", "bell-1", is_active=False)
    await camera.passes(0.0)
    assert camera.states[2:] == [IDLE, ACTIVE]


async def test_a_camera_that_is_not_heard_leaves_its_bell_unknown_until_it_is(camera):
    camera.bells.expect("gate", {"bell-1"}, any_other=False)
    await camera.rests()
    camera.bells.lost("gate")
    await camera.rests()
    camera.bells.lost("gate")
    await camera.rests()
    assert camera.states == [UNKNOWN]
    await camera.says(False)
    await camera.passes(RELEASE_S * 1.1)
    await camera.says(True)
    assert camera.states == [UNKNOWN, IDLE, ACTIVE]


async def test_a_bell_that_the_settings_drop_ends_its_call_and_is_forgotten(camera):
    await camera.says(True)
    camera.bells.expect("gate", {"bell-2"}, any_other=False)
    await camera.rests()
    assert camera.states == [ACTIVE, UNKNOWN]
    assert camera.bells.signals == ()
