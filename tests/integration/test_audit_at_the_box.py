"""What is done at the box itself is in the audit chain, agent running or not, once and in order."""

import json
import os
from datetime import timedelta

import msgspec
import pytest

from agent.app import audit_desk
from agent.app.audit_desk import AuditDesk
from agent.contract.audit import CHAIN_START, AuditEntry, AuditRecord
from agent.contract.commands import Actor
from agent.contract.events import StreamName
from agent.core.db import Database
from agent.outbox import audit, store
from agent.outbox.audit import Audit
from agent.outbox.spool import FILE, FOLDER, read_spool, spool
from agent.outbox.store import Store
from agent.outbox.writer import Outbox
from agent.settings.model import CameraSettings, Settings
from tests.chained_tape import ChainedTape, poleside
from tests.fake_clock import FakeClock
from tests.footage_maker import make_clip


class Core:
    """The part of a core that audits; may be opened again on the same folder."""

    def __init__(self, data_dir, settings=None):
        self.clock, self.data_dir = FakeClock(), data_dir
        self.db = Database(data_dir / "box.db", [store.PART, audit.PART, audit_desk.PART])
        self.outbox = Outbox(self.db, Store(self.clock, 1, max_bytes=5_000_000), self.clock)
        chain = Audit(self.outbox, self.clock, "edge/site-1/box-1")
        self.desk = AuditDesk(self.clock, self.db, chain, data_dir, settings or Settings())

    async def __aenter__(self):
        await self.db.start()
        await self.outbox.start()
        return self

    async def __aexit__(self, *_):
        await self.db.stop()

    async def entries(self):
        """Every entry in order; they must be one chain."""
        records = await self.outbox.read(StreamName.AUDIT, 0, 1000, 5_000_000)
        found = [msgspec.json.decode(record.body, type=AuditRecord).data for record in records]
        before = CHAIN_START
        for entry in found:
            assert entry.is_sealed()
            assert entry.prev == before
            before = entry.hash
        return found


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def entry(op, by="Lee"):
    return AuditEntry(command_id="", op=op, actor=by, outcome="done")


async def test_exports_locks_views_keys_and_failed_checks_are_in_the_chain(data_dir, tmp_path):
    tape = ChainedTape(data_dir)
    began = tape.clock.utc_now()
    tape.record(make_clip(tmp_path / "in.mp4", fps=10, seconds=10, size_px=(64, 48)))
    tape.index.close()
    span = ("--from", began.isoformat(), "--to", (began + timedelta(seconds=5)).isoformat())
    here = ("--data-dir", data_dir)
    out = tape.export(*(began, began + timedelta(seconds=5)), tmp_path / "out.mp4", "--by", "Lee")
    out.write_bytes(out.read_bytes().replace(b"poleside", b"polesidE", 1) + b"x")
    locked = poleside(
        *("buffer", "locks", "add", "--camera", "gate", "--json", *here, *span),
        *("--incident", "7", "--approver", "Sgt Kim"),
    )
    lock_id = json.loads(locked.stdout)["lock_id"]
    asked = (
        ("buffer", "locks", "remove", lock_id, "--camera", "gate", "--by", "Sgt Kim", *here),
        ("clip", "preview", "--camera", "gate", *span, *here, "--out", tmp_path / "p.webm"),
        ("clip", "rotate-key", "--reason", "yearly", "--by", "Lee", *here),
        ("clip", "verify", out, *here),
        ("clip", "export", "--camera", "no", "--last", "5", "--out", tmp_path / "no.mp4", *here),
    )
    for words in asked:
        poleside(*words)
    async with Core(data_dir) as core:
        await core.desk.take_spool()
        found = await core.entries()
    assert [(one.op, one.actor.split(":")[0], one.outcome) for one in found] == [
        ("clip.export", "Lee", "done"),
        ("lock.add", "Sgt Kim", "done"),
        ("lock.remove", "Sgt Kim", "done"),
        ("clip.preview", "local", "done"),
        ("key.rotate", "Lee", "done"),
        ("clip.verify", "local", "failed"),
        ("clip.export", "local", "failed"),
    ]
    assert "sha256" in found[0].detail
    assert all(one.at is not None for one in found)


