"""What the index alone knew outlives it: chain, signatures, gaps, ledger and deletions."""

import base64
import json
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from agent.buffer import journal, ledger
from agent.buffer.check import Check, compare
from agent.buffer.duplicate import LEDGER, VIDEO, Duplicate
from agent.buffer.duplicate_files import files_of
from agent.buffer.index import from_micros
from agent.buffer.journal import verify_purges
from agent.buffer.orders import WORKER_LOCK
from agent.buffer.rebuild import open_index
from agent.core.lock import FileLock
from agent.evidence.known_keys import verifier_of
from agent.evidence.schema import PART
from tests.chained_tape import poleside
from tests.doubled_tape import KEPT, with_two_runs
from tests.faults.crash_lab import disk
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


@pytest.mark.parametrize("how", ["deleted", "overwritten"])
def test_all_that_the_index_knew_outlives_it(tape, how):
    tape.duplicate.write()
    before = tape.content()
    assert [table for table in KEPT if not before[table]] == ["locks", "corrections"]
    tape.lose(how)
    tape.open()
    assert tape.content() == before
    assert compare(tape.index._db, tape.folder).is_clean
    assert not list(verify_purges(tape.index._db, verifier_of(tape.data_dir)))


def test_a_clip_verifies_whole_after_the_index_was_lost(tape, tmp_path):
    tape.duplicate.write()
    before = tape.verdict(tmp_path)
    tape.lose()
    tape.open()
    code, verdict = tape.verdict(tmp_path)
    assert (code, verdict["whole"]) == (0, True)
    assert verdict["gops_signed_when_recorded"] == verdict["gops"] > 0
    assert (code, verdict["gops"]) == (before[0], before[1]["gops"])


def test_what_was_recorded_after_the_last_line_comes_back_from_the_files(tape, clip, tmp_path):
    tape.duplicate.write()
    tape.clock.pass_s(60)
    tape.record(clip, cause=None, frames=50)
    last = tape.clock.utc_now()
    gaps = tape.rows("gaps")
    tape.lose()
    tape.clock.pass_s(120)
    tape.open()
    rows = tape.segments()
    assert compare(tape.index._db, tape.folder).is_clean
    ends = [from_micros(row["start_utc_us"] + row["duration_us"]) for row in rows]
    assert abs(max(ends) - last) < timedelta(seconds=1)  # the segment that was open, too
    assert 40 <= sum(row["frames"] for row in rows[-3:]) <= 50
    assert [gap["from_utc_us"] for gap in tape.rows("gaps")][: len(gaps) - 1] == [
        gap["from_utc_us"] for gap in gaps[:-1]
    ]
    assert tape.verdict(tmp_path)[0] == 0


def test_a_kill_soon_after_a_start_is_a_gap_although_only_files_tell_of_the_run(tape, clip):
    tape.duplicate.write()
    before = tape.rows("gaps")
    tape.clock.pass_s(60)
    tape.record(clip, cause=None, frames=50)
    tape.lose()
    tape.clock.pass_s(120)
    tape.open()
    tape.record(clip)
    last = tape.rows("gaps")[len(before)]
    assert last["cause"] == "box-restarted"
    assert 115e6 < last["to_utc_us"] - last["from_utc_us"] < 125e6


