"""Evidence is made while the box records, committed with its segment, and honest about crashes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise

import av
import pytest

from agent.buffer.index import SegmentEnd
from agent.buffer.recovery import recover
from agent.buffer.segment_file import probe
from agent.buffer.tiers import Thinner
from agent.contract.events import TimeQuality
from agent.core.errors import StorageError
from agent.evidence.box_key import load_public_key
from agent.evidence.chain_index import (
    chained_segment,
    following,
    read_head,
    run_header,
    signatures,
)
from agent.evidence.gop import FIRST_LINK, Origin, link
from agent.evidence.key_store import load_box_key, open_box_key
from agent.evidence.mp4_samples import read_media
from agent.evidence.verify import verify_clip
from tests.chained_tape import ChainedTape, as_camera_sends, poleside
from tests.footage_maker import make_clip
from tests.recording import BOOT, packets_of


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("footage")
    return make_clip(folder / "gate.mp4", seconds=9, size_px=(160, 120))


@pytest.fixture
def tape(tmp_path):
    tape = ChainedTape(tmp_path / "box")
    yield tape
    tape.index.close()


def chained(tape):
    with tape.index.transaction() as db:
        return [chained_segment(db, row["segment_id"]) for row in tape.segments()]


def head_of(tape):
    with tape.index.transaction() as db:
        return read_head(db)


def clip_of(tape, tmp_path, start, seconds=60.0):
    return tape.export(start, start + timedelta(seconds=seconds), tmp_path / "clip.mp4")


def test_every_gop_is_tied_to_the_one_before_over_segments_and_runs(tape, footage):
    tape.record(footage)
    tape.clock.pass_s(5.0)
    tape.record(footage, frames=25)

    at, run_id, seq = FIRST_LINK, 0, -1
    for segment in chained(tape):
        if segment.run_id != run_id:
            with tape.index.transaction() as db:
                header = run_header(db, segment.run_id)
            assert (header.previous, header.camera, header.codec) == (at, "gate", "h264")
            at, run_id, seq = header.link(), segment.run_id, -1
        assert segment.link_before == at
        for gop in segment.gops:
            assert (gop.seq, gop.origin) == (seq + 1, Origin.LIVE)
            at, seq = link(at, run_id, gop), gop.seq
    head = head_of(tape)
    assert (head.link, head.run_id, head.seq) == (at, 2, 2)
    frames = sum(gop.frames for segment in chained(tape) for gop in segment.gops)
    assert frames == 90 + 25


def test_times_of_gops_are_those_of_the_recording(tape, footage):
    tape.record(footage)
    starts = [gop.start_us for segment in chained(tape) for gop in segment.gops]
    assert starts[0] == tape.segments()[0]["start_utc_us"]
    assert {after - before for before, after in pairwise(starts)} == {1_000_000}


def test_the_head_is_signed_once_a_minute_and_when_a_run_ends(tmp_path):
    tape = ChainedTape(tmp_path / "box", segment_s=10.0)
    still = make_clip(tmp_path / "still.mp4", fps=1, seconds=205, size_px=(64, 64))
    tape.record(still)
    with tape.index.transaction() as db:
        heads = signatures(db, 1, 0)
        assert [one.seq for one in heads] == [69, 129, 189, 204]
        header, at = run_header(db, 1), run_header(db, 1).link()
        gops = [chained_segment(db, 1).gops[0], *following(db, 1, 0)]
    signed = {one.seq: one for one in heads}
    for gop in gops:
        at = link(at, 1, gop)
        if gop.seq in signed:
            head = signed[gop.seq].of(header, gop, at)
            assert head.is_signed_by(tape.key.public)
            assert head.head.clock_quality == TimeQuality.NTP
    tape.index.close()


def test_what_the_camera_sends_and_what_the_file_holds_hash_alike(tmp_path, footage):
    boxes = []
    for source in (footage, as_camera_sends(footage)):
        tape = ChainedTape(tmp_path / source.suffix[1:])
        tape.record(source)
        boxes.append([gop.content for segment in chained(tape) for gop in segment.gops])
        start = tape.clock.utc_now() - timedelta(seconds=9)
        clip = clip_of(tape, tmp_path, start)
        assert verify_clip(clip, [tape.key.public]).signed_when_recorded == 9
        tape.index.close()
    assert len(boxes[0]) == len(boxes[1]) == 9


def test_repeated_time_stamps_are_chained_as_the_file_holds_them(tape, tmp_path, footage):
    start = tape.clock.utc_now()
    with av.open(str(footage)) as container:
        tape.recorder.run_started(container.streams.video[0], "h264", (160, 120))
        last_dts = 0
        for number, packet in enumerate(packets_of(container)):
            if number % 3 == 2:
                packet.dts = packet.pts = last_dts
            last_dts = packet.dts
            tape.recorder.packet(packet, tape.clock.monotonic_s())
            tape.clock.pass_s(0.1)
        tape.recorder.run_ended("lost")
    assert verify_clip(clip_of(tape, tmp_path, start), [tape.key.public]).is_whole


def test_a_clip_of_the_open_segment_says_what_is_signed_only_now(tape, tmp_path, footage):
    start = tape.clock.utc_now()
    tape.record(footage, cause=None, frames=57)
    verdict = verify_clip(clip_of(tape, tmp_path, start), [tape.key.public])
    assert verdict.is_whole
    assert verdict.signed_when_recorded == 0
    assert verdict.gops == 6
    assert verdict.notes[0].startswith("6 of 6 GOPs were signed only when the clip was made")


def test_after_a_crash_the_open_segment_is_hashed_from_its_file_and_says_so(tmp_path, footage):
    tape = ChainedTape(tmp_path / "box")
    start = tape.clock.utc_now()
    tape.record(footage, cause=None, frames=57)
    tape.index.close()  # nothing more reaches the disk, as after kill -9

    again = ChainedTape(tmp_path / "box", clock=tape.clock)
    recover(again.folder, again.index, BOOT, [again.chain])
    again.clock.pass_s(3.0)
    again.record(footage)

    origins = [{gop.origin for gop in segment.gops} for segment in chained(again)]
    assert origins[:3] == [{Origin.LIVE}, {Origin.LIVE}, {Origin.RECOVERED}]
    assert set.union(*origins[3:]) == {Origin.LIVE}
    verdict = verify_clip(clip_of(again, tmp_path, start), [again.key.public])
    assert verdict.is_whole
    assert verdict.signed_when_recorded == verdict.gops == 6 + 9
    assert "2 GOPs were hashed from the disk after an interruption." in verdict.notes
    assert any("nothing was recorded until run 2" in note for note in verdict.notes)
    again.index.close()


def test_an_undone_transaction_leaves_no_trace_in_the_chain(tape, footage):
    tape.record(footage, cause=None, frames=45)
    before = head_of(tape)
    row = tape.segments()[-1]
    end = SegmentEnd(row["segment_id"], row["path"], 500_000, 5, 0)

    def refused():
        with tape.index.transaction() as db:
            tape.chain.segment_closing(db, end)
            assert read_head(db) != before
            raise RuntimeError

    with pytest.raises(RuntimeError):
        refused()
    assert head_of(tape) == before
    with tape.index.transaction() as db:
        tape.chain.segment_closing(db, end)
        once = read_head(db)
        tape.chain.segment_closing(db, end)
        assert read_head(db) == once
    assert once.seq == before.seq + 1


def test_a_segment_the_disk_cut_short_is_hashed_from_what_it_kept(tape, footage):
    tape.record(footage, cause=None, frames=58)
    row = tape.segments()[-1]
    frames, duration_us = probe(tape.folder / row["path"])
    assert 0 < frames < 18  # the last half second is not in the file yet
    end = SegmentEnd(row["segment_id"], row["path"], duration_us, frames, 0)
    with tape.index.transaction() as db:
        tape.chain.segment_closing(db, end)
        gops = chained_segment(db, row["segment_id"]).gops
    assert sum(gop.frames for gop in gops) == frames
    assert {gop.origin for gop in gops} == {Origin.RECOVERED}


def test_evidence_goes_with_its_segments_but_stays_while_it_covers_a_kept_one(tmp_path):
    tape = ChainedTape(tmp_path / "box", segment_s=10.0)
    tape.record(make_clip(tmp_path / "still.mp4", fps=1, seconds=205, size_px=(64, 64)))

    def delete(segment_id):
        with tape.index.transaction() as db:
            db.execute("DELETE FROM segments WHERE segment_id = ?", (segment_id,))
            left = [row[0] for row in db.execute("SELECT segment_id FROM segment_gops")]
            heads = [row[0] for row in db.execute("SELECT seq FROM signed_heads")]
        return left, heads

    everything = list(range(1, 22))
    assert delete(1) == (everything[1:], [69, 129, 189, 204])
    assert delete(5) == (everything[1:], [69, 129, 189, 204])  # 2 to 4 need it to reach a head
    for segment_id in (2, 3, 4):
        left, _ = delete(segment_id)
    assert left == everything[5:]
    for segment_id in everything[5:]:
        left, heads = delete(segment_id)
    assert (left, heads) == ([], [])
    tape.index.close()


def test_a_clip_beside_a_deleted_part_still_verifies_and_says_what_is_gone(tmp_path):
    tape = ChainedTape(tmp_path / "box", segment_s=10.0)
    start = tape.clock.utc_now()
    tape.record(make_clip(tmp_path / "still.mp4", fps=1, seconds=65, size_px=(64, 64)))
    gone = tape.segments()[2]
    (tape.folder / gone["path"]).unlink()
    with tape.index.transaction() as db:
        db.execute("DELETE FROM segments WHERE segment_id = ?", (gone["segment_id"],))
    verdict = verify_clip(clip_of(tape, tmp_path, start, 35), [tape.key.public])
    assert verdict.is_whole
    assert (verdict.gops, verdict.signed_when_recorded) == (25, 25)
    assert any("no longer on the box" in note for note in verdict.notes)
    tape.index.close()


def test_a_recording_that_was_re_dated_is_whole_and_says_by_how_much(tape, tmp_path, footage):
    start = tape.clock.utc_now()
    tape.record(footage)
    with tape.index.transaction() as db:
        db.execute("UPDATE segments SET start_utc_us = start_utc_us + 3600000000")
    verdict = verify_clip(clip_of(tape, tmp_path, start, 3700.0), [tape.key.public])
    assert verdict.is_whole
    assert verdict.notes[0] == (
        "The box re-dated the recording by +3600.0 s once its time was proven."
    )


def test_thinned_video_is_proven_by_its_key_frames(tape, tmp_path, footage):
    start = tape.clock.utc_now()
    tape.record(footage)
    old = tape.segments()[1]
    with tape.index.transaction() as db:
        db.execute("UPDATE segments SET start_utc_us = 0 WHERE segment_id = 2")
    assert Thinner(tape.folder, tape.index, 1.0, [tape.chain]).thin_next(start)
    with tape.index.transaction() as db:
        db.execute(
            "UPDATE segments SET start_utc_us = ? WHERE segment_id = 2", (old["start_utc_us"],)
        )
    clip = clip_of(tape, tmp_path, start)
    verdict = verify_clip(clip, [tape.key.public])
    assert verdict.is_whole
    assert (verdict.gops, verdict.signed_when_recorded) == (9, 9)
    assert "2 GOPs are key frames only: the box had thinned them by then." in verdict.notes

    sample = [one for one in read_media(clip).samples if one.is_key][3]
    data = bytearray(clip.read_bytes())
    data[sample.offset + sample.size // 2] ^= 1
    clip.write_bytes(data)
    first = verify_clip(clip, [tape.key.public]).findings[0]
    assert (first.kind, first.gop) == ("changed", 4)


def test_the_manifest_tells_who_asked_and_lies_beside_the_clip_too(tape, tmp_path, footage):
    start = tape.clock.utc_now()
    tape.record(footage)
    why = ("--by", "Lee, police", "--incident", "2026-77", "--purpose", "theft", "--sidecar")
    clip = tape.export(start, start + timedelta(seconds=5), tmp_path / "clip.mp4", *why)
    manifest = verify_clip(clip).manifest
    asked = manifest.request
    assert (asked.by, asked.incident, asked.purpose) == ("Lee, police", "2026-77", "theft")
    assert (manifest.box, manifest.camera) == ("box-1", "gate")
    assert set(manifest.versions) == {"poleside", "libav"}
    assert verify_clip(clip, token=(tmp_path / "clip.mp4.jws").read_bytes()).is_whole


def test_a_clip_without_a_key_is_given_unsealed_and_says_so(tmp_path, footage):
    tape = ChainedTape(tmp_path / "box")
    start = tape.clock.utc_now()
    tape.record(footage)
    (tmp_path / "box" / "keys" / "box-p256.pem").unlink()
    done = poleside(
        *("clip", "export", "--camera", "gate", "--data-dir", tape.data_dir),
        *("--from", start.isoformat(), "--to", (start + timedelta(seconds=5)).isoformat()),
        *("--out", tmp_path / "clip.mp4"),
    )
    assert done.returncode == 0
    assert "Not sealed" in done.stderr
    assert [one.kind for one in verify_clip(tmp_path / "clip.mp4").findings] == ["no-manifest"]
    tape.index.close()


def test_the_first_of_many_makes_the_key_and_only_its_owner_reads_it(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: open_box_key(tmp_path).public, range(16)))
    assert len({key.fingerprint for key in keys}) == 1
    folder = tmp_path / "keys"
    assert sorted(path.name for path in folder.iterdir()) == [
        "box-p256.jwk.json",
        "box-p256.pem",
    ]
    assert (folder / "box-p256.pem").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert load_public_key(folder / "box-p256.jwk.json") == load_box_key(tmp_path).public


@pytest.mark.parametrize("content", [b"", b"{}", b"-----BEGIN", b'{"x": "AA", "y": "AA"}'])
def test_a_file_that_is_no_key_is_refused_with_a_hint(tmp_path, content):
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(StorageError) as caught:
        load_public_key(path)
    assert caught.value.code == "evidence.key_file"
    assert caught.value.hint
