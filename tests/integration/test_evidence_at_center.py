"""A box's past is anchored at the center: what is rewritten, left out or altered there is found."""

import hashlib
import json
from datetime import timedelta

import msgspec
import pytest

from agent.app import evidence_report
from agent.app.evidence_report import EvidenceReporter
from agent.buffer import former, journal
from agent.buffer.index import Index
from agent.buffer.journal import Doomed
from agent.contract.audit import AuditEntry
from agent.contract.events import Gap, StreamName
from agent.contract.evidence import HOUR_TYPE, BoxHour, VideoHeadsRecord, sha256_b64
from agent.contract.records import encode_gap, split
from agent.contract.topics import BoxAddress
from agent.core.db import Database
from agent.evidence import told_heads
from agent.evidence.box_key import load_public_key
from agent.evidence.key_store import load_box_key, open_box_key, rotate_key
from agent.evidence.schema import PART as EVIDENCE
from agent.outbox import audit, store
from agent.outbox.audit import Audit
from agent.outbox.spool import read_spool
from agent.outbox.store import Store
from agent.outbox.writer import Outbox
from agent.settings.model import BufferSettings
from agent.simulators.center import evidence as center_evidence
from agent.simulators.center import store as center_store
from tests.chained_tape import ChainedTape, poleside
from tests.fake_clock import FakeClock
from tests.footage_maker import make_clip
from tests.two_streams import TwoStreams

ADDRESS = BoxAddress("site-1", "box-1")
DAY_S = 86_400.0


class Told:
    """A box's outbox and reporter, and the center that takes in what they queue."""

    def __init__(self, folder, clock):
        self.clock, self.data_dir, self.center_dir = clock, folder / "box", folder / "center"
        self.data_dir.mkdir(exist_ok=True)
        self.center_dir.mkdir(exist_ok=True)
        parts = [store.PART, audit.PART, evidence_report.PART, told_heads.PART]
        self.db = Database(self.data_dir / "box.db", parts)
        parts = [center_store.PART, center_evidence.PART]
        self.center = Database(self.center_dir / "center.db", parts)
        self.outbox = Outbox(self.db, Store(clock, 1, max_bytes=5_000_000), clock)
        self.audit = Audit(self.outbox, clock, ADDRESS.source)
        self.sent, self.cameras = 0, ["gate"]

    async def __aenter__(self):
        await self.db.start()
        await self.center.start()
        await self.outbox.start()
        self.reporter = EvidenceReporter(
            self.clock,
            self.db,
            self.outbox,
            lambda: load_box_key(self.data_dir),
            ADDRESS.source,
            self.data_dir,
            lambda: self.cameras,
        )
        return self

    async def __aexit__(self, *_):
        await self.db.stop()
        await self.center.stop()

    async def order(self, op, actor="operator"):
        entry = AuditEntry(command_id="", op=op, actor=actor, outcome="done")
        await self.db.run(lambda connection: self.audit.append_in(connection, entry))

    async def deliver(self, change=lambda bodies: bodies):
        records = await self.outbox.read(StreamName.AUDIT, self.sent, 1000, 5_000_000)
        self.sent = records[-1].last_seq if records else self.sent
        parts = split(b"[" + b",".join(change([record.body for record in records])) + b"]")
        now = self.clock.utc_now()
        await self.center.run(lambda c: center_store.ingest(c, ADDRESS, parts, now))

    async def doubts(self):
        return [doubt.code for doubt in await self.center.run(center_evidence.doubts)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, fps=10, seconds=150, size_px=(64, 48))


@pytest.fixture
async def told(tmp_path):
    async with Told(tmp_path, FakeClock()) as told:
        yield told


def recorded(told, clip):
    tape = ChainedTape(told.data_dir, clock=told.clock)
    began = told.clock.utc_now()
    tape.record(clip)
    tape.index.close()
    return tape, began