@pytest.mark.parametrize("harm", ["forged", "of another camera", "torn", "taken out"])
def test_a_line_that_is_not_the_box_s_own_is_told_and_not_taken(tape, clip, harm):
    tape.duplicate.write()
    tape.record(clip)
    tape.duplicate.write()
    tape.record(clip)
    tape.duplicate.write()
    (path,) = files_of(tape.folder, LEDGER)
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    if harm == "forged":
        lines[1] = lines[1].replace(b'"lost"', b'"rain"')
    elif harm == "of another camera":
        body = lines[1].partition(b"\t")[0].replace(b'"camera":"gate"', b'"camera":"yard"')
        key_id, signature = tape.sign(body)
        lines[1] = b"\t".join([body, key_id.encode(), base64.b64encode(signature)]) + b"\n"
    elif harm == "torn":
        lines[1] = lines[1][: len(lines[1]) // 2] + b"\n"
    else:
        del lines[1]
    path.write_bytes(b"".join(lines))
    before = tape.content()
    tape.lose()
    tape.open()
    after = tape.content()
    assert len(tape.told("duplicate-refused")) == 1
    assert {row["cause"] for row in after["gaps"]} == {"lost"}
    assert after["gaps"] == before["gaps"][:1] + [
        gap | {"to_boot_id": None, "to_mono_us": None} if gap["gap_id"] == 2 else gap
        for gap in before["gaps"][1:]
    ]
    assert sum(row["stored"] for row in after["minutes"]) < sum(
        row["stored"] for row in before["minutes"]
    )


def test_what_a_power_cut_left_of_a_line_is_written_over(tape, clip):
    tape.duplicate.write()
    for group in (VIDEO, LEDGER):
        with files_of(tape.folder, group)[-1].open("ab") as file:
            file.write(b'{"group":"vid')
    tape.record(clip)
    tape.duplicate.write()
    before = tape.content()
    tape.lose()
    tape.open()
    assert not tape.told("duplicate-refused")
    assert tape.content() == before


def test_older_files_are_read_back_behind_the_newest(tape, clip):
    small = Duplicate(tape.folder, tape.index, tape.clock, tape.sign, file_bytes=1, stragglers=-1)
    small.write()
    for _ in range(4):
        tape.record(clip)
        small.write()
    assert len(files_of(tape.folder, VIDEO)) == 5
    before = tape.content()
    tape.lose()
    index = open_index(tape.folder, [ledger.PART, PART], tape.clock, verifier_of(tape.data_dir))
    known = index._db.execute("SELECT count(*) FROM segments").fetchone()[0]
    assert 0 < known < len(before["segments"])  # the newest at once …
    index.close()
    tape.open()  # … the others after that, also when the worker was killed meanwhile
    assert tape.content() == before


def test_an_old_line_of_the_box_put_behind_the_others_is_told_and_not_taken(tape, clip):
    tape.duplicate.write()
    tape.record(clip, cause=None, frames=50)
    tape.duplicate.write()
    before = tape.content()
    for group in (VIDEO, LEDGER):
        (path,) = files_of(tape.folder, group)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([*lines, lines[0]]))
    tape.lose()
    tape.open()
    assert len(tape.told("duplicate-refused")) == 2
    assert tape.content()["gaps"][:2] == before["gaps"][:2]
    assert tape.content()["minutes"] == before["minutes"]


def test_a_duplicate_that_nobody_could_verify_is_told(tape):
    tape.duplicate.write()
    tape.lose()
    (tape.data_dir / "keys" / "box-p256.jwk.json").unlink()
    tape.open()
    (why,) = tape.told("duplicate-unverified")
    assert "public key is not there" in why


def test_what_had_been_deleted_does_not_come_back(tape):
    tape.duplicate.write()
    doomed = [
        journal.Doomed(row["segment_id"], row["path"], row["bytes"], 0, 1, "age")
        for row in tape.segments()[:12]
    ]
    tape.retention.delete(doomed)
    tape.duplicate.write()
    before = tape.content()
    assert len(before["chain_runs"]) == 1  # the first run went as a whole
    tape.lose()
    tape.open()
    assert tape.content() == before


def test_what_was_deleted_after_the_last_line_is_no_loss(tape):
    tape.duplicate.write()
    first = tape.segments()[0]
    tape.retention.delete(
        [journal.Doomed(first["segment_id"], first["path"], first["bytes"], 0, 1, "age")]
    )
    gaps = tape.rows("gaps")
    tape.lose()
    tape.open()
    Check(tape.folder, tape.index, tape.clock).run()
    assert tape.rows("gaps") == gaps
    assert tape.rows("deletions")[-1]["rule"] == "before-rebuild"


def test_an_index_that_was_half_made_when_the_power_failed_is_made_again(tape):
    tape.duplicate.write()
    before = tape.content()
    tape.lose()
    index = open_index(tape.folder, [ledger.PART, PART], tape.clock)
    with index.transaction() as db:
        db.execute("INSERT INTO to_restore (what, a) VALUES ('begun', 1)")
        db.execute("DELETE FROM gaps")
    index.close()
    tape.open()
    assert tape.content() == before


def test_gaps_and_coverage_read_the_same_after_the_loss(tape):
    tape.duplicate.write()
    since, until = tape.clock.utc_now() - timedelta(hours=2), tape.clock.utc_now()
    asked = ("--camera", "gate", "--data-dir", tape.data_dir, "--json")
    span = ("--from", since.isoformat(), "--to", until.isoformat())
    before = poleside("buffer", "gaps", *span, *asked)
    sums = ledger.sum_up(tape.folder, since, until)
    tape.lose()
    tape.open()
    after = poleside("buffer", "gaps", *span, *asked)
    assert json.loads(before.stdout)["gaps"]
    assert (after.returncode, after.stdout) == (0, before.stdout)
    assert ledger.sum_up(tape.folder, since, until) == sums


