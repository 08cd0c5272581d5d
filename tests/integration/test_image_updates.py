"""An update goes from the center's order to its end, whatever breaks on the way."""

import asyncio
import hashlib
import json
import os
from datetime import timedelta

import msgspec
import pytest
from click.testing import CliRunner

from agent.contract.updates import Update, UpdateStage
from agent.core.errors import CommandError, StorageError
from agent.health.updates import update_faults
from agent.local.cli.update import update as command_line
from agent.settings.model import UploadSettings
from agent.updates import blocks, job, stick
from agent.updates.image import ImageSide
from agent.updates.keeper import KEPT, Updates
from tests.bundle_store import BundleStore
from tests.fake_clock import FakeClock

MEGABYTE = 1024 * 1024
OLD = os.urandom(8 * MEGABYTE + 100)
CANCEL = Update(action="cancel")
NEW = OLD[: 3 * MEGABYTE] + os.urandom(5000) + OLD[3 * MEGABYTE + 5000 :]


class UpdatingBox:
    """An image's folders without the image: the test says what RAUC and the health gate said."""

    def __init__(self, folder, settings=None):
        self.clock, self.notes, self.busy = FakeClock(), [], ""
        (folder / "box").mkdir()
        self.side = ImageSide.of(folder / "box", folder)
        self.side.outcomes.mkdir(parents=True)
        self.side.release.parent.mkdir(parents=True)
        self.settings = settings or UploadSettings()
        self.runs("1.0.0")
        self.updates = self.start()

    def start(self, boot="boot-1"):
        return Updates(self.clock, self.side, self.settings, self._busy, self._note, this_boot=boot)

    async def restart(self, boot="boot-1"):
        self.updates = self.start(boot)
        await self.updates.start()

    async def _busy(self):
        return self.busy

    async def _note(self, *entry):
        self.notes.append(entry)

    def runs(self, version):
        self.side.release.write_text(json.dumps({"version": version}))

    def in_slot(self, slot, *, is_trial):
        self.side.notes.mkdir(parents=True, exist_ok=True)
        (self.side.notes / "slot").write_text(f"{slot}\n")
        (self.side.notes / "trial").unlink(missing_ok=True)
        if is_trial:
            (self.side.notes / "trial").touch()

    def says(self, name, **facts):
        (self.side.outcomes / name).write_text(json.dumps(facts))

    def plan(self):
        path = self.side.folder / "plan.json"
        return json.loads(path.read_text()) if path.exists() else None

    @property
    def told(self):
        return self.updates.told()

    async def looks(self, times=1):
        for _ in range(times):
            await self.updates.look()
            self.clock.pass_s(1000)

    async def installs(self):
        """What the image does with a plan that is good."""
        plan = self.plan()
        (self.side.folder / "plan.json").unlink()
        self.says("update.json", update_id=plan["update_id"], outcome="installed", version="1.1.0")
        await self.looks()


@pytest.fixture
def store():
    store = BundleStore()
    store.files["/new.raucb"] = NEW
    store.files["/new.raucb.blocks"] = b""
    yield store
    store.close()


@pytest.fixture
def box(tmp_path):
    return UpdatingBox(tmp_path)


def ordered(store, body=NEW, **changes):
    fields = {
        "action": "install",
        "version": "1.1.0",
        "url": f"{store.url}/new.raucb",
        "sha256": hashlib.sha256(body).hexdigest(),
        "size_bytes": len(body),
    }
    return msgspec.convert(fields | changes, Update)


def bundle_of(box):
    return box.side.folder / box.plan()["bundle"]


async def test_a_good_update_is_fetched_installed_tried_and_committed(box, store):
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks(2)
    assert bundle_of(box).read_bytes() == NEW
    assert box.plan()["restart"] is True
    await box.installs()
    assert box.told.stage is UpdateStage.INSTALLED
    box.runs("1.1.0")
    await box.restart("boot-2")
    await box.looks()
    assert box.told.stage is UpdateStage.INSTALLED, "on trial: the gate has not judged yet"
    box.says("trial.json", kept=True, version="1.1.0", boot="boot-2")
    await box.looks()
    assert box.told.stage is UpdateStage.COMMITTED
    assert (box.side.folder / KEPT).read_bytes() == NEW
    steps = ["fetching", "ready", "asked", "installed", "committed"]
    assert [op for op, *_ in box.notes] == [f"update.{step}" for step in steps]


