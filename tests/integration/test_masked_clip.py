"""Who is found in a masked clip is covered, but who is meant; the ledger tells what was."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import av
import numpy as np
import pytest

from agent.clips.export import sha256_of
from agent.clips.pictures import Pictures
from agent.commands.clip import ClipHandler
from agent.contract.commands import Actor, Clip, Command
from agent.contract.scene_args import ClipMask
from agent.detect import faces
from agent.simulators.drawn_scene import person_at
from tests import drawn_face
from tests.footage_maker import make_clip
from tests.recording import Tape
from tests.spine import eventually
from tests.uploading_box import ULID, Box

IMPATIENT = "import os\nos.nice = os.sched_setscheduler = lambda *_: 0\n"
BLUR_LEFT = 0.45  # of the detail that was there: the edges of the blocks


@pytest.fixture(autouse=True)
def impatient(tmp_path_factory, monkeypatch):
    """Beside other tests nothing is left for who takes only the time that nobody else wants."""
    folder = tmp_path_factory.mktemp("impatient")
    (folder / "sitecustomize.py").write_text(IMPATIENT)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


@pytest.fixture(scope="module")
def street(drawn_loops, tmp_path_factory):
    """The drawn street of the sub stream as a recording; somebody walks across in it."""
    data_dir = tmp_path_factory.mktemp("box")
    tape = Tape(data_dir / "cameras" / "gate")
    start = tape.clock.utc_now()
    tape.record(drawn_loops[1])
    tape.index.close()
    return data_dir, start


def make(street, name, out, *options, at_s=(3.0, 9.0)):
    """Run `poleside clip NAME`; return its exit code and what it says of the file."""
    data_dir, start = street
    begin, end = (start + timedelta(seconds=one) for one in at_s)
    told = ["--camera", "gate", "--from", begin.isoformat(), "--to", end.isoformat(), "--json"]
    told += ["--data-dir", str(data_dir), "--out", str(out), *options]
    command = [sys.executable, "-m", "agent.local.cli.main", "clip", name, *told]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def clip(street, folder, *options, **span):
    """Return the pictures of the clear clip and of the masked one, and what was said of it."""
    clear, covered = folder / "clear.mp4", folder / "masked.mp4"
    assert make(street, "export", clear, **span)[0] == 0
    code, facts = make(street, "masked", covered, *options, **span)
    assert code == 0, facts
    assert sorted(folder.iterdir()) == [clear, covered]  # nothing else is left behind
    return frames(clear), frames(covered), facts


def frames(path):
    with av.open(str(path)) as container:
        assert not container.streams.audio
        pictures = container.decode(video=0)
        return [(one.time, one.to_ndarray(format="gray").astype(float)) for one in pictures]


def detail(picture):
    """How much there is to see: the steps from point to point."""
    return float(np.abs(np.diff(picture, axis=0)).mean() + np.abs(np.diff(picture, axis=1)).mean())


def cut(picture, region):
    height, width = picture.shape
    return picture[
        int(region.y * height) : int((region.y + region.height) * height),
        int(region.x * width) : int((region.x + region.width) * width),
    ]


def walker_at(facts, street, time_s, shape):
    """Where the drawn person is in the clip's picture of this second."""
    begin_s = (datetime.fromisoformat(facts["start_at"]) - street[1]).total_seconds()
    return person_at(begin_s + time_s, shape[1], shape[0])