def ask(tape, *words):
    done = poleside(*words, "--data-dir", tape.data_dir, "--json")
    return done.returncode, json.JSONDecoder().raw_decode(done.stdout)[0]


def test_a_command_on_a_lost_index_names_the_one_that_helps(tape):
    tape.lose()
    for words in (("gaps",), ("status",), ("check",), ("locks",), ("prune", "--dry-run")):
        code, answer = ask(tape, "buffer", *words)
        assert (code, answer["code"]) == (1, "storage.no_database")
        assert "poleside buffer check --rebuild" in answer["hint"]


@pytest.mark.parametrize("how", ["deleted", "overwritten"])
def test_the_command_line_makes_a_taken_disk_s_index_anew(tape, tmp_path, how):
    tape.duplicate.write()
    before = tape.content()
    tape.lose(how)
    code, answer = ask(tape, "buffer", "check", "--rebuild")
    assert (code, answer["ok"], answer["has_key"]) == (0, True, True)
    made = answer["cameras"]["gate"]["rebuilt"]
    assert (made["segments"], made["gaps"]) == (len(before["segments"]), len(before["gaps"]))
    assert (made["unsigned"], made["refused"]) == (0, [])
    tape.open()
    assert tape.content() == before
    assert tape.verdict(tmp_path)[0] == 0
    again = ask(tape, "buffer", "check", "--rebuild")
    assert again[0] == 0
    assert "rebuilt" not in again[1]["cameras"]["gate"]  # it is whole


def test_an_index_the_command_was_stopped_at_is_made_to_the_end_by_its_next_call(tape, clip):
    small = Duplicate(tape.folder, tape.index, tape.clock, tape.sign, file_bytes=1, stragglers=-1)
    small.write()
    for _ in range(4):
        tape.record(clip)
        small.write()
    before = tape.content()
    tape.lose()
    index = open_index(tape.folder, [ledger.PART, PART], tape.clock, verifier_of(tape.data_dir))
    index.close()  # the newest files are in it, the older ones are not
    code, answer = ask(tape, "buffer", "check", "--rebuild")
    assert (code, answer["cameras"]["gate"]["rebuilt"]["why"]) == (0, "half made")
    tape.open()
    assert tape.content() == before


def test_no_index_is_made_anew_beside_a_running_worker(tape):
    tape.lose()
    with FileLock(tape.folder / WORKER_LOCK, tape.clock):
        code, answer = ask(tape, "buffer", "check", "--rebuild")
    assert (code, answer["code"]) == (1, "storage.in_use")


@pytest.mark.skipif(disk.why_not() is not None, reason=str(disk.why_not()))
def test_a_read_only_disk_without_an_index_is_read_all_the_same(tape, clip, tmp_path):
    tape.record(clip, cause=None, frames=50)
    tape.duplicate.write()
    rows = tape.segments()
    tape.lose("overwritten")
    mount = tmp_path / "disk"
    with disk.tmpfs(mount, "size=100m"):
        shutil.copytree(tape.data_dir, mount / "poleside")
        disk.run("mount", "-o", "remount,ro", str(mount))
        there = mount / "poleside"
        own = {"env": os.environ | {"TMPDIR": str(tmp_path)}}
        at = ("--data-dir", there, "--json")
        lost = poleside("buffer", "gaps", *at, **own)
        assert "check --rebuild" in json.loads(lost.stdout)["hint"]
        done = poleside("buffer", "check", "--rebuild", *at, **own)
        assert done.returncode == 0, done.stdout + done.stderr
        answer = json.JSONDecoder().raw_decode(done.stdout)[0]
        made = answer["cameras"]["gate"]["rebuilt"]
        assert Path(made["index_file"]).is_relative_to(tmp_path)
        assert made["segments"] == len(rows)
        since = from_micros(rows[0]["start_utc_us"]).isoformat()
        told = poleside("buffer", "gaps", "--from", since, *at, **own).stdout
        assert [gap["cause"] for gap in json.loads(told)["gaps"]][:2] == ["lost", "lost"]
        out = tmp_path / "clip.mp4"
        span = ("--camera", "gate", "--from", since, "--to", tape.clock.utc_now().isoformat())
        done = poleside("clip", "export", *span, "--out", out, *at, **own)
        assert done.returncode == 0, done.stdout + done.stderr
        assert poleside("clip", "verify", out).returncode == 0