async def test_an_outcome_that_a_power_cut_took_is_made_good_by_the_verdict(box, store):
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks(2)
    (box.side.folder / "plan.json").unlink()  # installed; the power went before it was noted
    box.runs("1.1.0")
    await box.restart("boot-2")
    await box.looks(2)
    assert box.told.stage is UpdateStage.READY, "nobody knows yet"
    box.says("trial.json", kept=True, version="1.1.0", boot="boot-2")
    await box.looks(2)
    assert box.told.stage is UpdateStage.COMMITTED
    assert box.plan() is None
    assert [op for op, *_ in box.notes].count("update.committed") == 1


async def test_a_version_that_does_not_come_up_is_told_as_rolled_back(box, store):
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks(2)
    await box.installs()
    box.says("trial.json", kept=False, why="new faults: link.down", version="1.1.0", boot="boot-2")
    await box.restart("boot-3")
    await box.looks()
    assert (box.told.stage, box.told.why) == (UpdateStage.ROLLED_BACK, "new faults: link.down")
    assert list(box.side.folder.glob("*.raucb*")) == []
    assert [fault.code for fault in update_faults(box.told)] == ["update.rolled_back"]
    await box.updates.order("U2", "lee", Update(action="cancel"))
    assert list(update_faults(box.told)) == []


async def test_a_broken_line_and_a_restart_cost_no_byte_twice(box, store):
    store.cut_after = [MEGABYTE, 3 * MEGABYTE]
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks()
    assert (box.told.waits_for, box.told.code) == ("store", "update.unreachable")
    await box.looks()
    await box.restart()
    await box.looks(2)
    assert bundle_of(box).read_bytes() == NEW
    assert store.given_bytes == len(NEW)


async def test_a_fresh_address_for_the_same_bundle_goes_on_where_it_was(box, store):
    store.cut_after = [9 * MEGABYTE, MEGABYTE]
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks()
    store.files["/again"] = NEW
    await box.updates.order("U2", "lee", ordered(store, url=f"{store.url}/again"))
    await box.looks(2)
    assert bundle_of(box).read_bytes() == NEW
    assert box.told.id == "U2"
    assert store.given_bytes == len(NEW)


async def test_only_blocks_that_changed_are_fetched(box, store, tmp_path):
    new = tmp_path / "new.raucb"
    new.write_bytes(NEW)
    result = CliRunner().invoke(command_line, ["index", str(new)])
    assert result.exit_code == 0, result.output
    index = (tmp_path / "new.raucb.blocks").read_bytes()
    store.files["/new.raucb.blocks"] = index
    box.side.folder.mkdir()
    (box.side.folder / KEPT).write_bytes(OLD)
    order = ordered(store, blocks_url=f"{store.url}/new.raucb.blocks")
    await box.updates.order("U1", "kim", order)
    await box.looks(2)
    assert bundle_of(box).read_bytes() == NEW
    assert store.given_bytes == len(index) + 2 * blocks.BLOCK_BYTES
    assert box.told.received_bytes == store.given_bytes


async def test_a_kept_bundle_that_rotted_spoils_nothing(box, store):
    rotten = bytearray(OLD)
    rotten[MEGABYTE : MEGABYTE + 10] = bytes(10)
    box.side.folder.mkdir()
    (box.side.folder / KEPT).write_bytes(rotten)
    new = box.side.folder / "scratch"
    new.write_bytes(NEW)
    store.files["/new.raucb.blocks"] = blocks.index_of(new)
    order = ordered(store, blocks_url=f"{store.url}/new.raucb.blocks")
    await box.updates.order("U1", "kim", order)
    await box.looks(2)
    assert bundle_of(box).read_bytes() == NEW


@pytest.mark.parametrize(
    "spoil",
    [lambda index: b"", lambda index: index[:-1], lambda index: b"X" * len(index)],
    ids=["empty", "short", "strange"],
)
async def test_a_list_of_blocks_that_is_none_ends_the_update_with_its_reason(box, store, spoil):
    new = box.side.outcomes / "scratch"
    new.write_bytes(NEW)
    store.files["/new.raucb.blocks"] = spoil(blocks.index_of(new))
    order = ordered(store, blocks_url=f"{store.url}/new.raucb.blocks")
    await box.updates.order("U1", "kim", order)
    await box.looks()
    assert (box.told.stage, box.told.code) == (UpdateStage.FAILED, "update.index")


