"""Each bell is tested once a day at its hour, made up for when that was missed, never forgotten."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from agent.core.errors import CommandError
from agent.messages.pole import ContactState
from agent.pole.bell_test import AGAIN_S, AT_HOUR_UTC, BellTest, BellVerdict
from agent.settings.pole import InputSettings, Meaning
from tests.fake_clock import FakeClock

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
BELL = InputSettings(input_id="bell", meaning=Meaning.BELL, line="bell", test_output="test")


class Pole:
    """A bell that rings when its test output is on, unless its wire is cut; each test is noted."""

    def __init__(self, folder, at=NOON):
        self.folder, self.clock = folder, FakeClock(at)
        self.is_cut = self.is_lost = False
        self.tested_at, self.told = [], []
        self.bell = SimpleNamespace(settings=BELL, is_tested=False, tell_again=self._told_again)
        self._level(on=False)

    async def _told_again(self):
        pass

    def _level(self, *, on):
        state = ContactState.ACTIVE if on else ContactState.IDLE
        self.bell.signal = SimpleNamespace(state=state)

    def switch(self, _output, _for_s, *, on):
        if self.is_lost:
            raise CommandError("output.lost", "It can't be switched.")
        if on:
            self.tested_at.append(self.clock.utc_now())
        self._level(on=on and not self.is_cut)

    async def _verdict(self, _bell, verdict):
        self.told.append(verdict)

    @asynccontextmanager
    async def box(self):
        inputs = SimpleNamespace(testable=(self.bell,))
        test = BellTest(self.clock, inputs, self, self.folder, self._verdict)
        task = asyncio.ensure_future(test.run())
        await self.clock.rests()
        yield test
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def pole(tmp_path):
    return Pole(tmp_path)


async def test_each_day_at_the_hour_and_once_when_it_was_missed(pole):
    async with pole.box() as test:
        await pole.clock.advance(60.0)
        assert len(pole.tested_at) == 1  # it had not been tested since yesterday's hour
        await pole.clock.advance(3 * 86_400.0)
    days = [at - pole.tested_at[1] for at in pole.tested_at[1:]]
    assert [round(day / timedelta(days=1), 2) for day in days] == [0, 1, 2]
    assert pole.tested_at[1].hour == AT_HOUR_UTC
    assert test.verdicts["bell"][1] is BellVerdict.WELL
    assert set(pole.told) == {BellVerdict.WELL}


async def test_a_failed_test_is_known_after_a_restart_and_not_repeated_before_its_hour(pole):
    pole.is_cut = True
    async with pole.box() as test:
        await pole.clock.advance(60.0)
        assert test.verdicts["bell"][1] is BellVerdict.SILENT
    async with pole.box() as test:
        await pole.clock.advance(3600.0)
        assert test.verdicts["bell"][1] is BellVerdict.SILENT
    assert len(pole.tested_at) == 1


async def test_of_a_bell_that_is_tested_no_more_nothing_is_told_after_a_restart(pole):
    pole.is_cut = True
    async with pole.box():
        await pole.clock.advance(60.0)
    pole.is_cut = False
    pole.bell.settings = replace(BELL, input_id="new-bell")
    async with pole.box() as test:
        await pole.clock.advance(60.0)
        assert {bell: verdict for bell, (_, verdict) in test.verdicts.items()} == {
            "new-bell": BellVerdict.WELL
        }


async def test_a_bell_that_can_not_be_tested_now_is_tested_as_soon_as_it_can(pole):
    pole.is_lost = True
    async with pole.box() as test:
        await pole.clock.advance(60.0)
        assert test.verdicts["bell"][1] is BellVerdict.UNTESTED
        pole.is_lost = False
        await pole.clock.advance(AGAIN_S)
        assert test.verdicts["bell"][1] is BellVerdict.WELL


async def test_what_is_known_of_a_bell_holds_while_it_can_not_be_tested(pole):
    pole.is_cut = True
    async with pole.box() as test:
        await pole.clock.advance(60.0)
        pole.is_lost = True
        await pole.clock.advance(86_400.0)
        assert test.verdicts["bell"][1] is BellVerdict.SILENT
