"""The lamp in the cabinet always blinks, by what matters most, and finds a box among others."""

import asyncio
import itertools

import pytest

from agent.app.status_lamp import PATTERNS, Sight, StatusLamp, sight_of
from agent.contract.updates import UpdateInfo, UpdateStage
from agent.health.catalogue import fault_of
from hardware.boards.simulated_lamp import FileLamp
from hardware.lamp import NoLamp
from hardware.linux.leds import SysfsLamp
from hardware.pick import pick_board
from tests.fake_clock import FakeClock
from tests.spine import eventually
from tests.unit.trees.plant import plant

LINK_DOWN = fault_of("link.down", "link", reason="x")
RED = fault_of("board.under_voltage", "board")
YELLOW = fault_of("settings.stick_refused", "settings", why="x")
WRITES = UpdateInfo(id="u", version="1.2.3", stage=UpdateStage.ASKED)


@pytest.mark.parametrize(
    ("faults", "update", "cameras", "is_connected", "shown"),
    [
        (None, None, 0, False, Sight.STARTING),
        ([], None, 1, True, Sight.HEALTHY),
        ([YELLOW], None, 1, True, Sight.HEALTHY),
        ([LINK_DOWN], None, 1, False, Sight.NO_UPLINK),
        ([LINK_DOWN], None, 0, False, Sight.TO_SET_UP),
        ([RED], None, 0, False, Sight.FAULT),
        ([RED], WRITES, 1, True, Sight.UPDATING),
        (None, WRITES, 1, False, Sight.UPDATING),
    ],
)
def test_what_matters_most_is_shown(faults, update, cameras, is_connected, shown):
    assert sight_of(faults, update, cameras=cameras, is_connected=is_connected) is shown


def test_every_pattern_blinks_and_no_two_are_alike():
    assert set(PATTERNS) == set(Sight)
    assert len(set(PATTERNS.values())) == len(Sight)
    for spans in PATTERNS.values():
        assert len(spans) % 2 == 0  # ends dark, so that the next round is seen to begin
        assert min(spans) >= 0.1
        assert sum(spans) <= 3.0


async def test_the_lamp_blinks_fast_while_somebody_looks_for_the_box(tmp_path):
    clock = FakeClock()
    lamp = StatusLamp(FileLamp(tmp_path), lambda: Sight.UPDATING, clock)
    running = asyncio.create_task(lamp.run())
    file = tmp_path / "lamp"

    async def is_taken():
        return file.exists()

    await eventually(is_taken)
    assert lamp.identify(10.0)
    seen = []
    for _ in range(30):
        await clock.advance(0.1)
        seen.append(file.read_text())
    turns = [now for now, _ in itertools.groupby(seen)]
    assert len(turns) > 8  # the slow round that was on ends first
    for _ in range(160):
        await clock.advance(0.1)
    seen = []
    for _ in range(40):
        await clock.advance(0.1)
        seen.append(file.read_text())
    assert seen.count("1") > 2 * seen.count("0")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not file.exists()


async def test_a_board_without_a_lamp_says_so(tmp_path):
    clock = FakeClock()
    lamp = StatusLamp(NoLamp(), lambda: Sight.HEALTHY, clock)
    running = asyncio.create_task(lamp.run())
    await clock.advance(1.0)
    assert not lamp.identify()
    running.cancel()


def test_a_raspberry_pi_s_green_lamp_is_taken_and_given_back(tmp_path):
    root = plant("raspberry_pi_5", tmp_path)
    leds = root / "sys/class/leds"
    for name in ("ACT", "PWR"):
        (leds / name).mkdir(parents=True)
        for file, text in (("brightness", "0"), ("max_brightness", "255")):
            (leds / name / file).write_text(text)
        (leds / name / "trigger").write_text("none timer [mmc0] heartbeat")
    taken = pick_board(root).lamp.open()
    taken.set(True)
    assert (leds / "ACT/trigger").read_text() == "none"
    assert (leds / "ACT/brightness").read_text() == "255"
    taken.set(False)
    taken.close()
    assert (leds / "ACT/brightness").read_text() == "0"
    assert (leds / "ACT/trigger").read_text() == "mmc0"
    assert (leds / "PWR/trigger").read_text().startswith("none timer")


def test_a_lamp_the_device_tree_calls_status_is_preferred(tmp_path):
    for name in ("ACT", "green:status"):
        folder = tmp_path / "sys/class/leds" / name
        folder.mkdir(parents=True)
        (folder / "brightness").write_text("0")
    taken = SysfsLamp(tmp_path).open()
    taken.set(True)
    assert (tmp_path / "sys/class/leds/green:status/brightness").read_text() == "1"
