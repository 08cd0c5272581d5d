"""The center's configuration: applied by difference, reported, taken back when it does harm."""

import asyncio

import msgspec
import pytest

from agent.commands.config import ConfigHandler
from agent.contract.audit import AuditRecord
from agent.contract.commands import Actor, Config, ReplyState
from agent.contract.config import ConfigStatus, Desired, settings_hash
from agent.contract.events import StreamName
from agent.core.errors import CommandError, SettingsError
from agent.health.stored_settings import stored_faults
from agent.settings.in_effect import set_damaged_aside
from agent.settings.load import DESIRED_FILE, read_desired
from agent.settings.trial import LOST_S
from agent.simulators.broker import CENTER
from agent.simulators.center.commander import load_key, public_keys_file, sign
from tests.brokers import make_broker
from tests.fake_clock import FakeClock
from tests.spine import ADDRESS, Box, eventually, make_center, running

KIM = Actor(user="kim")
SLOW = {"cameras": [{"camera_id": "gate", "detect_fps": 2.0}]}
LONG = {"buffer": {"segment_s": 30.0}}


@pytest.fixture(params=["mosquitto", "nats"])
async def broker(request, tmp_path):
    broker = make_broker(request.param, tmp_path / "broker", [ADDRESS])
    await broker.start()
    yield broker
    await broker.stop()


async def seen(center, status, version):
    """Wait until the center has heard of this outcome; return the report."""
    found = []

    async def is_reported():
        found[:] = [box.config for box in await center.boxes()]
        return found and found[0] and (found[0].status, found[0].version) == (status, version)

    await eventually(is_reported)
    return found[0]


async def test_what_the_center_wants_is_applied_and_reported(broker, tmp_path):
    box = Box(tmp_path, broker.settings("box-1"), keys_file=public_keys_file(tmp_path))
    async with running(make_center(tmp_path, broker.settings(CENTER))) as center:

        async def is_connected():
            return center.link() == ""

        await eventually(is_connected)
        async with running(box):
            await center.configure(ADDRESS, SLOW | LONG, KIM)
            report = await seen(center, ConfigStatus.APPLIED, 1)
            assert report.hash == settings_hash(SLOW | LONG)
            assert report.on_trial
            (change,) = box.applied
            assert (change.retuned, change.sections) == (("gate",), {"cameras", "buffer"})

            await center.configure(ADDRESS, LONG | {"colour": "red"}, KIM)
            report = await seen(center, ConfigStatus.PARTLY, 2)
            assert [error.path for error in report.errors] == ["$.colour"]
            assert box.applied[-1].sections == {"cameras"}
            assert report.hash == settings_hash(LONG)

            await center.configure(ADDRESS, {"broker": {"urls": ["mqtt://evil"]}}, KIM)
            report = await seen(center, ConfigStatus.REFUSED, 3)
            assert report.hash == settings_hash(LONG)

        # retained: it comes again at the next connection, and changes nothing
        again = Box(tmp_path, broker.settings("box-1"), keys_file=public_keys_file(tmp_path))
        async with running(again):
            assert again.desired.settings.buffer.segment_s == 30.0
            await seen(center, ConfigStatus.REFUSED, 3)
            await center.configure(ADDRESS, SLOW, KIM)
            await seen(center, ConfigStatus.APPLIED, 4)
        assert len(again.applied) == 1


async def test_a_null_removes_what_the_technicians_file_says_over_a_restart_too(tmp_path):
    def in_file(lone):  # what the file says, whatever the center wants
        lone.box.desired._table["cameras"][0]["name"] = "North gate"
        lone.box.desired._table["buffer"] = {"segment_s": 5.0}

    gone = {"cameras": [{"camera_id": "gate", "name": None}]}
    async with Lone(tmp_path, in_file) as lone:
        report = await lone.want(1, gone | {"buffer": {"segment_s": None}})
        assert (report.status, report.errors) == (ConfigStatus.APPLIED, ())
        assert report.hash == settings_hash(gone | {"buffer": {"segment_s": None}})
        assert lone.box.desired.settings.camera("gate").name == ""
        assert lone.box.desired.settings.buffer.segment_s == 10.0
        await lone.want(2, gone)  # no word on segments any more: the file's counts
        assert lone.box.desired.settings.buffer.segment_s == 5.0
        await lone.box.desired.patch({"buffer": {"segment_s": None}}, KIM)  # an order removes, too
        assert lone.box.desired.settings.buffer.segment_s == 10.0
    async with Lone(tmp_path, in_file) as lone:
        assert read_desired(tmp_path) == gone | {"buffer": {"segment_s": None}}
        assert lone.box.desired.left_out == ()
        assert lone.box.desired.report().hash == settings_hash(read_desired(tmp_path))