async def test_another_file_than_ordered_is_never_given_to_the_image(box, store):
    await box.updates.order("U1", "kim", ordered(store, sha256="0" * 64))
    await box.looks(4)
    assert (box.told.stage, box.told.code) == (UpdateStage.FAILED, "update.damaged")
    assert [fault.code for fault in update_faults(box.told)] == ["update.failed"]
    assert box.plan() is None
    assert list(box.side.folder.glob("*.raucb*")) == []


async def test_a_day_costs_no_more_than_its_budget(box, store):
    await box.updates.order("U1", "kim", ordered(store, daily_bytes=3 * MEGABYTE))
    await box.looks(5)
    assert box.told.waits_for == "budget"
    spent = store.given_bytes
    assert spent <= 4 * MEGABYTE + 128 * 1024, "one range that was under way"
    box.clock.pass_s(timedelta(days=1).total_seconds())
    await box.looks(2)
    box.clock.pass_s(timedelta(days=1).total_seconds())
    await box.looks(3)
    assert bundle_of(box).read_bytes() == NEW


async def test_outside_the_window_nothing_is_fetched(tmp_path, store):
    box = UpdatingBox(tmp_path, UploadSettings(window="18:00-19:00"))
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks()
    assert (box.told.waits_for, store.asked) == ("window", [])
    box.clock.pass_s(6 * 3600)
    await box.looks(2)
    assert bundle_of(box).read_bytes() == NEW


async def test_nothing_is_installed_while_an_incident_is_on(box, store):
    box.busy = "the incident I-7 is on"
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks(3)
    assert (box.told.stage, box.told.waits_for) == (UpdateStage.READY, "incident")
    assert box.plan() is None
    assert json.loads((box.side.folder / "hold").read_text())["why"] == box.busy
    box.busy = ""
    await box.looks()
    assert box.plan() is not None
    assert not (box.side.folder / "hold").exists()


async def test_an_incident_that_begins_during_the_installation_puts_the_restart_off(box, store):
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks(2)
    box.busy = "the incident I-7 is on"
    await box.looks()
    assert (box.told.stage, json.loads((box.side.folder / "hold").read_text())) == (
        UpdateStage.ASKED,
        {"why": box.busy},
    )
    await box.installs()
    await box.looks()
    assert (box.told.stage, box.told.waits_for) == (UpdateStage.INSTALLED, "incident")
    box.busy = ""
    await box.looks()
    assert not (box.side.folder / "hold").exists()
    assert (box.told.waits_for, box.told.code) == ("", "")


async def test_a_verdict_that_the_power_took_is_seen_by_the_slot_that_is_kept(box, store):
    box.in_slot("a", is_trial=False)
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks(2)
    await box.installs()
    box.runs("1.1.0")
    box.in_slot("b", is_trial=True)
    await box.restart("boot-2")
    await box.looks(2)
    assert box.told.stage is UpdateStage.INSTALLED
    box.in_slot("b", is_trial=False)  # kept, and the power went before it was noted
    await box.restart("boot-3")
    await box.looks()
    assert box.told.stage is UpdateStage.COMMITTED
    assert (box.side.folder / KEPT).read_bytes() == NEW


async def test_the_same_version_that_came_back_in_its_old_slot_was_rolled_back(box, store):
    box.runs("1.1.0")
    box.in_slot("a", is_trial=False)
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks(2)
    await box.installs()
    await box.restart("boot-3")  # boot-2 was the trial, whose gate could write nothing
    await box.looks()
    assert box.told.stage is UpdateStage.ROLLED_BACK


async def test_an_installation_that_breaks_off_is_tried_three_times(box, store):
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks(2)
    plans = []
    while (plan := box.plan()) is not None:
        plans.append(plan["update_id"])
        (box.side.folder / "plan.json").unlink()
        why = {"code": "update.failed", "why": "rauc: Failed to write the slot"}
        box.says("update.json", update_id=plans[-1], outcome="postponed", **why)
        await box.looks(2)
    assert len(set(plans)) == 3
    assert (box.told.stage, box.told.why) == (UpdateStage.FAILED, why["why"])
    came_bytes = box.updates.fetched_bytes()
    await box.updates.order("U2", "kim", ordered(store))  # what is there is proven, not fetched
    await box.looks(2)
    assert box.plan() is not None
    assert box.updates.fetched_bytes() == came_bytes


async def test_an_update_the_board_puts_off_is_asked_for_again(box, store):
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks(2)
    first = box.plan()["update_id"]
    (box.side.folder / "plan.json").unlink()
    box.says(
        "update.json", update_id=first, outcome="postponed", code="update.hot", why="too hot: 81 °C"
    )
    await box.looks()
    assert (box.told.waits_for, box.told.code) == ("board", "update.hot")
    await box.looks()
    assert box.plan()["update_id"] != first
    await box.installs()
    assert box.told.stage is UpdateStage.INSTALLED


