"""What goes wrong at the board and on the pole: the stated behaviour, and the center knows.

Whole boxes with default settings, so at the default telemetry period: what changed is told within
a minute all the same. Their boards are simulated: lines and sensors are files. Four boxes side by
side, since each of them mostly waits: a change is told 15 s after the one before. They start one
after the other, which is what costs.
"""

import asyncio
import os
from contextlib import asynccontextmanager

import psutil
import pytest

from agent.app.heat_guard import BAND_FILE
from agent.contract.events import EventKind, Phase
from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from tests.box_process import HOST, BoxProcess, CameraProcess, camera_in
from tests.brokers import Mosquitto
from tests.spine import make_center, running

TOLD_S = 120.0  # a minute is promised, of a box that has its processors to itself
START_S = 180.0  # on a busy machine; what is promised begins after it
HOT, VERY_HOT, CRITICAL, COOL = 76, 79, 82, 40  # of 85 degrees, where the board stops itself
NO_TEMPERATURE = -273_000
CLOCK = SystemClock()


class Pole:
    """One box, its lines, and what the center knows of it."""

    def __init__(self, folder, name, broker, center, starting, **settings):
        told = {
            "box": name,
            "broker": {
                "urls": [f"mqtt://{HOST}:{broker.port}"],
                "username": name,
                "password": f"secret-{name}",
            },
        }
        self.name, self.center, self._starting = name, center, starting
        self.box = BoxProcess(folder, told | settings, name)
        self.lines = self.box.data_dir / "run" / "lines"

    @asynccontextmanager
    async def running(self, is_up=lambda _: True):
        """Start it when no other box is starting; yield what its page says once `is_up`."""
        await self._starting.acquire()
        with self.box:
            try:
                try:
                    state = await self.until(is_up)
                finally:
                    self._starting.release()
                self.lines.mkdir(exist_ok=True)
                yield state
            finally:
                await asyncio.to_thread(self.box.stop)

    def set(self, line, level):
        (self.lines / line).write_text(str(level))

    async def telemetry(self):
        return next(
            (view.telemetry for view in await self.center.boxes() if view.address.box == self.name),
            None,
        )

    async def told(self, is_so, what):
        """Wait until the center's last sample is so."""
        sample = None
        try:
            async with asyncio.timeout(TOLD_S):
                while True:
                    sample = await self.telemetry()
                    if sample is not None and sample.board is not None and is_so(sample):
                        return sample
                    await CLOCK.sleep_s(0.3)
        except TimeoutError:
            pytest.fail(f"{self.name}: {what}: {sample}")

    async def told_of(self, *faults):
        return await self.told(lambda t: set(faults) <= codes(t), f"{faults} not told")

    async def until(self, is_so):
        """Wait until the box's own page says so."""
        return await asyncio.to_thread(self.box.until, is_so, START_S)

    async def presses(self, line):
        return [
            stored.event
            for stored in await self.center.events()
            if stored.event.data.kind is EventKind.EMERGENCY_BELL
            and stored.event.phase is Phase.NEW
            and stored.event.data.detail.startswith(f"{line}:")
        ]


def codes(telemetry):
    return {fault.code for fault in telemetry.faults}


def restarts(telemetry, name):
    return next((p.restarts_total for p in telemetry.processes if p.name == name), None)


@pytest.fixture
async def city(tmp_path):
    """A broker with rights for four boxes, a center, and whose turn to start it is."""
    names = ("box-1", "box-2", "box-3", "box-4")
    broker = Mosquitto(tmp_path / "broker", [BoxAddress("site-1", name) for name in names])
    await broker.start()
    center = make_center(tmp_path / "center", broker.settings("center"))
    async with running(center):
        yield broker, center, asyncio.Lock()
    await broker.stop()


@pytest.mark.timeout(600)
async def test_each_fault_is_met_as_said_and_told_at_the_default_period(
    city, tmp_path, drawn_loops
):
    with CameraProcess(tmp_path, "camera", *drawn_loops) as camera:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(heat_bell_and_wear(city, tmp_path, camera))
            tasks.create_task(sensors_that_lie(city, tmp_path))
            tasks.create_task(processes_that_stand_still(city, tmp_path, camera))
            tasks.create_task(sensors_that_block_and_vanish(city, tmp_path))


