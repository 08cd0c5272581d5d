"""A clip says at once what it lacks of the time that was asked for, and why."""

import asyncio
import json
from datetime import timedelta

import pytest

from agent.buffer.index import from_micros
from agent.commands.clip import export_clip
from agent.contract.commands import Clip
from agent.evidence.manifest import open_manifest
from agent.evidence.mp4_samples import read_media
from tests.chained_tape import ChainedTape, poleside
from tests.footage_maker import make_clip

SEGMENT = timedelta(seconds=2)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=10, size_px=(160, 120))


@pytest.fixture
def tape(tmp_path, clip):
    made = ChainedTape(tmp_path / "data")
    made.record(clip)
    yield made
    made.index.close()


def exported(tape, out, *more):
    rows = tape.segments()
    since, until = from_micros(rows[0]["start_utc_us"]), tape.clock.utc_now()
    return poleside(
        *("clip", "export", "--camera", "gate", "--data-dir", tape.data_dir, "--out", out),
        *("--from", since.isoformat(), "--to", until.isoformat()),
        *more,
    )


def spoil(tape, number, how):
    """Take a segment's file, or the end of it, as a broken disk does."""
    row = tape.segments()[number]
    path, start = tape.folder / row["path"], from_micros(row["start_utc_us"])
    if how == "gone":
        path.unlink()
    elif how == "unreadable":
        path.write_bytes(b"\0" * row["bytes"])
    else:
        path.write_bytes(path.read_bytes()[: row["bytes"] * 4 // 5])
    return start, start + timedelta(microseconds=row["duration_us"])


@pytest.mark.parametrize(
    ("how", "cause"), [("gone", "deleted"), ("unreadable", "unreadable"), ("cut", "unreadable")]
)
def test_a_segment_that_can_t_be_read_is_a_hole_that_the_clip_tells_of(tape, tmp_path, how, cause):
    start, end = spoil(tape, 2, how)
    out = tmp_path / "gate.mp4"
    done = exported(tape, out, "--json")
    assert done.returncode == 3, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    (hole,) = answer["holes"]
    assert hole["cause"] == cause
    assert hole["to"] == end.isoformat()
    assert hole["from"] == start.isoformat() if how != "cut" else hole["from"] > start.isoformat()
    assert answer["whole"]  # what is in it is as it was recorded
    (signed,) = open_manifest(read_media(out).seal).manifest.holes
    assert (signed.until, signed.cause) == (end, cause)
    verified = poleside("clip", "verify", out)
    assert verified.returncode == 0
    assert f"{end:%H:%M:%S} UTC, as the box told: {cause}" in verified.stdout

    said = exported(tape, tmp_path / "again.mp4")
    assert said.returncode == 3
    assert f"to {end:%H:%M:%S} UTC: {cause}" in said.stderr


def test_a_gap_in_the_recording_is_told_with_its_cause_and_is_no_failure(tape, clip, tmp_path):
    tape.clock.pass_s(30)
    tape.record(clip)
    done = exported(tape, tmp_path / "gate.mp4", "--json")
    assert done.returncode == 0
    (hole,) = json.loads(done.stdout)["holes"]
    assert hole["cause"] == "lost"


def test_a_clip_without_holes_tells_of_none(tape, tmp_path):
    done = exported(tape, tmp_path / "gate.mp4", "--json")
    assert (done.returncode, json.loads(done.stdout)["holes"]) == (0, [])


def test_the_center_is_told_of_the_holes_of_a_clip_it_ordered(tape, tmp_path):
    _, end = spoil(tape, 2, "unreadable")
    rows = tape.segments()
    wanted = Clip(
        camera_id="gate",
        start_at=from_micros(rows[0]["start_utc_us"]),
        end_at=tape.clock.utc_now(),
    )
    out = tmp_path / "gate.mp4"
    made = asyncio.run(
        export_clip(tape.data_dir, wanted, out, by="Kim", incident="7", purpose="test")
    )
    assert [hole["cause"] for hole in made.holes] == ["unreadable"]
    assert made.holes[0]["to"] == end.isoformat()
