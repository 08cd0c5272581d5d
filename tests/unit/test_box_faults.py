"""A fault of the box is one incident a life, told within a minute, and never a flood."""

from datetime import UTC, datetime

import pytest

from agent.app.fault_events import worth_an_event
from agent.contract.events import StreamName
from agent.events.box_faults import BoxFaults, Trouble
from agent.health.fault import Fault, Severity
from tests.incident_box import IncidentBox

SINCE = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOT_RECORDED = Trouble("camera.not_recorded", "camera/gate", "Not recorded (disk-full).", SINCE)
FULL = Trouble("disk.full", "disk", "The disk is full: 3 MiB free.", SINCE)


class Faults:
    """Looks every 5 s at what the test says is wrong."""

    def __init__(self, box):
        self.box, self.made = box, BoxFaults(box.db, box.assembler.incidents, list, box.clock)

    async def hold(self, seconds, *troubles):
        for _ in range(int(seconds // 5)):
            await self.made.look(troubles)
            self.box.clock.pass_s(5)


@pytest.fixture
async def box(tmp_path):
    async with IncidentBox(tmp_path) as box:
        yield box


async def test_a_camera_that_is_not_recorded_is_an_alarm_within_a_minute(box):
    faults = Faults(box)
    await faults.hold(25, NOT_RECORDED)
    (new,) = await box.told(StreamName.ALARM)
    assert (new.data.kind.value, new.subject) == ("not-recorded", "gate")
    assert (new.data.code, new.data.started_at) == ("camera.not_recorded", SINCE)
    await faults.hold(60)
    _, end = await box.told(StreamName.ALARM)
    assert (end.phase.value, end.id) == ("end", new.id)


async def test_a_hiccup_is_not_told(box):
    faults = Faults(box)
    await faults.hold(10, FULL)
    await faults.hold(120)
    assert await box.told(StreamName.EVENT) == []


async def test_a_fault_that_flickers_is_one_incident(box):
    faults = Faults(box)
    for _ in range(30):
        await faults.hold(15, FULL)
        await faults.hold(15)
    (new,) = await box.told(StreamName.EVENT)
    assert (new.data.kind.value, new.subject, new.data.code) == ("box-fault", "disk", "disk.full")


async def test_a_fault_that_comes_every_minute_all_day_is_a_few_messages_an_hour(box):
    faults = Faults(box)
    for _ in range(24 * 60):
        await faults.hold(20, FULL)
        await faults.hold(40)
    assert len(await box.told(StreamName.EVENT)) <= 24


async def test_what_changes_is_an_update_now_and_then(box):
    faults = Faults(box)
    for minute in range(60):
        await faults.hold(60, Trouble("disk.full", "disk", f"{minute} MiB free.", SINCE))
    told = await box.told(StreamName.EVENT)
    assert 2 <= len(told) <= 7
    assert len({event.id for event in told}) == 1


async def test_a_core_that_starts_anew_goes_on_with_the_same_incident(tmp_path, box):
    await Faults(box).hold(25, FULL)
    async with IncidentBox(tmp_path, box.clock, boot=2) as after:
        faults = Faults(after)
        await faults.made._take_up()
        await faults.hold(60, FULL)
        assert await after.open_keys() == ["fault/disk/disk.full"]
        await faults.hold(60)
        told = await after.told(StreamName.EVENT)
    assert len({event.id for event in told}) == 1
    assert [event.phase.value for event in told if event.phase.value != "update"] == ["new", "end"]


async def test_a_storm_is_spread_over_looks(box):
    faults = Faults(box)
    storm = [Trouble("process.quarantined", f"process/p{n}", "Down.") for n in range(35)]
    await faults.hold(15, *storm)
    assert len(await box.told(StreamName.EVENT)) == 10
    await faults.hold(15, *storm)
    assert len(await box.told(StreamName.EVENT)) == 35


def test_only_what_is_red_and_not_told_otherwise_is_worth_an_event():
    def fault(code, subject, severity=Severity.RED):
        words = {"sentence_en": "s", "sentence_ko": "s", "hint_en": "h", "hint_ko": "h"}
        return Fault(code=code, subject=subject, severity=severity, **words)

    faults = [
        fault("camera.not_recorded", "camera/gate"),
        fault("camera.lost", "camera/roof"),
        fault("picture.covered", "camera/gate"),
        fault("link.down", "link"),
        fault("disk.low", "disk", Severity.YELLOW),
    ]
    assert [one.code for one in worth_an_event(faults, {"camera/roof"})] == ["camera.not_recorded"]