# Heat ramp and fall, bell bounce, stuck, storm, a disk at the end of its life


async def heat_bell_and_wear(city, folder, camera):
    cameras = [camera.settings("low"), camera.settings("high", priority=9)]
    slow = {"meaning": "bell", "active_low": False, "debounce_ms": 500}  # a busy machine: no bounce
    bell = {"input_id": "bell", "line": "bell", "stuck_after_s": 4.0}
    wild = {"input_id": "wild", "line": "wild", "stuck_after_s": 600.0}
    inputs = {"inputs": [slow | bell, slow | wild]}
    pole = Pole(folder, "box-1", *city, cameras=cameras, pole=inputs)
    async with pole.running(lambda state: is_seeing(state, "low", "high")) as before:
        storming = asyncio.create_task(storm(pole))
        for level in "10101":  # the button's contact bounces, then is held down
            pole.set("bell", level)
            await CLOCK.sleep_s(0.005)
        pole.set("temperature", VERY_HOT)
        pole.set("disk-life", 97)
        faults = {"pole.bell_stuck", "pole.bell_chatters", "disk.worn", "board.hot"}
        half = await pole.told(
            lambda t: (
                faults | {"board.sheds_for_heat"} <= codes(t)
                and detecting(t) == {"low": False, "high": True}
            ),
            "not shed, or not told",
        )
        assert (half.board.heat_band, half.board.disk_life_used_pct) == ("very-hot", 97)
        assert recording(half)
        assert len(await pole.presses("bell")) == 1
        storming.cancel()

        pole.set("bell", 0)
        pole.set("temperature", CRITICAL)
        none = await pole.told(lambda t: not any(detecting(t).values()), "detection goes on")
        assert recording(none)
        pole.set("temperature", COOL)
        pole.set("disk-life", 1)
        after = await pole.told(is_all_well, "something did not come back")
        assert {c.camera_id: c.gaps_total for c in after.cameras} == gaps_in(before)
        assert restarts(after, "core") == 0
        assert len(await pole.presses("wild")) <= 4  # of hundreds of edges: told, not passed on


async def storm(pole):
    """A wire that touches and lets go, fifty times a second; it comes to rest open."""
    try:
        while True:
            for level in "10":
                pole.set("wild", level)
                await CLOCK.sleep_s(0.02)
    finally:
        pole.set("wild", 0)


def is_seeing(state, *cameras):
    return all(
        camera_in(state, each)["is_recording"] and camera_in(state, each)["detector"] == "ready"
        for each in cameras
    )


def gaps_in(state):
    return {camera["camera_id"]: camera["gaps"] for camera in state["cameras"]}


def is_all_well(telemetry):
    return (
        telemetry.board.heat_band == "normal"
        and telemetry.board.contacts == {"bell": "idle", "wild": "idle"}
        and detecting(telemetry) == {"low": True, "high": True}
        and recording(telemetry)
        and not {c for c in codes(telemetry) if c.startswith(("pole.", "board.", "disk.worn"))}
    )


def detecting(telemetry):
    return {camera.camera_id: camera.detecting for camera in telemetry.cameras}


def recording(telemetry):
    return all(camera.recording for camera in telemetry.cameras)


# Sensors and contacts that lie, block, are gone: all of them at once

WELL = {
    "under-voltage": 0,
    "fan-rpm": 2400,
    "disk-life": 12,
    "clock-chip": 0,  # now
    "temperature": CRITICAL,
    "battery": 80,
}
LIES = {
    "under-voltage": 7,
    "fan-rpm": 0,  # and is told to turn
    "disk-life": -3,
    "clock-chip": 17,  # seconds after 1970
    "temperature": NO_TEMPERATURE,
    "battery": 250,
}
PARTS = {"power", "fans", "storage", "clock chip", "thermometers", "supplies"}
CONTACTS = ("door", "mains")