def anchors(told, tmp_path):
    out = tmp_path / "box-1.anchors"
    done = poleside("center", "anchors", "box-1", "--data-dir", told.center_dir, "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def verified(path, *extra):
    done = poleside("clip", "verify", path, "--json", *extra)
    return done.returncode, json.loads(done.stdout)


async def test_a_rewritten_chain_is_found_by_what_the_center_kept(told, clip, tmp_path):
    tape, began = recorded(told, clip)
    await told.reporter.tell_what_is_due()
    await told.deliver()
    assert await told.doubts() == []
    anchor = anchors(told, tmp_path)
    span = (began + timedelta(seconds=70), began + timedelta(seconds=90))
    honest = tape.export(*span, tmp_path / "honest.mp4")
    code, verdict = verified(honest, "--anchor", anchor)
    assert code == 0
    assert any("the center was told then" in note for note in verdict["notes"])

    # The owner has the key and the box: he makes the whole past anew.
    (tape.folder / "index.db").unlink()
    other = make_clip(tmp_path / "other.mp4", fps=10, seconds=150, size_px=(64, 48), ground=90)
    again = ChainedTape(told.data_dir, clock=FakeClock(began))
    again.record(other)
    again.index.close()
    forged = again.export(*span, tmp_path / "forged.mp4")
    assert verified(forged)[0] == 0  # by itself it can't be told
    code, verdict = verified(forged, "--anchor", anchor)
    assert code == 1
    assert {finding["kind"] for finding in verdict["findings"]} == {"rewritten"}


async def test_the_sub_streams_chain_has_anchors_of_its_own(told, clip, tmp_path):
    tape, began = TwoStreams(told.data_dir, clock=told.clock), told.clock.utc_now()
    tape.record(clip, clip)
    tape.index.close()
    await told.reporter.tell_what_is_due()
    await told.deliver()
    anchor = anchors(told, tmp_path)
    span = (began + timedelta(seconds=70), began + timedelta(seconds=90))
    for stream in ("main", "sub"):
        out = tape.export(*span, tmp_path / f"{stream}.mp4", "--stream", stream)
        code, verdict = verified(out, "--anchor", anchor)
        assert (code, verdict["stream"]) == (0, stream), verdict
        assert any("the center was told then" in note for note in verdict["notes"]), verdict
    assert len(await heads(told)) == 2
    assert await told.doubts() == []


async def test_heads_go_once_an_hour_and_none_is_left_out(told, clip):
    recorded(told, clip)
    await told.reporter.tell_what_is_due()
    recorded(told, clip)
    await told.reporter.tell_what_is_due()
    assert len(await heads(told)) == 1
    told.clock.pass_s(3600)
    await told.reporter.tell_what_is_due()
    first, second = await heads(told)
    assert [first.first.run, first.last.run] == [1, 1]
    assert [second.first.run, second.last.run] == [2, 2]
    lists = [
        told_heads.read_told(told.data_dir / "box.db", "gate", "main", [(n, 0)]) for n in (1, 2)
    ]
    assert [len(heads.heads) for heads, *_ in lists] == [3, 3]


async def test_an_hour_is_one_small_record_for_all_cameras(told, clip):
    told.cameras = ["gate", "yard"]
    for camera in told.cameras:
        tape = ChainedTape(told.data_dir, camera, clock=told.clock)
        tape.record(clip)
        tape.index.close()
    await told.reporter.tell_what_is_due()
    hours = [record for record in await records_of(told) if record["type"] == HOUR_TYPE]
    assert len(hours) == 1
    assert [one[0] for one in hours[0]["data"]["heads"]] == ["gate", "yard"]
    assert len(json.dumps(hours[0])) < 1_200


async def test_a_clock_that_went_back_does_not_silence_the_box(told, clip):
    recorded(told, clip)
    await told.reporter.tell_what_is_due()
    recorded(told, clip)
    told.clock._at -= timedelta(days=30)
    await told.reporter.tell_what_is_due()
    assert len(await heads(told)) == 2


async def test_a_clip_that_hides_its_list_of_heads_is_not_believed(told, clip, tmp_path):
    tape, began = recorded(told, clip)
    await told.reporter.tell_what_is_due()
    await told.deliver()
    span = (began + timedelta(seconds=70), began + timedelta(seconds=90))
    (told.data_dir / "box.db").rename(tmp_path / "hidden.db")
    bare = tape.export(*span, tmp_path / "bare.mp4")
    code, verdict = verified(bare, "--anchor", anchors(told, tmp_path))
    assert code == 1
    assert [finding["kind"] for finding in verdict["findings"]] == ["unshown"]


async def test_a_clip_made_before_its_hour_was_told_is_known_by_its_own_hash(told, clip, tmp_path):
    tape, began = recorded(told, clip)
    out = tape.export(began, began + timedelta(seconds=90), tmp_path / "early.mp4")
    spooled = read_spool(told.data_dir).entries[-1].entry
    assert spooled.sha256 == hashlib.sha256(out.read_bytes()).hexdigest()
    await told.db.run(lambda connection: told.audit.append_in(connection, spooled))
    await told.reporter.tell_what_is_due()
    await told.deliver()
    anchor = anchors(told, tmp_path)
    code, verdict = verified(out, "--anchor", anchor)
    assert code == 0, verdict
    assert any("this very file" in note for note in verdict["notes"])
    other = tape.export(began, began + timedelta(seconds=80), tmp_path / "later.mp4")
    code, verdict = verified(other, "--anchor", anchor)
    assert code == 0, verdict
    assert any("the center was told then" in note for note in verdict["notes"])


async def test_heads_that_older_boxes_told_one_by_one_still_count(told, clip, tmp_path):
    tape, began = recorded(told, clip)
    await told.reporter.tell_what_is_due()
    listed = told_heads.read_told(told.data_dir / "box.db", "gate", "main", [(1, 0)])[0]
    record = VideoHeadsRecord(
        id="1", source=ADDRESS.source, time=began, seq=1, epoch="e", key="k", signature="s",
        subject="gate", data=listed,
    )  # fmt: skip
    anchor = tmp_path / "old.anchors"
    anchor.write_bytes(msgspec.json.encode(record) + b"\n")
    span = (began + timedelta(seconds=70), began + timedelta(seconds=90))
    code, verdict = verified(tape.export(*span, tmp_path / "a.mp4"), "--anchor", anchor)
    assert code == 0, verdict
    assert any("the center was told then" in note for note in verdict["notes"])


async def test_lists_of_heads_go_with_their_video(told, clip):
    tape, _ = recorded(told, clip)
    await told.reporter.tell_what_is_due()
    recorded(told, clip)
    told.clock.pass_s(3600)
    await told.reporter.tell_what_is_due()
    kept = await told.db.run(told_heads.ranges)
    assert [len(lists) for lists in kept.values()] == [2]
    index = Index(tape.folder, [EVIDENCE])
    with index.transaction() as db:
        db.execute("DELETE FROM segments WHERE run_id = 1")
    index.close()
    recorded(told, clip)
    told.clock.pass_s(3600)
    await told.reporter.tell_what_is_due()
    kept = await told.db.run(told_heads.ranges)
    assert [until[0] for _, _, until in kept["gate"]] == [2, 3]


async def records_of(told):
    records = await told.outbox.read(StreamName.AUDIT, 0, 1000, 5_000_000)
    return [json.loads(record.body) for record in records]


async def hours(told):
    """Return what each hour's record said."""
    records = await records_of(told)
    return [msgspec.convert(r["data"], BoxHour) for r in records if r["type"] == HOUR_TYPE]


async def heads(told):
    return [digest for hour in await hours(told) for digest in hour.heads]


async def test_a_clip_over_a_change_of_keys_verifies_against_either_key(told, clip, tmp_path):
    tape = ChainedTape(told.data_dir, clock=told.clock)
    began = told.clock.utc_now()
    tape.record(clip, cause=None, frames=750)
    old_key = tmp_path / "old.jwk.json"
    old_key.write_text(poleside("clip", "key", "--data-dir", told.data_dir).stdout)
    await told.reporter.tell_what_is_due()
    rotation = rotate_key(told.data_dir, told.clock.utc_now(), "file", "Lee", "yearly")
    assert rotation.old.public == load_public_key(old_key)
    told.clock.pass_s(1)
    tape.recorder.run_ended("lost")
    tape.record(clip)
    tape.index.close()
    await told.reporter.tell_what_is_due()
    await told.deliver()
    assert await told.doubts() == []

    out = tape.export(began + timedelta(seconds=10), told.clock.utc_now(), tmp_path / "c.mp4")
    new_key = tmp_path / "new.jwk.json"
    new_key.write_text(poleside("clip", "key", "--data-dir", told.data_dir).stdout)
    for key in (old_key, new_key):
        code, verdict = verified(out, "--box-key", key)
        assert (code, verdict["key_given"]) == (0, True), verdict
        assert any("changed its key" in note for note in verdict["notes"])
    assert load_public_key(new_key) != load_public_key(old_key)


async def test_a_key_nobody_handed_over_is_a_doubt(told, clip):
    recorded(told, clip)
    await told.reporter.tell_what_is_due()
    (told.data_dir / "keys" / "box-p256.pem").unlink()
    ChainedTape(told.data_dir, clock=told.clock).index.close()  # makes another one
    await told.reporter.tell_what_is_due()
    await told.deliver()
    assert "key.not_handed_over" in await told.doubts()


async def test_an_honest_audit_chain_leaves_no_doubt(told, clip):
    recorded(told, clip)
    for number in range(30):
        await told.order(f"op-{number}")
        if number % 10 == 0:
            await told.deliver()
    await told.reporter.tell_what_is_due()
    await told.deliver()
    assert await told.doubts() == []
    states = await told.center.run(center_evidence.audit_states)
    assert (states[ADDRESS].entries, states[ADDRESS].doubts) == (30, 0)


def altered(bodies):
    return [body.replace(b'"op-1"', b'"op-7"') for body in bodies]


def resealed(bodies):
    """One entry is changed and sealed anew, as a forger with the program would."""
    record = json.loads(bodies[1])
    entry = msgspec.convert(record["data"] | {"op": "ping"}, AuditEntry)
    record["data"] = msgspec.to_builtins(entry.sealed(entry.prev))
    return [bodies[0], json.dumps(record).encode(), *bodies[2:]]


def left_out(bodies):
    """The second entry is dropped, and the others get its number."""
    kept = [json.loads(body) for body in (bodies[0], *bodies[2:])]
    return [json.dumps(body | {"seq": seq}).encode() for seq, body in enumerate(kept, start=1)]


def given_up(bodies):
    epoch = json.loads(bodies[1])["epoch"]
    gap = Gap(stream=StreamName.AUDIT, epoch=epoch, seq=2, until_seq=2, why="quota")
    return [bodies[0], encode_gap(gap), *bodies[2:]]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (altered, "audit.altered"),
        (resealed, "audit.broken"),
        (left_out, "audit.broken"),
        (given_up, "audit.missing"),
    ],
)
async def test_what_does_not_fit_is_named_and_shown(told, change, code):
    for number in range(4):
        await told.order(f"op-{number}")
    await told.deliver(change)
    assert code in await told.doubts()
    shown = poleside("center", "watch", "--once", "--data-dir", told.center_dir)
    assert f"DOUBT {code}" in shown.stdout, shown.stderr


