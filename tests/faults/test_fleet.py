"""Many boxes on one mosquitto: a storm of events is all stored, and a restart is no stampede."""

import asyncio
import resource
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass

import psutil
import pytest

from agent.simulators.broker import CENTER
from agent.uplink.backoff import Backoff
from tests.brokers import Mosquitto
from tests.fleet import Fleet
from tests.spine import make_center, running

STORM_EVENTS = 4


@pytest.fixture
async def mosquitto(tmp_path):
    """Boxes need no password here: thousands of hashes would take minutes. Rights hold."""
    changes = {"persistence true": "persistence false"}
    broker = Mosquitto(tmp_path / "broker", [], changes=changes, any_password=True)
    await broker.start()
    yield broker
    await broker.stop()


def room_for(boxes):
    """Each box needs a file handle here and one in the broker."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < boxes + 500:
        pytest.skip(f"this system allows {hard} open files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, boxes + 500), hard))


@dataclass(frozen=True)
class Storm:
    """What one storm of `events` cost, and how often each box tried after the broker's death."""

    events: int
    seconds: float
    broker_cpu_s: float
    attempts: float


async def storm_and_stampede(folder, broker, count, down_s):
    async with (
        running(make_center(folder, broker.settings(CENTER))),
        Fleet(count, broker.port, Backoff()) as fleet,
    ):
        process = psutil.Process(broker.process.pid)
        began, cpu_s = time.monotonic(), sum(process.cpu_times()[:2])
        for _ in range(STORM_EVENTS):
            for box in fleet.boxes:
                box.say()
        await fleet.all_acknowledged()
        seconds, cpu_s = time.monotonic() - began, sum(process.cpu_times()[:2]) - cpu_s
        before = sum(box.attempts for box in fleet.boxes)
        await broker.kill()
        await asyncio.sleep(down_s)
        for box in fleet.boxes:
            box.say()
        await broker.start()
        await fleet.all_up()
        attempts = sum(box.attempts for box in fleet.boxes) - before
        await fleet.all_acknowledged()
    with closing(sqlite3.connect(folder / "center.db")) as db:
        stored, different = db.execute(
            "SELECT count(*), count(DISTINCT id) FROM records"
        ).fetchone()
    assert stored == different == count * (STORM_EVENTS + 1)
    return Storm(count * STORM_EVENTS, seconds, cpu_s, attempts / count)


async def test_a_storm_of_300_boxes_is_all_stored(mosquitto, tmp_path):
    room_for(300)
    storm = await storm_and_stampede(tmp_path, mosquitto, 300, 0.3)
    assert storm.attempts <= 1.6


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_storm_of_3000_boxes_is_all_stored(mosquitto, tmp_path, capsys):
    room_for(3000)
    storm = await storm_and_stampede(tmp_path, mosquitto, 3000, 1.0)
    with capsys.disabled():
        print(  # noqa: T201
            f"\n3000 boxes: {storm.events} events at once stored and acknowledged in"
            f" {storm.seconds:.1f} s, {storm.broker_cpu_s / storm.events * 1e6:.0f} us of the"
            f" broker each; {storm.attempts:.2f} attempts a box after the broker's death"
        )
    assert storm.attempts <= 1.6
