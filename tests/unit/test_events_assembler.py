"""One incident is one alarm with one life, whatever is repeated, late, lost or restarted."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from agent.contract.events import StreamName
from agent.events import reading
from agent.messages.vision import HitState
from agent.messages.worker import CameraState
from tests.incident_box import IncidentBox

BEGAN, CONTINUES, ENDED = HitState


@pytest.fixture
async def box(tmp_path):
    async with IncidentBox(tmp_path) as box:
        yield box


@asynccontextmanager
async def sweeping(box):
    """Run the assembler's once-a-second work beside the test."""
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(box.assembler.run())
        await box.clock.rests()
        try:
            yield
        finally:
            running.cancel()


async def test_a_life_is_new_update_end_under_one_id(box):
    began = await box.took(people=1)
    await box.took(CONTINUES, people=2)
    await box.took(ENDED, reason="zone-clear")

    new, update, end = await box.told()
    assert [event.phase.value for event in (new, update, end)] == ["new", "update", "end"]
    assert {event.id for event in (new, update, end)} == {began.hit_id}
    assert [event.seq for event in (new, update, end)] == [1, 2, 3]
    assert len(update.data.objects) == 2
    assert end.data.end_reason == "zone-clear"
    assert end.data.started_at == began.at <= end.data.ended_at
    assert await box.open_keys() == []


async def test_the_same_hit_again_changes_nothing(box):
    hit = await box.took()
    await box.assembler.take(hit)
    await box.took(ENDED)
    await box.assembler.take(hit)  # acknowledged late, sent again after the end
    assert await box.phases() == ["new", "end"]
    assert await box.open_keys() == []


async def test_a_new_beginning_while_it_lasts_is_an_update_and_no_second_alarm(box):
    first = await box.took()
    second = await box.took()  # its worker was restarted and sees the same again
    assert second.hit_id != first.hit_id
    assert await box.phases() == ["new", "update"]
    assert {event.id for event in await box.told()} == {first.hit_id}


async def test_what_only_goes_on_is_not_told_again(box):
    await box.took(people=2)
    for people in (1, 2, 0):
        await box.took(CONTINUES, people=people)
    assert await box.phases() == ["new"]


async def test_cameras_have_incidents_of_their_own_and_the_rules_of_one_camera_share_one(box):
    for camera, rule in (("gate", "yard"), ("gate", "door"), ("roof", "yard")):
        await box.took(camera=camera, rule=rule)
    assert len({event.id for event in await box.told()}) == 2
    await box.took(ENDED, camera="gate", rule="door")
    assert len(await box.open_keys()) == 2
    await box.took(ENDED, camera="gate", rule="yard")
    *_, end = await box.told()
    assert end.data.rules == ("gate/yard", "gate/door")
    assert len(await box.open_keys()) == 1


async def test_what_was_never_begun_neither_goes_on_nor_ends(box):
    await box.took(CONTINUES)
    await box.took(ENDED)
    assert await box.told() == []


async def test_what_nobody_confirms_for_twenty_seconds_is_over(box):
    await box.took()
    async with sweeping(box):
        for _ in range(3):
            await box.clock.advance(15.0)
            await box.took(CONTINUES)
        assert await box.phases() == ["new"]
        await box.clock.advance(19.0)
        assert await box.phases() == ["new"]
        await box.clock.advance(3.0)
    new, end = await box.told()
    assert (end.phase.value, end.data.end_reason) == ("end", "not-confirmed")
    assert end.id == new.id


async def test_a_hit_told_late_does_not_undo_a_later_confirmation(box):
    late = box.hit()
    await box.clock.advance(15.0)
    await box.took()
    await box.assembler.take(late)
    async with sweeping(box):
        await box.clock.advance(10.0)
    assert await box.phases() == ["new", "update"]


async def test_a_hit_of_an_earlier_boot_is_historical_and_does_not_stay_open(box):
    await box.took(mono_s=box.clock.monotonic_s() + 864_000)  # it had run for days before
    async with sweeping(box):
        await box.clock.advance(25.0)
    new, end = await box.told()
    assert new.historical
    assert end.data.end_reason == "not-confirmed"


async def test_a_hit_told_a_minute_late_is_historical(box):
    at_once, late = box.hit(), box.hit(rule="door")
    await box.assembler.take(at_once)
    await box.clock.advance(61.0)
    await box.assembler.take(late)
    assert [event.historical for event in await box.told()] == [False, True]


async def test_after_a_reboot_what_was_open_is_ended_once(tmp_path, box):
    await box.took()
    async with IncidentBox(tmp_path, box.clock, boot=2) as after, sweeping(after):
        await after.clock.advance(3.0)
        *_, end = await after.told()
        assert (end.phase.value, end.data.end_reason) == ("end", "box-restarted")
        assert await after.phases() == ["new", "end"]


