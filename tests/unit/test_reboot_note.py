"""That the box rebooted itself is news until its event is queued, whatever clock and link do."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from agent.app.fault_events import worth_an_event
from agent.app.last_resort import REBOOTS_FILE, Reboot
from agent.app.reboot_note import CODE, SHOWN_FOR_S, SUBJECT, RebootNote
from agent.contract.events import StreamName
from agent.core.clock import SystemClock
from agent.events.box_faults import BoxFaults
from tests.fake_clock import FakeClock
from tests.incident_box import IncidentBox


def rebooted(folder, at):
    record = [Reboot(at=at, boot_id="boot-a", reason="no progress")]
    (folder / REBOOTS_FILE).write_bytes(msgspec.json.encode(record))


def codes(note):
    return [fault.code for fault in note.faults()]


@pytest.mark.parametrize("clock_off", [timedelta(), timedelta(days=-400), timedelta(days=400)])
async def test_it_is_told_however_late_and_shown_for_an_hour_more(tmp_path, clock_off):
    clock, told = FakeClock(), []
    rebooted(tmp_path, clock.utc_now() + clock_off)
    note = RebootNote(tmp_path, "boot-b", lambda *_: bool(told), clock)
    task = asyncio.ensure_future(note.run())
    await clock.advance(SHOWN_FOR_S + 60)  # the disk refuses the event
    assert codes(note) == [CODE]
    again = RebootNote(tmp_path, "boot-b", lambda *_: bool(told), clock)  # a core that started anew
    assert codes(again) == [CODE]

    told.append("event")
    await clock.advance(10)
    async with asyncio.timeout(30):
        while codes(RebootNote(tmp_path, "boot-b", lambda *_: False, clock)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert codes(note) == [CODE]
    await clock.rests()
    await clock.advance(SHOWN_FOR_S + 10)
    await asyncio.wait_for(task, 30)
    assert codes(note) == []


def test_one_that_was_asked_for_and_did_not_come_is_none(tmp_path):
    clock = SystemClock()
    rebooted(tmp_path, clock.utc_now())
    assert codes(RebootNote(tmp_path, "boot-a", lambda *_: False, clock)) == []


async def test_its_event_is_in_the_outbox_when_it_counts_as_told(tmp_path):
    rebooted(tmp_path, SystemClock().utc_now())
    async with IncidentBox(tmp_path) as box:
        events = BoxFaults(box.db, box.assembler.incidents, list, box.clock)
        note = RebootNote(tmp_path, "boot-b", events.is_told, box.clock)
        assert not events.is_told(CODE, SUBJECT)
        while not events.is_told(CODE, SUBJECT):
            await events.look(list(worth_an_event(note.faults(), set())))
            box.clock.pass_s(5)
        (new,) = await box.told(StreamName.EVENT)
        assert new.data.code == CODE
