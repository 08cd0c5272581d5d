"""Many boxes on one mosquitto: a storm of events is all stored, and a restart is no stampede."""

import asyncio
import resource
import sqlite3
from contextlib import closing

import pytest

from agent.simulators.broker import CENTER
from agent.uplink.link import Backoff
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


async def storm_and_stampede(folder, broker, count, down_s):
    """Return how often each box tried to connect again after the broker's death, on average."""
    async with (
        running(make_center(folder, broker.settings(CENTER))),
        Fleet(count, broker.port, Backoff()) as fleet,
    ):
        for _ in range(STORM_EVENTS):
            for box in fleet.boxes:
                box.say()
        await fleet.all_acknowledged()
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
    return attempts / count


async def test_a_storm_of_300_boxes_is_all_stored(mosquitto, tmp_path):
    room_for(300)
    assert await storm_and_stampede(tmp_path, mosquitto, 300, 0.3) <= 1.6


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_storm_of_3000_boxes_is_all_stored(mosquitto, tmp_path, capsys):
    room_for(3000)
    attempts = await storm_and_stampede(tmp_path, mosquitto, 3000, 1.0)
    with capsys.disabled():
        print(f"\n3000 boxes: {attempts:.2f} attempts each after the broker's death")  # noqa: T201
    assert attempts <= 1.6