def test_whoever_walks_by_can_not_be_known_and_the_street_can(street, tmp_path):
    clear, covered, facts = clip(street, tmp_path)
    assert len(clear) == len(covered) == facts["masked"]["frames"] == facts["frames"]
    seen = 0
    for (time_s, before), (_, after) in zip(clear, covered, strict=True):
        where = walker_at(facts, street, time_s, before.shape)
        if where is None or where.x < 0.02 or where.x + where.width > 0.98:
            continue
        seen += 1
        assert detail(cut(after, where)) < BLUR_LEFT * detail(cut(before, where)), time_s
        far = np.s_[:, : before.shape[1] // 3] if where.x > 0.6 else np.s_[: before.shape[0] // 4]
        assert np.abs(before[far] - after[far]).mean() < 8.0
    assert seen > 10
    ledger = facts["masked"]
    assert ledger["tracks"]
    assert ledger["masked_frames"] >= seen
    with av.open(str(tmp_path / "masked.mp4")) as container:
        told = json.loads(container.metadata["comment"])
    assert told["tracks"] == ledger["tracks"]
    assert told["clear_sha256"] == ledger["clear_sha256"]


def test_who_is_meant_stays_to_be_seen(street, tmp_path):
    where = person_at(8.0, 640, 360)
    spot = f"{where.x + where.width / 2},{where.y + where.height / 2}"
    at = (street[1] + timedelta(seconds=8.0)).isoformat()
    clear, covered, facts = clip(street, tmp_path, "--target", spot, "--at", at, at_s=(7.0, 10.0))
    assert facts["masked"]["target_frames"] > 5
    kept = 0
    for (time_s, before), (_, after) in zip(clear, covered, strict=True):
        where = walker_at(facts, street, time_s, before.shape)
        kept += detail(cut(after, where)) > 0.7 * detail(cut(before, where))
    assert kept >= len(clear) / 2


def test_all_but_an_area_can_be_covered_whoever_is_found(street, tmp_path):
    clear, covered, facts = clip(
        street, tmp_path, "--keep", "0.25,0.2 0.75,0.2 0.75,0.9 0.25,0.9", "--outside", "all",
        at_s=(6.0, 8.0),
    )  # fmt: skip
    for (_, before), (_, after) in zip(clear, covered, strict=True):
        height, width = before.shape
        inside = np.s_[height // 4 : height * 4 // 5, width // 3 : width * 2 // 3]
        assert np.abs(before[inside] - after[inside]).mean() < 8.0
        outside = np.s_[:, : width // 5]
        assert detail(after[outside]) < BLUR_LEFT * detail(before[outside])
    assert facts["masked"]["masked_frames"] == len(covered)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--target", "0.5,0.02", "--at", "{at}"], "clip.no_target"),
        (["--keep", "0.1,0.1 0.2,0.2"], "clip.bad_mask"),
        (["--keep", "nonsense"], "clip.bad_mask"),
    ],
)
def test_what_can_not_be_masked_as_wanted_is_not_given_at_all(street, tmp_path, options, code):
    at = (street[1] + timedelta(seconds=8)).isoformat()
    told = [one.format(at=at) for one in options]
    exit_code, failure = make(street, "masked", tmp_path / "clip.mp4", *told, at_s=(7.0, 8.5))
    assert (exit_code, failure["code"]) == (1, code)
    assert list(tmp_path.iterdir()) == []


def test_a_face_behind_a_cars_window_is_covered_though_no_body_is_seen(tmp_path):
    tape = Tape(tmp_path / "box" / "cameras" / "gate")
    start = tape.clock.utc_now()
    tape.record(drawn_face.drive_past(tmp_path / "drive.mp4"))
    tape.index.close()
    (tmp_path / "out").mkdir()
    clear, covered, facts = clip((tmp_path / "box", start), tmp_path / "out", at_s=(0.0, 4.0))
    told = facts["masked"]
    assert told["faces"] > 0.8 * len(clear)
    assert "face" in [one["what"] for one in told["tracks"]]
    assert told["face_model"].startswith("blazeface")
    for number, ((_, before), (_, after)) in enumerate(zip(clear, covered, strict=True)):
        face = drawn_face.where(number)
        assert detail(cut(after, face)) < BLUR_LEFT * detail(cut(before, face)), number


DAMAGES = {
    "detector.model_missing": lambda file: file.unlink(),
    "detector.model_hash": lambda file: file.write_bytes(file.read_bytes()[:-1] + b"?"),
}


@pytest.mark.parametrize("code", DAMAGES)
def test_without_the_face_model_as_it_was_shipped_nothing_is_given(street, tmp_path, code):
    model, out = tmp_path / "model", tmp_path / "out"
    shutil.copytree(faces._FOLDER, model)
    DAMAGES[code](model / faces._FILE)
    out.mkdir()
    elsewhere = "import sys, pathlib; from agent.detect import faces"
    elsewhere += "; from agent.local.cli import main"
    elsewhere += "; faces._FOLDER = pathlib.Path(sys.argv.pop(1)); main.main()"
    begin, end = ((street[1] + timedelta(seconds=one)).isoformat() for one in (7, 8))
    told = ["--camera", "gate", "--from", begin, "--to", end]
    told += ["--data-dir", str(street[0]), "--out", str(out / "clip.mp4"), "--json"]
    command = [sys.executable, "-c", elsewhere, str(model), "clip", "masked", *told]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, code), done.stderr
    assert list(out.iterdir()) == []


def test_it_takes_only_the_time_that_nobody_else_wants(monkeypatch):
    monkeypatch.delenv("PYTHONPATH")
    patient = "from agent.local.cli.clip_masked import _be_patient; _be_patient(); import os"
    command = [sys.executable, "-c", patient + "; print(os.sched_getscheduler(0))"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) == os.SCHED_IDLE