async def test_what_would_leave_a_box_without_cameras_is_refused_unless_it_says_so(tmp_path):
    async with Lone(tmp_path) as lone:
        desired = lone.box.desired
        for version, nothing in enumerate(({"cameras": None}, {"cameras": []}), 1):
            report = await lone.want(version, nothing | {"buffer": {"segment_s": 5.0}})
            (problem,) = report.errors
            assert (report.status, problem.path) == (ConfigStatus.REFUSED, "$.cameras")
            assert problem.code == "config.no_cameras"
            with pytest.raises(SettingsError) as caught:
                await desired.patch(nothing, KIM)
            assert caught.value.code == "config.no_cameras"
        assert [camera.camera_id for camera in desired.settings.cameras] == ["gate"]
        assert desired.settings.buffer.segment_s == 10.0  # nothing else of it counts either

        report = await lone.want(3, {"cameras": None}, no_cameras=True)
        assert (report.status, report.errors) == (ConfigStatus.APPLIED, ())
        assert desired.settings.cameras == ()
        await lone.want(4, {"cameras": None})  # nothing is taken from a box that has none
        assert desired.report().status is ConfigStatus.APPLIED


async def test_cameras_that_only_the_center_named_do_not_go_by_a_document_that_forgets_them(
    tmp_path,
):
    def no_own_cameras(lone):
        lone.own = lone.box.desired._table.pop("cameras")
        lone.box.desired.settings = msgspec.structs.replace(lone.box.desired.settings, cameras=())

    async with Lone(tmp_path, no_own_cameras) as lone:
        assert (await lone.want(1, {"cameras": lone.own})).status is ConfigStatus.APPLIED
        report = await lone.want(2, {"buffer": {"segment_s": 5.0}})
        assert [one.code for one in report.errors] == ["config.no_cameras"]
        assert [camera.camera_id for camera in lone.box.desired.settings.cameras] == ["gate"]
        report = await lone.want(3, {"buffer": {"segment_s": 5.0}}, no_cameras=True)
        assert (report.status, lone.box.desired.settings.cameras) == (ConfigStatus.APPLIED, ())


@pytest.mark.parametrize("more", [{}, {"buffer": {"segment_s": 5.0}}])
async def test_new_cameras_of_which_none_fits_are_told_by_what_is_wrong_and_wait(tmp_path, more):
    """A word of a newer version may be in force after the next update, cameras and all."""

    def no_own_cameras(lone):
        lone.own = lone.box.desired._table.pop("cameras")
        lone.box.desired.settings = msgspec.structs.replace(lone.box.desired.settings, cameras=())

    async with Lone(tmp_path, no_own_cameras) as lone:
        assert (await lone.want(1, {"cameras": lone.own})).status is ConfigStatus.APPLIED
        camera = {"camera_id": "yard", "main_url": "of-tomorrow://127.0.0.1/"}
        report = await lone.want(2, {"cameras": [camera]} | more)
        assert report.status is ConfigStatus.REFUSED
        assert any("main_url" in one.path + one.message for one in report.errors)
        assert [one.code == "config.no_cameras" for one in report.errors].count(True) == len(more)
        assert lone.box.desired._state.waits is not None
        assert [camera.camera_id for camera in lone.box.desired.settings.cameras] == ["gate"]
        assert lone.box.desired.settings.buffer.segment_s == 10.0


class Lone:
    """A box without a broker, on a clock moved by hand."""

    def __init__(self, folder, prepare=lambda lone: None):
        self.key = load_key(folder)
        broker = make_broker("mosquitto", folder / "broker", [ADDRESS]).settings("box-1")
        self.box = Box(folder, broker, keys_file=public_keys_file(folder))
        prepare(self)
        self.clock = self.box.desired._clock = FakeClock()

    async def __aenter__(self):
        await self.box.open()
        await self.box.desired.start()
        self.task = asyncio.create_task(self.box.desired.run())
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.wait([self.task])
        await self.box.db.stop()

    async def want(self, version, settings, base=None, **changes):
        desired = Desired(
            box="box-1",
            version=version,
            base=version - 1 if base is None else base,
            hash=settings_hash(settings),
            settings=settings,
            by=KIM,
            iat=0,
            iss="site-1",
        )
        await self.box.desired.handle(sign(msgspec.structs.replace(desired, **changes), self.key))
        return self.box.desired.report()

    async def pass_s(self, seconds):
        for _ in range(int(seconds / 50)):
            await self.clock.advance(50)