async def sensors_that_lie(city, folder):
    pole = Pole(folder, "box-2", *city)
    async with pole.running():
        await begin_well(pole)
        dial(pole, LIES)
        lying = await pole.told_of(
            *("board.sensor_lost", "board.part_lost", "board.fan_stopped", "clock.chip_wrong")
        )
        assert lying.board.temperature_c is None
        assert lying.board.heat_band == "critical"  # as before, until somebody knows
        assert board_of(lying) == (None, 0, None, True, None)
        dial(pole, WELL | {"temperature": COOL})
        await pole.told(lambda t: t.board.heat_band == "normal" and is_well(t), "not well again")


async def sensors_that_block_and_vanish(city, folder):
    inputs = [
        {"input_id": "door", "line": "door", "meaning": "door", "active_low": False},
        {"input_id": "mains", "line": "mains", "meaning": "mains-lost", "active_low": False},
    ]
    pole = Pole(folder, "box-4", *city, pole={"inputs": inputs})
    async with pole.running():
        await begin_well(pole)
        for name in (*WELL, *CONTACTS):
            fifo = pole.lines.parent / f"{name}.fifo"
            os.mkfifo(fifo)
            fifo.rename(pole.lines / name)  # every read of it blocks from now on
        silent = await pole.told(
            lambda t: set(t.board.silent) == PARTS and contacts(t) == {"unknown"}, "hangs, not told"
        )
        assert {"board.part_silent", "pole.contact_lost"} <= codes(silent)
        assert restarts(silent, "core") == 0  # the rest of the box went on

        for name in (*WELL, *CONTACTS):
            await asyncio.to_thread(let_go, pole.lines / name)
        for name in CONTACTS:
            (pole.lines / name).mkdir()  # not a line any more
        gone = await pole.told(
            lambda t: not t.board.silent and {"board.sensor_lost", "board.part_lost"} <= codes(t),
            "gone, and not told",
        )
        assert gone.board.temperature_c is None
        assert board_of(gone) == (None, None, None, False, None)
        assert contacts(gone) == {"unknown"}


async def begin_well(pole):
    """Set every dial, and wait until the box has read each of them, and is as hot as it says."""
    dial(pole, WELL)
    band = pole.lines.parent / BAND_FILE
    await pole.until(
        lambda state: (
            state["hardware"]
            and (state["hardware"].get("fan_rpm"), state["hardware"].get("battery_pct"))
            == (WELL["fan-rpm"], WELL["battery"])
            and band.exists()
            and band.read_text() == "critical"
        )
    )


def is_well(telemetry):
    return {c for c in codes(telemetry) if c.startswith("board.")} == {"board.on_battery"}


def dial(pole, told):
    for name, level in told.items():
        pole.set(name, level or (round(CLOCK.utc_now().timestamp()) if name == "clock-chip" else 0))


def let_go(fifo):
    """End the read that hangs on it; there is no such file then."""
    with fifo.open("wb"):
        fifo.unlink()


def board_of(telemetry):
    board = telemetry.board
    return (
        *(board.undervoltage, board.fan_rpm, board.disk_life_used_pct),
        *(board.clock_chip, board.battery_pct),
    )


def contacts(telemetry):
    return set(telemetry.board.contacts.values())


# Watchdog starvation


async def processes_that_stand_still(city, folder, camera):
    names = ("core", "detect", "camera-yard")
    pole = Pole(folder, "box-3", *city, cameras=[camera.settings("yard")])
    async with pole.running(lambda state: is_seeing(state, "yard")) as before:
        pids = {process["name"]: process["pid"] for process in before["processes"]}
        for name in names:
            psutil.Process(pids[name]).suspend()  # it lives, and gives no sign
        after = await pole.told(
            lambda t: [restarts(t, name) for name in names] == [1, 1, 1],
            "not started anew, or not told",
        )
        well = await pole.told(
            lambda t: recording(t) and detecting(t) == {"yard": True}, "not well again"
        )
        assert after.mono <= well.mono
        assert well.cameras[0].gaps_total == gaps_in(before)["yard"] + 1