async def test_the_centers_order_queues_the_masked_clip_with_its_ledger(street, tmp_path):
    box = Box(tmp_path)
    begin, end = (street[1] + timedelta(seconds=one) for one in (7.0, 8.5))
    mask = ClipMask(keep=((0.0, 0.0), (0.1, 0.0), (0.1, 1.0)), outside="people")
    clip_args = Clip(camera_id="gate", start_at=begin, end_at=end, mask=mask)
    order = Command(
        id=ULID, args=clip_args, box="box-1", by=Actor(user="kim", case="2026-1"),
        iat=1, nbf=1, exp=2, iss="center",
    )  # fmt: skip
    said = []

    async def progress(text, *_):
        said.append(text)

    async with box.running():
        working = asyncio.create_task(ClipHandler(street[0], box.uploads)(order, progress))

        async def is_queued():
            return await box.uploads.find(ULID) is not None

        await eventually(is_queued)
        working.cancel()
        job = await box.uploads.find(ULID)
        result = box.uploads.result_of(job)
        assert result["masked"]["tracks"]
        assert (result["sealed"], result["codec"]) == (False, "h264")
        assert result["sha256"] == sha256_of(box.uploads.folder / f"{ULID}.mp4")
    entries = (street[0] / "audit" / "spool.jsonl").read_text()
    assert '"clip.masked"' in entries


def test_what_the_disk_does_not_give_of_a_masked_clip_is_told(street, tmp_path):
    data_dir = tmp_path / "box"
    shutil.copytree(street[0], data_dir)
    files = sorted((data_dir / "cameras" / "gate" / "video").rglob("*.mp4"))
    files[1].write_bytes(b"")
    out = tmp_path / "gate.mp4"
    code, told = make((data_dir, street[1]), "masked", out, at_s=(0.0, 8.0))
    assert code == 3, told
    assert [hole["cause"] for hole in told["holes"]][:1] == ["unreadable"]
    assert out.exists()


def test_a_picture_that_can_not_be_decoded_costs_a_masked_clip_no_other(street, tmp_path):
    data_dir = tmp_path / "box"
    shutil.copytree(street[0], data_dir)
    files = sorted((data_dir / "cameras" / "gate" / "video").rglob("*.mp4"))
    content = bytearray(files[1].read_bytes())
    at = content.index(b"mdat") + 4
    content[at : at + 400] = b"\xff" * 400  # its first key frame
    files[1].write_bytes(content)
    out = tmp_path / "gate.mp4"
    code, told = make((data_dir, street[1]), "masked", out, at_s=(0.0, 8.0))
    assert code == 3, told
    (hole,) = told["holes"]
    begins = datetime.fromisoformat(hole["from"]) - street[1]
    assert abs(begins - timedelta(seconds=2)) < timedelta(seconds=0.5)  # a segment has two
    assert len(frames(out)) == told["frames"] > 0
    assert told["masked"]["undecoded"]


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("byte", [0x00, 0x5A, 0xFF])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_pictures_that_a_decoder_leaves_out_are_told_whether_it_says_so_or_not(
    tmp_path, codec, byte, number
):
    clip = make_clip(tmp_path / "clip.mp4", codec=codec, seconds=6, gop_s=2, bframes=2)
    whole = Pictures(clip)
    assert (len(list(whole)), whole.undecoded) == (60, ())
    content = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        keys = [(one.pos, one.size) for one in container.demux(video=0) if one.is_keyframe]
    at, size = keys[number]
    content[at + 4 : at + size] = bytes([byte]) * (size - 4)
    clip.write_bytes(content)
    pictures = Pictures(clip)
    shown = len(list(pictures))
    told_s = sum(until - since for since, until in pictures.undecoded)
    assert (shown < 60, round(told_s, 3)) == (True, (60 - shown) / 10)


def test_a_kill_leaves_no_clear_clip_behind(street, tmp_path):
    begin, end = (street[1] + timedelta(seconds=one) for one in (1.0, 20.0))
    command = [sys.executable, "-m", "agent.local.cli.main", "clip", "masked", "--camera", "gate"]
    command += ["--from", begin.isoformat(), "--to", end.isoformat(), "--data-dir", str(street[0])]
    with subprocess.Popen([*command, "--out", str(tmp_path / "masked.mp4")]) as making:
        try:
            while making.poll() is None and not _open_clips(making.pid, tmp_path):
                time.sleep(0.01)
            assert making.poll() is None
        finally:
            making.kill()
    assert {one.name for one in tmp_path.iterdir()} <= {"masked.mp4"}  # never the clear one


def _open_clips(pid, folder):
    """The files with something in them that a process has open in a folder."""
    files = []
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            if str(handle.readlink()).startswith(str(folder)) and handle.stat().st_size:
                files.append(handle)
    return files