async def audited(box):
    """Return who changed what, as the audit chain has it at once."""
    records = await box.outbox.read(StreamName.AUDIT, 0, 100, 10**6)
    entries = [msgspec.json.decode(record.body, type=AuditRecord).data for record in records]
    changes = [entry for entry in entries if entry.op == "settings.change"]
    return [(entry.actor, entry.detail.partition("; ")[2]) for entry in changes]


@pytest.mark.parametrize("lost", ["link", "camera/gate"])
async def test_a_change_that_loses_what_worked_is_taken_back(tmp_path, lost):
    async with Lone(tmp_path) as lone:
        box = lone.box
        await lone.want(1, LONG)
        await lone.pass_s(LOST_S + 50)
        assert not box.desired.report().on_trial

        await lone.want(2, LONG | SLOW)
        box.works.discard(lost)
        await lone.pass_s(LOST_S - 50)
        assert box.desired.report().status is ConfigStatus.APPLIED
        await lone.pass_s(100)
        report = box.desired.report()
        assert (report.status, report.version) == (ConfigStatus.ROLLED_BACK, 2)
        assert lost in report.errors[0].message
        assert read_desired(tmp_path) == LONG
        assert box.desired.settings.camera("gate").detect_fps == 5.0
        assert len(box.applied) == 3

        await lone.want(2, LONG | SLOW)  # retained, it comes again
        assert len(box.applied) == 3
        assert await audited(box) == [
            ("kim", "buffer.segment_s: 10.0 -> 30.0"),
            ("kim", "cameras.gate.detect_fps: 5.0 -> 2.0"),
            ("box", "cameras.gate.detect_fps: 2.0 -> 5.0"),
        ]


async def test_a_second_change_on_trial_goes_back_to_what_was_good(tmp_path):
    async with Lone(tmp_path) as lone:
        await lone.want(1, LONG)
        lone.box.works.clear()
        await lone.want(2, SLOW)
        await lone.pass_s(LOST_S + 50)
        assert lone.box.desired.report().status is ConfigStatus.ROLLED_BACK
        assert read_desired(tmp_path) == {}


async def test_a_restart_does_not_end_the_trial(tmp_path):
    async with Lone(tmp_path) as lone:
        await lone.want(1, LONG)
    async with Lone(tmp_path) as lone:
        lone.box.works.discard("link")
        assert lone.box.desired.report().on_trial
        await lone.pass_s(LOST_S + 50)
        assert lone.box.desired.report().status is ConfigStatus.ROLLED_BACK
    assert read_desired(tmp_path) == {}


async def test_two_authors_and_damage_are_noticed(tmp_path):
    async with Lone(tmp_path) as lone:
        await lone.want(5, LONG, base=0)
        report = await lone.want(6, SLOW, base=4)
        assert (report.status, report.errors[0].code) == (ConfigStatus.REFUSED, "config.conflict")
        report = await lone.want(7, SLOW, hash="0" * 64)
        assert report.errors[0].code == "config.bad_hash"
        assert (await lone.want(3, SLOW)).version == 7  # older: not looked at
        with pytest.raises(CommandError, match="for box-2"):
            await lone.want(8, SLOW, box="box-2")
        assert read_desired(tmp_path) == LONG


def a_stored_key_no_longer_fits(folder):
    """As after a roll-back to a version that knows less: what is stored speaks of an unknown key.

    Returns what to call to have the newer version back.
    """
    file = folder / DESIRED_FILE
    known = file.read_bytes()
    file.write_bytes(known.replace(b"segment_s", b"segment_new"))
    return lambda: file.write_bytes(file.read_bytes().replace(b"segment_new", b"segment_s"))