async def test_a_restarted_core_takes_the_open_incident_up_again(tmp_path, box):
    began = await box.took()
    async with IncidentBox(tmp_path, box.clock) as after, sweeping(after):
        await after.took()
        await after.clock.advance(3.0)
        assert await after.phases() == ["new", "update"]
        assert {event.id for event in await after.told()} == {began.hit_id}


async def test_an_end_is_never_before_its_beginning_though_the_clock_was_set_back(box):
    began = await box.took()
    await box.took(ENDED, at=began.at.replace(year=2020))
    _, end = await box.told()
    assert end.data.ended_at == began.at
    (incident,) = await box.db.run(lambda c: reading.latest(c, 10))
    assert incident.ended_at == incident.started_at == began.at


# Pictures


async def test_a_picture_goes_with_the_first_word_only(box):
    hit = await box.took(picture_jpeg=b"\xff\xd8" + b"x" * 900, picture_width_px=480)
    await box.took(CONTINUES, people=3)
    new, update = await box.told()
    assert new.data.picture.jpeg == hit.picture_jpeg
    assert update.data.picture is None
    assert await box.db.run(lambda c: reading.picture(c, hit.hit_id)) == hit.picture_jpeg


async def test_a_picture_too_large_to_send_is_left_out_and_the_alarm_goes(box):
    hit = await box.took(picture_jpeg=b"x" * 30_000)
    (new,) = await box.told()
    assert new.data.picture is None
    assert new.data.objects
    assert await box.db.run(lambda c: reading.picture(c, hit.hit_id)) == hit.picture_jpeg


async def test_a_site_that_wants_no_pictures_sends_none(tmp_path):
    async with IncidentBox(tmp_path, thumbnails=False) as box:
        hit = await box.took(picture_jpeg=b"x" * 900)
        (new,) = await box.told()
        assert new.data.picture is None
        assert await box.db.run(lambda c: reading.picture(c, hit.hit_id)) is None


# Cameras


async def test_a_hiccup_of_a_camera_is_no_event_but_an_absence_is_told_once_and_ended(box):
    box.camera_is(CameraState.ONLINE)
    async with sweeping(box):
        for _ in range(5):
            box.camera_is(CameraState.LOST, "camera.timeout")
            await box.clock.advance(4.0)
            box.camera_is(CameraState.ONLINE)
            await box.clock.advance(2.0)
        assert await box.told(StreamName.EVENT) == []

        for _ in range(4):
            box.camera_is(CameraState.LOST, "camera.timeout")
            await box.clock.advance(3.0)
        (lost,) = await box.told(StreamName.EVENT)
        assert (lost.subject, lost.data.code) == ("gate", "camera.timeout")

        box.camera_is(CameraState.ONLINE)
        await box.clock.advance(2.0)
    _, back = await box.told(StreamName.EVENT)
    assert (back.phase.value, back.data.end_reason) == ("end", "camera-back")
    assert back.id == lost.id


async def test_a_better_reason_for_an_absence_is_an_update(box):
    async with sweeping(box):
        for code in ("camera.timeout", "camera.timeout", "camera.refused", "camera.refused"):
            box.camera_is(CameraState.LOST, code)
            await box.clock.advance(4.0)
    events = await box.told(StreamName.EVENT)
    assert [event.data.code for event in events] == ["camera.timeout", "camera.refused"]
    assert [event.phase.value for event in events] == ["new", "update"]


async def test_a_silent_worker_and_a_camera_never_seen_are_told(box):
    box.camera_is(CameraState.ONLINE)
    box.assembler.expect("roof")
    async with sweeping(box):
        await box.clock.advance(20.0)
    told = {event.subject: event.data.code for event in await box.told(StreamName.EVENT)}
    assert told["gate"] == "camera.worker_silent"
    assert told["roof"].startswith("camera.")


async def test_a_restarted_core_does_not_call_an_absent_camera_back(tmp_path, box):
    box.camera_is(CameraState.LOST, "camera.timeout")
    async with sweeping(box):
        await box.clock.advance(8.0)
    async with IncidentBox(tmp_path, box.clock) as after:
        after.assembler.expect("gate")
        async with sweeping(after):
            for _ in range(4):
                after.camera_is(CameraState.LOST, "camera.timeout")
                await after.clock.advance(3.0)
        assert "end" not in await after.phases(StreamName.EVENT)


async def test_a_camera_taken_out_of_the_settings_ends_its_absence(box):
    box.camera_is(CameraState.LOST, "camera.timeout")
    async with sweeping(box):
        await box.clock.advance(8.0)
        box.assembler.forget("gate")
        await box.clock.advance(2.0)
    assert await box.phases(StreamName.EVENT) == ["new", "end"]


async def test_while_nothing_is_open_the_database_is_left_alone(box):
    await box.took()
    await box.took(ENDED)
    commits = []
    async with sweeping(box):
        await box.clock.advance(2.0)
        box.db.on_commit(lambda: commits.append(1))
        await box.clock.advance(30.0)
        assert commits == []
        await box.took()
        await box.clock.advance(30.0)  # nobody confirms it
    assert await box.open_keys() == []