async def test_each_note_is_chained_once_whenever_the_core_dies(data_dir):
    clock = FakeClock()
    for number in range(3):
        spool(data_dir, entry(f"op-{number}"), clock)
    kept = (data_dir / FOLDER / FILE).read_bytes()
    async with Core(data_dir) as core:
        await core.desk.take_spool()
        assert read_spool(data_dir).entries == ()
        # killed after the commit, before the spool and its marks were gone:
        (data_dir / FOLDER / FILE).write_bytes(kept)
        ids = [line.id for line in read_spool(data_dir).entries]
        for one in ids:
            await core.db.run(
                lambda c, one=one: c.execute("INSERT INTO audit_spooled VALUES (?)", (one,))
            )
    spool(data_dir, entry("op-3"), clock)
    async with Core(data_dir) as core:
        await core.desk.take_spool()
        assert [one.op for one in await core.entries()] == ["op-0", "op-1", "op-2", "op-3"]


async def test_a_line_taken_out_of_the_spool_is_told(data_dir):
    for number in range(3):
        spool(data_dir, entry(f"op-{number}"), FakeClock())
    path = data_dir / FOLDER / FILE
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    async with Core(data_dir) as core:
        await core.desk.take_spool()
        *_, last = await core.entries()
    assert (last.op, last.code) == ("audit.spool", "audit.spool_damaged")


async def test_a_line_torn_by_a_power_cut_is_no_forgery_and_stops_nobody(data_dir):
    spool(data_dir, entry("op-0"), FakeClock())
    path = data_dir / FOLDER / FILE
    path.write_bytes(path.read_bytes() + b'{"id": "01')
    spool(data_dir, entry("op-1"), FakeClock())
    async with Core(data_dir) as core:
        await core.desk.take_spool()
        ops = [one.op for one in await core.entries()]
    assert ops == ["op-0", "op-1"]


async def test_other_settings_than_at_the_last_start_are_an_entry(data_dir):
    changed = Settings(cameras=(CameraSettings(camera_id="gate", main_url="rtsp://10.0.0.1/m"),))
    for settings in (Settings(), Settings(), changed):
        async with Core(data_dir, settings) as core:
            await core.db.run(core.desk.note_settings)
            found = await core.entries()
    assert [one.op for one in found] == ["settings.start", "settings.start"]
    assert found[0].detail.split()[2].rstrip(",") in found[1].detail
    assert 'cameras.gate.main_url: - -> "rtsp://10.0.0.1/m"' in found[1].detail


async def test_a_change_of_settings_is_an_entry_at_once_with_who_and_what_but_no_secret(data_dir):
    def settings(**changes):
        gate = {"camera_id": "gate", "main_url": "rtsp://u:pw-one@10.0.0.1/m"} | changes
        return Settings(cameras=(CameraSettings(**gate),))

    old, new = settings(password="pw-one"), settings(password="pw-two", detect_fps=2.0)
    by = Actor(user="Kim", agency="police", case="7")
    async with Core(data_dir, old) as core:
        await core.db.run(core.desk.note_settings)
        await core.desk.note_change(old, new, by)
        await core.desk.note_change(new, new, by)  # nothing differs
        await core.desk.note_change(new, old, None)
        _, made, back = await core.entries()
    assert (made.op, made.actor, made.agency, made.case) == (
        "settings.change",
        "Kim",
        "police",
        "7",
    )
    assert "cameras.gate.detect_fps: 5.0 -> 2.0" in made.detail
    assert 'cameras.gate.password: "***" -> "***"' in made.detail
    assert "pw-" not in made.detail + back.detail
    assert (back.actor, "detect_fps: 2.0 -> 5.0" in back.detail) == ("box", True)
    async with Core(data_dir, old) as core:  # it is known by then
        await core.db.run(core.desk.note_settings)
        assert len(await core.entries()) == 3


async def test_a_login_at_the_page_can_be_noted(data_dir):
    async with Core(data_dir) as core:
        await core.desk.note("page.login", "technician", "refused", code="page.wrong_password")
        (found,) = await core.entries()
    assert (found.op, found.outcome, found.code) == (
        "page.login",
        "refused",
        "page.wrong_password",
    )


def test_a_disk_that_cannot_be_written_is_said(tmp_path, data_dir):
    if os.geteuid() == 0:
        (data_dir / FOLDER).write_text("not a folder")
    else:
        data_dir.chmod(0o500)
    done = poleside("clip", "export", "--camera", "x", "--last", "1", "--out", tmp_path / "o.mp4",
                    "--data-dir", data_dir)  # fmt: skip
    assert "Not in the audit chain" in done.stderr