async def test_what_the_image_refuses_is_told_with_its_code(box, store):
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks(2)
    refusal = {"outcome": "refused", "code": "update.not_trusted", "why": "signature"}
    box.says("update.json", update_id=box.plan()["update_id"], **refusal)
    await box.looks()
    assert (box.told.stage, box.told.code) == (UpdateStage.REFUSED, "update.not_trusted")
    assert [fault.code for fault in update_faults(box.told)] == ["update.refused"]


async def test_an_update_can_be_given_up_until_it_is_installed(box, store):
    box.busy = "an incident"
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks(2)
    await box.updates.order("U2", "lee", Update(action="cancel"))
    assert box.told.stage is UpdateStage.CANCELLED
    assert list(box.side.folder.glob("*.raucb*")) == []
    box.busy = ""
    await box.updates.order("U3", "kim", ordered(store))
    await box.looks(2)
    with pytest.raises(CommandError, match=r"update\.too_late"):
        await box.updates.order("U4", "lee", Update(action="cancel"))


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        ({"status": 403}, "update.refused_by_store"),
        ({"knows_ranges": False}, "update.no_ranges"),
    ],
    ids=["expired", "no-ranges"],
)
async def test_a_store_that_will_not_give_it_is_told_of(box, store, trouble, code):
    for name, value in trouble.items():
        setattr(store, name, value)
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks()
    assert (box.told.stage, box.told.code) == (UpdateStage.FAILED, code)


async def test_an_address_without_tls_beyond_the_box_is_refused(box, store):
    await box.updates.order("U1", "kim", ordered(store, url="http://store.example/x"))
    await box.looks()
    assert (box.told.stage, box.told.code) == (UpdateStage.FAILED, "update.address")


async def test_a_machine_that_is_no_image_says_so(box, store):
    box.side.release.unlink()
    with pytest.raises(CommandError, match=r"update\.unsupported"):
        await box.updates.order("U1", "kim", ordered(store))


async def test_where_no_trial_can_be_started_nothing_is_fetched(box, store):
    """A Raspberry Pi whose firmware can't be asked: the image notes it at each boot."""
    box.side.notes.mkdir(parents=True, exist_ok=True)
    (box.side.notes / "no-trials").touch()
    with pytest.raises(CommandError, match=r"update\.no_trials"):
        await box.updates.order("U1", "kim", ordered(store))
    assert store.given_bytes == 0


async def test_the_address_of_a_bundle_is_readable_to_nobody_else(box, store):
    await box.updates.order("U1", "kim", ordered(store))
    assert (box.side.folder / job.JOB_FILE).stat().st_mode & 0o077 == 0
    assert all("http" not in " ".join(entry) for entry in box.notes)


async def test_a_bundle_from_a_stick_is_installed_the_same_way(box, store, tmp_path):
    brought = tmp_path / "poleside-1.1.0.raucb"
    brought.write_bytes(NEW)
    places = ["--data-dir", str(tmp_path / "box"), "--root"]
    asking = ["install", str(brought), "--version", "1.1.0", *places]
    elsewhere = CliRunner().invoke(command_line, [*asking, str(tmp_path / "box")])
    assert "update.unsupported" in str(elsewhere.exception)
    result = CliRunner().invoke(command_line, [*asking, str(tmp_path)])
    assert result.exit_code == 0, (result.output, result.exception)
    await box.looks(3)
    assert bundle_of(box).read_bytes() == NEW
    await box.installs()
    told = CliRunner().invoke(command_line, ["status", "--json", *places, str(tmp_path)])
    assert json.loads(told.output)["update"]["stage"] == "installed"


async def test_a_box_that_restarts_before_it_heard_of_the_installation_is_judged_too(box, store):
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks(2)
    plan = box.plan()
    (box.side.folder / "plan.json").unlink()
    box.says("update.json", update_id=plan["update_id"], outcome="installed", version="1.1.0")
    box.runs("1.1.0")  # the image restarts the box at once
    await box.restart("boot-2")
    await box.looks(2)
    assert box.told.stage is UpdateStage.INSTALLED
    box.says("trial.json", kept=True, version="1.1.0", boot="boot-2")
    await box.restart("boot-3")  # and nobody looked before the next restart
    await box.looks()
    assert box.told.stage is UpdateStage.COMMITTED


