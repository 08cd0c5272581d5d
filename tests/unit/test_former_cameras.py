"""A camera taken out of the settings keeps its video as long as any other, then its folder goes."""

import json
from datetime import timedelta

import pytest

from agent.app.former_cameras import FormerCameras
from agent.buffer import former
from agent.buffer.locks import Lock, LockKind, Locks
from agent.core.errors import StorageError
from agent.core.lock import FileLock
from agent.settings.model import BufferSettings, CameraSettings, Settings
from tests.footage_maker import make_clip
from tests.recording import Tape

DAY_S = 86_400.0
SETTINGS = BufferSettings(min_free_bytes=0, min_free_inodes=0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=6, size_px=(160, 120))


@pytest.fixture
def tape(tmp_path, clip):
    made = Tape(tmp_path / "cameras" / "gate")
    made.record(clip)
    made.index.close()
    return made


def signed(body):
    return "key-1", body[:4]


def tend(tape, **how):
    return former.tend(tape.folder, SETTINGS, tape.clock, 2, signed, **how)


def test_video_goes_when_it_is_old_and_the_signed_record_stays(tape):
    assert not tend(tape)
    assert len(tape.video_files()) == 3
    tape.clock.pass_s(31 * DAY_S)
    assert tend(tape)
    assert not tape.folder.exists()
    (line,) = (tape.folder.parent.parent / "former" / "gate.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record["key_id"] == "key-1"
    assert (record["purge"]["camera"], record["purge"]["segments"]) == ("gate", 3)
    assert record["purge"]["rules"] == {"age": 3}


def test_what_is_locked_stays_and_the_folder_with_it(tape):
    index = former.Index(tape.folder)
    now = tape.clock.utc_now()
    Locks(tape.folder, index, SETTINGS, tape.clock, lambda: 10**9).add(
        Lock(
            lock_id="a",
            kind=LockKind.EVIDENCE,
            since=now - timedelta(seconds=2),
            until=now,
            incident_id="7",
            approver="Kim",
            made_at=now,
            expires_at=now + timedelta(days=60),
        )
    )
    index.close()
    tape.clock.pass_s(31 * DAY_S)
    assert not tend(tape)
    assert len(tape.video_files()) == 1
    tape.clock.pass_s(31 * DAY_S)
    assert tend(tape)


def test_pictures_that_are_not_old_enough_keep_the_folder(tape):
    tape.clock.pass_s(31 * DAY_S)
    assert not tend(tape, stills_left=lambda *_: True)
    assert tape.video_files() == []
    assert tend(tape)


def test_a_segment_that_a_crash_left_open_goes_with_the_rest(tmp_path, clip):
    tape = Tape(tmp_path / "cameras" / "gate")
    tape.record(clip, cause=None, frames=25)
    tape.index.close()
    tape.clock.pass_s(31 * DAY_S)
    assert tend(tape)


def test_a_folder_in_use_is_left_alone(tape):
    tape.clock.pass_s(31 * DAY_S)
    with (
        FileLock(tape.folder / ".worker.lock", tape.clock),
        pytest.raises(StorageError, match="holds"),
    ):
        tend(tape)
    assert len(tape.video_files()) == 3


def test_the_core_tends_the_folders_of_former_cameras_only(tape, tmp_path, clip):
    yard = Tape(tmp_path / "cameras" / "yard", tape.clock)
    yard.record(clip)
    yard.index.close()
    tape.clock.pass_s(31 * DAY_S)
    camera = CameraSettings(camera_id="yard", main_url="rtsp://10.0.0.1/")
    settings = Settings(data_dir=str(tmp_path), cameras=(camera,), buffer=SETTINGS)
    FormerCameras(tape.clock, lambda: settings, lambda: signed).look()
    assert not tape.folder.exists()
    assert len(yard.video_files()) == 3
