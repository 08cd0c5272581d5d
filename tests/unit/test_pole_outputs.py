"""An output never stays switched longer than allowed, and is safe whenever nobody rules it."""

import asyncio
import contextlib

import pytest

from agent.core.errors import CommandError
from agent.pole.outputs import Outputs
from agent.settings.pole import OutputSettings, Purpose
from hardware.boards.simulated_lines import FileLines
from tests.fake_clock import FakeClock

SIREN = OutputSettings(output_id="siren", purpose=Purpose.SIREN, line="siren", max_on_s=30)
BARRIER = OutputSettings(
    output_id="barrier", purpose=Purpose.BARRIER, line="barrier", is_on_when_safe=True, max_on_s=60
)


@pytest.fixture
async def pole(tmp_path):
    clock = FakeClock()
    outputs = Outputs(clock, FileLines(tmp_path), (SIREN, BARRIER))
    task = asyncio.ensure_future(outputs.run())
    await clock.rests()
    yield outputs, clock, tmp_path
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await outputs.stop()


def levels(folder):
    return {name: (folder / name).read_text() for name in ("siren", "barrier")}


async def test_all_outputs_are_safe_from_the_start_and_after_the_stop(pole):
    outputs, _, folder = pole
    assert levels(folder) == {"siren": "0", "barrier": "1"}
    outputs.switch("siren", 10, on=True)
    outputs.switch("barrier", 10, on=False)
    assert levels(folder) == {"siren": "1", "barrier": "0"}
    await outputs.stop()
    assert levels(folder) == {"siren": "0", "barrier": "1"}
    assert [state.is_on for state in outputs.states] == [None, None]


async def test_a_switched_output_goes_back_by_itself(pole):
    outputs, clock, folder = pole
    state = outputs.switch("siren", 10, on=True)
    assert (state.is_on, state.left_s) == (True, 10)
    await clock.advance(9.0)
    assert levels(folder)["siren"] == "1"
    await clock.advance(1.5)
    assert levels(folder)["siren"] == "0"


async def test_without_a_time_it_stays_as_long_as_allowed_and_no_longer(pole):
    outputs, clock, folder = pole
    outputs.switch("siren", None, on=True)
    await clock.advance(29.0)
    assert levels(folder)["siren"] == "1"
    await clock.advance(1.5)
    assert levels(folder)["siren"] == "0"


async def test_orders_one_after_another_share_the_time_until_it_has_rested(pole):
    outputs, clock, folder = pole
    outputs.switch("siren", 20, on=True)
    await clock.advance(15.0)
    assert outputs.switch("siren", 30, on=True).left_s == 15
    await clock.advance(10.0)
    outputs.switch("siren", None, on=False)
    await clock.advance(SIREN.rest_s - 1.0)
    assert outputs.switch("siren", None, on=True).left_s == 5
    await clock.advance(5.5)
    assert levels(folder)["siren"] == "0"
    with pytest.raises(CommandError, match="30 s") as refusal:
        outputs.switch("siren", 1, on=True)
    assert refusal.value.code == "output.resting"
    await clock.advance(SIREN.rest_s)
    assert outputs.switch("siren", 30, on=True).left_s == 30


async def test_nobody_can_keep_an_output_switched_by_asking_again_and_again(pole):
    outputs, clock, folder = pole
    on_s = 0.0
    for _ in range(80):
        with contextlib.suppress(CommandError):
            outputs.switch("siren", None, on=True)
        await clock.advance(1.0)
        on_s += levels(folder)["siren"] == "1"
    assert on_s <= 2 * SIREN.max_on_s + 1  # two periods fit into 80 s, with a rest between
    assert levels(folder)["siren"] == "0"


@pytest.mark.parametrize(
    ("output_id", "for_s", "code"),
    [
        ("siren", 31, "output.too_long"),
        ("siren", 0, "output.too_long"),
        ("door", 1, "output.unknown"),
    ],
)
async def test_what_is_not_allowed_is_refused_with_a_code(output_id, for_s, code, pole):
    outputs, _, folder = pole
    with pytest.raises(CommandError) as refusal:
        outputs.switch(output_id, for_s, on=True)
    assert refusal.value.code == code
    assert levels(folder)["siren"] == "0"


async def test_an_output_that_is_lost_says_so_and_comes_back_safe(pole):
    outputs, clock, folder = pole
    outputs.switch("siren", 20, on=True)
    (folder / "siren").unlink()
    (folder / "siren").mkdir()
    with pytest.raises(CommandError) as refusal:
        outputs.switch("siren", 20, on=True)
    assert refusal.value.code == "output.lost"
    siren = outputs.states[0]
    assert siren.is_on is None
    assert siren.fault
    (folder / "siren").rmdir()
    await clock.advance(6.0)
    assert levels(folder) == {"siren": "0", "barrier": "1"}
    assert outputs.states[0].is_on is False