async def test_an_end_that_is_kept_back_is_found_by_the_signed_head(told, clip):
    recorded(told, clip)
    await told.order("op-0")
    await told.deliver()
    await told.order("op-1")
    await told.reporter.tell_what_is_due()

    def without_the_last_entry(bodies):
        kept = [json.loads(body) for body in bodies[1:]]
        return [json.dumps(body | {"seq": seq}).encode() for seq, body in enumerate(kept, start=2)]

    await told.deliver(without_the_last_entry)
    assert await told.doubts() == ["audit.missing"]


async def test_a_replayed_entry_is_no_doubt(told):
    await told.order("op-0")
    await told.order("op-1")

    def twice(bodies):
        again = json.loads(bodies[0]) | {"seq": 3}
        return [*bodies, json.dumps(again).encode()]

    await told.deliver(twice)
    assert await told.doubts() == []


async def test_purge_records_reach_the_center_signed_and_once(told, clip):
    tape, _ = recorded(told, clip)
    index = Index(tape.folder, [EVIDENCE])
    with index.transaction() as db:
        rows = db.execute("SELECT segment_id, path, bytes, start_utc_us FROM segments").fetchall()
    signer = load_box_key(told.data_dir)
    for row in rows[:2]:
        doomed = Doomed(row[0], row[1], row[2], row[3], 2_000_000, "age")
        journal.forget(index, [doomed], told.clock.utc_now())
        journal.sign_deletions(
            index,
            "gate",
            lambda body: (signer.public.fingerprint, signer.sign(body)),
            told.clock.utc_now(),
        )
    index.close()
    await told.reporter.tell_what_is_due()
    told.clock.pass_s(3600)
    await told.reporter.tell_what_is_due()
    await told.deliver()
    (purge,) = await purges_of(told)
    assert [(head.camera_id, head.number) for head in purge.heads] == [("gate", 2)]
    index = Index(tape.folder, [EVIDENCE])
    with index.reading() as db:
        last = journal.purges_after(db, 1, 1)[0]
    index.close()
    assert purge.heads[0].sha256 == sha256_b64(last.body.encode())
    assert (purge.rules, purge.bytes) == ({"age": 2}, sum(row[2] for row in rows[:2]))
    assert await told.doubts() == []