async def test_a_key_that_no_longer_fits_at_a_start_is_left_out_alone_and_comes_back(tmp_path):
    async with Lone(tmp_path) as lone:
        await lone.want(1, SLOW | LONG)
        await lone.pass_s(LOST_S + 50)
    update = a_stored_key_no_longer_fits(tmp_path)
    async with Lone(tmp_path) as lone:
        desired = lone.box.desired
        report = desired.report()
        assert (report.version, report.status) == (1, ConfigStatus.PARTLY)
        assert [(error.path, error.code) for error in report.errors] == [
            ("$.buffer.segment_new", "settings.invalid")
        ]
        assert report.hash == settings_hash(SLOW)
        assert desired.settings.camera("gate").detect_fps == 2.0
        (fault,) = stored_faults(desired.left_out)
        assert fault.code == "settings.center_left_out"
        assert "$.buffer.segment_new" in fault.sentence_ko
        # What is changed meanwhile takes nothing of it away.
        await desired.patch({"buffer": {"event_lock_days": 9.0}}, KIM)
        await desired.set_here({"timelapse": {"every_s": 900.0}}, KIM)
    update()
    async with Lone(tmp_path) as lone:
        desired = lone.box.desired
        report = desired.report()
        assert (report.version, report.status, report.errors) == (1, ConfigStatus.APPLIED, ())
        assert desired.left_out == ()
        settings = desired.settings
        assert (settings.buffer.segment_s, settings.buffer.event_lock_days) == (30.0, 9.0)
        assert settings.timelapse.every_s == 900.0


async def test_a_newer_word_counts_against_what_was_left_out(tmp_path):
    async with Lone(tmp_path) as lone:
        await lone.want(1, SLOW | {"colour": "red"})
        await lone.box.desired.patch({"cameras": [{"camera_id": "gate", "detect_fps": 4.0}]}, KIM)
        with pytest.raises(SettingsError):
            await lone.box.desired.patch({"colour": "blue"}, KIM)
        assert lone.box.desired.settings.camera("gate").detect_fps == 4.0
        assert [left.path for left in lone.box.desired.left_out] == ["$.colour"]
        report = await lone.want(2, LONG)
        assert (report.status, lone.box.desired.left_out) == (ConfigStatus.APPLIED, ())


async def test_a_word_of_which_nothing_fits_waits_for_the_version_that_knows_it(tmp_path):
    async with Lone(tmp_path) as lone:
        await lone.want(1, LONG)
        roof = {"cameras": [{"camera_id": "roof", "detect_fps": 2.0}]}
        assert (await lone.want(2, roof)).status is ConfigStatus.REFUSED
        assert lone.box.desired.settings.buffer.segment_s == 30.0
    async with Lone(tmp_path) as lone:
        assert lone.box.desired.report().status is ConfigStatus.REFUSED
    lone = Lone(tmp_path)  # what it lacks here is a camera; after an update it is a key
    lone.box.table["cameras"].append({"camera_id": "roof", "main_url": "rtsp://10.0.0.9/m"})
    async with lone:

        async def is_taken():
            return lone.box.desired.report().status is ConfigStatus.APPLIED

        await eventually(is_taken)
        assert lone.box.desired.settings.camera("roof").detect_fps == 2.0
        assert read_desired(tmp_path) == roof


async def test_a_stored_file_that_is_damaged_is_kept_aside_and_told(tmp_path):
    (tmp_path / DESIRED_FILE).write_bytes(b'{"buf')
    set_damaged_aside(tmp_path)
    async with Lone(tmp_path) as lone:
        desired = lone.box.desired
        report = desired.report()
        assert (report.status, report.errors[0].code) == (ConfigStatus.REFUSED, "settings.damaged")
        assert [fault.code for fault in stored_faults(desired.left_out)] == [
            "settings.center_left_out"
        ]
        assert (tmp_path / "desired.refused.json").read_bytes() == b'{"buf'
        assert (await lone.want(2, SLOW)).status is ConfigStatus.APPLIED
        assert desired.left_out == ()


async def test_one_change_by_order_is_all_or_nothing(broker, tmp_path):
    box = Box(tmp_path, broker.settings("box-1"), keys_file=public_keys_file(tmp_path))
    box.commands.register("config", ConfigHandler(box.desired), idempotent=True)
    async with running(make_center(tmp_path, broker.settings(CENTER))) as center, running(box):

        async def order(patch):
            return [r async for r in center.command(ADDRESS, Config(patch=patch), KIM)][-1]

        assert (await order(LONG)).result["changed"] == ["buffer"]
        bad = await order(SLOW | {"colour": "red"})
        assert (bad.state, bad.code) == (ReplyState.FAILED, "settings.invalid")
        assert read_desired(tmp_path) == LONG
