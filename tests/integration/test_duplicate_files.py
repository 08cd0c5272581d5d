"""The duplicate's files go with their video, and one bad file or a full disk stops no line."""

import errno
import os

import pytest

from agent.buffer import journal
from agent.buffer.duplicate import VIDEO, Duplicate
from agent.buffer.duplicate_files import files_of, lines_of
from agent.buffer.index import DUPLICATE
from tests.chained_tape import ChainedTape
from tests.doubled_tape import Doubled, with_two_runs
from tests.footage_maker import make_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=22, size_px=(160, 120))


@pytest.fixture
def tape(tmp_path, clip):
    made = with_two_runs(tmp_path / "data", clip)
    yield made
    made.index.close()


def test_files_of_the_duplicate_go_with_their_video_and_locked_video_stays_known(tape, clip):
    small = Duplicate(tape.folder, tape.index, tape.clock, tape.sign, file_bytes=1)
    small.write()
    oldest = files_of(tape.folder, VIDEO)[0]
    doomed = [
        journal.Doomed(row["segment_id"], row["path"], row["bytes"], 0, 1, "age")
        for row in tape.segments()[1:-1]
    ]
    tape.retention.delete(doomed)
    for _ in range(3):
        tape.record(clip)
        small.write()
    assert not oldest.exists()
    before = tape.content()
    tape.lose()
    tape.open()
    after = tape.content()
    for table in ("segments", "segment_gops", "signed_heads", "gaps", "minutes", "purges"):
        assert after[table] == before[table], table


def test_a_full_disk_while_an_old_file_is_to_go_loses_no_locked_video(tape, clip):
    """The line that should carry on what is left of it is refused, and comes with the next one."""
    small = Duplicate(tape.folder, tape.index, tape.clock, tape.sign, file_bytes=1, stragglers=-1)
    small.write()
    tape.record(clip)
    small.write()
    small._stragglers = 2_000
    tape.record(clip)
    refusal = tape.folder / DUPLICATE / "ledger-000000001.jsonl"
    kept = refusal.read_bytes()
    small._signer = _refuses_the_second(tape.sign)
    with pytest.raises(OSError, match="No space left"):
        small.write()
    small._signer = tape.sign
    assert refusal.read_bytes() == kept
    for _ in range(3):
        tape.clock.pass_s(60)
        small.write()
    assert not list((tape.folder / DUPLICATE).glob("video-000000001.jsonl"))
    before = tape.content()
    tape.lose()
    tape.open()
    assert not tape.told("duplicate-refused")
    for table in ("runs", "segments", "segment_gops", "signed_heads", "chain_head"):
        assert tape.content()[table] == before[table], table


def _refuses_the_second(sign):
    asked = []

    def signer(body):
        asked.append(body)
        if len(asked) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return sign(body)

    return signer


def delete_all(tape):
    tape.retention.delete(
        [
            journal.Doomed(row["segment_id"], row["path"], row["bytes"], 0, 1, "age")
            for row in tape.segments()
        ]
    )


def test_no_file_of_the_duplicate_outlives_its_video_however_many_wait(tape, clip):
    small = Duplicate(tape.folder, tape.index, tape.clock, tape.sign, file_bytes=1, stragglers=-1)
    for _ in range(6):
        tape.record(clip)
        small.write()
    delete_all(tape)
    tape.duplicate.write()
    for _ in range(4):
        tape.clock.pass_s(6 * 3600)
        tape.duplicate.write()
    assert len(files_of(tape.folder, VIDEO)) == 1


def test_of_a_camera_that_records_no_more_nothing_older_than_retention_stays(tape):
    tape.duplicate.write()
    (first,) = files_of(tape.folder, VIDEO)
    delete_all(tape)
    for _ in range(6):
        tape.clock.pass_s(10 * 86400)
        tape.duplicate.write()
    assert not first.exists()
    (left,) = files_of(tape.folder, VIDEO)
    assert left.read_bytes().count(b"video/") == 1  # the last deletion, for its number


def test_locked_video_does_not_keep_older_files_for_ever(tape, clip):
    many = Duplicate(tape.folder, tape.index, tape.clock, tape.sign, stragglers=-1)
    many.write()
    (first,) = files_of(tape.folder, VIDEO)
    for _ in range(5):
        tape.clock.pass_s(8 * 86400)
        tape.record(clip)
        many.write()
    many.write()
    assert not first.exists()
    before = tape.content()
    tape.lose()
    tape.open()
    assert tape.content()["segments"] == before["segments"]
    assert tape.content()["segment_gops"] == before["segment_gops"]


@pytest.mark.parametrize("which", [0, -1])
def test_a_file_the_disk_does_not_give_stops_no_line(tape, clip, which):
    small = Duplicate(tape.folder, tape.index, tape.clock, tape.sign, file_bytes=1)
    for _ in range(3):
        tape.record(clip)
        small.write()
    spoilt = files_of(tape.folder, VIDEO)[which]
    spoilt.unlink()
    spoilt.mkdir()  # as EIO: it is there, and can't be read
    tape.record(clip)
    tape.duplicate.write()
    tape.record(clip)
    tape.duplicate.write()
    assert not tape.index._db.execute("SELECT 1 FROM unrecorded").fetchone()
    newest = files_of(tape.folder, VIDEO)[-1]
    assert newest != spoilt
    assert len(list(lines_of(newest))) >= 1


def test_a_file_into_which_no_line_came_before_the_power_failed_is_begun_again(tape, clip):
    small = Duplicate(tape.folder, tape.index, tape.clock, tape.sign, file_bytes=1, stragglers=-1)
    small.write()
    (tape.folder / DUPLICATE / "video-000000002.jsonl").write_bytes(b'{"group":"vid')
    tape.record(clip)
    small.write()
    assert len(files_of(tape.folder, VIDEO)) == 2
    before = tape.content()
    tape.lose()
    tape.open()
    assert not tape.told("duplicate-refused")
    assert tape.content() == before


def test_an_index_of_an_earlier_version_is_written_down_as_a_whole(tmp_path, clip):
    old = ChainedTape(tmp_path / "data")  # as nothing watched it
    old.record(clip)
    count = len(old.segments())
    old.index.close()
    tape = Doubled(tmp_path / "data")
    tape.duplicate.write()
    tape.lose()
    tape.open()
    assert len(tape.segments()) == len(tape.rows("segment_gops")) == count
    tape.index.close()


def test_a_damaged_index_set_aside_goes_when_all_it_tells_of_is_older_than_retention(tape):
    tape.duplicate.write()
    tape.lose("overwritten")
    tape.open()
    aside = tape.folder / "index.db.damaged"
    made_s = tape.clock.utc_now().timestamp()
    os.utime(aside, (made_s, made_s))
    tape.clock.pass_s(29 * 86400)
    tape.retention.prune()
    assert aside.exists()
    tape.clock.pass_s(2 * 86400)
    tape.retention.prune()
    assert not aside.exists()