async def purges_of(told):
    """Return the sums of purge records that were queued for the center, in order."""
    return [hour.purges for hour in await hours(told) if hour.purges]


async def test_purge_records_of_a_camera_that_is_gone_reach_the_center_once(told, clip):
    settings = BufferSettings(min_free_bytes=0, min_free_inodes=0, retention_days=1.0)
    key = open_box_key(told.data_dir)

    def tend(folder):
        sign = lambda body: (key.public.fingerprint, key.sign(body))  # noqa: E731
        return former.tend(folder, settings, told.clock, 1, sign)

    expected = []
    for _ in range(2):  # it comes back under the same name, and goes again
        told.cameras = ["gate"]
        tape, _ = recorded(told, clip)
        told.clock.pass_s(DAY_S - 60)
        assert not tend(tape.folder)  # some of it is old enough
        await told.reporter.tell_what_is_due()
        told.cameras = []
        told.clock.pass_s(100)
        assert tend(tape.folder)
        assert not tape.folder.exists()
        expected += [1, 2]
        for _ in range(2):
            told.clock.pass_s(3600)
            await told.reporter.tell_what_is_due()
            told_of = [head.number for purge in await purges_of(told) for head in purge.heads]
            assert told_of == expected
    left = [purge.rules for purge in await purges_of(told)]
    assert left[:2] == left[2:]
    await told.deliver()
    assert await told.doubts() == []