async def test_the_verdict_on_an_earlier_trial_of_the_version_counts_no_more(box, store):
    box.says("trial.json", kept=True, version="1.1.0", boot="boot-0")
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks(2)
    await box.installs()
    box.runs("1.1.0")
    await box.restart("boot-2")
    await box.looks(2)
    assert box.told.stage is UpdateStage.INSTALLED


async def test_a_plan_the_image_is_at_is_not_asked_for_again_by_an_agent_that_restarts(box, store):
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks(2)
    first = box.plan()
    await box.restart()
    await box.looks(3)
    assert (box.told.stage, box.plan()) == (UpdateStage.ASKED, first)
    (box.side.folder / "plan.json").unlink()  # a power cut took it
    await box.looks(3)
    assert box.told.stage is UpdateStage.ASKED
    assert box.plan()["update_id"] != first["update_id"]


async def test_an_address_that_expired_costs_nothing_that_came(box, store):
    store.cut_after = [9 * MEGABYTE, MEGABYTE]
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks()
    store.status = 403
    await box.looks()
    assert (box.told.stage, box.told.code) == (UpdateStage.FAILED, "update.refused_by_store")
    store.status = 0
    await box.updates.order("U2", "kim", ordered(store))
    await box.looks(2)
    assert bundle_of(box).read_bytes() == NEW
    assert store.given_bytes == len(NEW)
    assert box.told.received_bytes == len(NEW)


async def test_the_same_order_again_after_a_kill_begins_nothing_anew(box, store):
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks(2)
    await box.restart()
    told = await box.updates.order("U1", "kim", ordered(store))
    assert told.stage is UpdateStage.ASKED


async def test_an_update_is_given_up_or_installed_and_never_both(box, store):
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks()

    async def given_up_meanwhile():
        box.updates._busy = box._busy
        cancelled.append(asyncio.create_task(box.updates.order("U2", "lee", CANCEL)))
        await asyncio.sleep(0)
        return ""

    cancelled, box.updates._busy = [], given_up_meanwhile
    await box.looks()
    with pytest.raises(CommandError, match=r"update\.too_late"):
        await cancelled[0]  # it waited for the step that was under way: both tell the same
    assert box.plan() is not None


async def test_a_list_of_blocks_that_broke_off_is_fetched_again(box, store):
    new = box.side.outcomes / "scratch"
    new.write_bytes(NEW)
    store.files["/new.raucb.blocks"] = blocks.index_of(new)
    store.cut_after = [1000]
    order = ordered(store, blocks_url=f"{store.url}/new.raucb.blocks")
    await box.updates.order("U1", "kim", order)
    await box.looks()
    assert (box.told.stage, box.told.code) == (UpdateStage.FETCHING, "update.unreachable")
    await box.looks(2)
    assert bundle_of(box).read_bytes() == NEW


async def test_a_fetch_stops_when_the_line_is_needed_and_goes_on_behind_what_came(box, store):
    looked = []

    def spares():
        looked.append(len(looked))
        return 20 < len(looked) < 40

    box.updates = Updates(
        box.clock, box.side, box.settings, box._busy, box._note, spares, this_boot="boot-1"
    )
    await box.updates.order("U1", "kim", ordered(store))
    await box.looks()
    assert (box.told.waits_for, box.told.code) == ("line", "")
    await box.looks(30)
    assert bundle_of(box).read_bytes() == NEW
    assert store.given_bytes < len(NEW) + 5 * MEGABYTE


async def test_an_order_that_can_t_be_kept_is_answered_so(box, store):
    folder, aside = box.side.folder, box.side.outcomes / "aside"
    await box.updates.order("U1", "kim", ordered(store))
    folder.rename(aside)
    folder.write_bytes(b"no folder")
    with pytest.raises(StorageError, match=r"update\.storage"):
        await box.updates.order("U2", "lee", CANCEL)
    folder.unlink()
    aside.rename(folder)
    await box.restart()
    await box.looks(2)
    assert (box.told.id, box.told.stage) == ("U1", UpdateStage.ASKED)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can bring a stick for another user")
async def test_what_root_brings_is_the_agent_s(box, store, tmp_path):
    os.chown(tmp_path / "box", 4711, 4711)
    told = job.LocalOrder(id="U1", by="root", order=CANCEL)
    stick.leave(box.side.folder, told)
    assert box.side.folder.stat().st_uid == 4711
    assert (box.side.folder / job.LOCAL_ORDER).stat().st_mode & 0o004
