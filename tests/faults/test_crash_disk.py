"""The disk is full, has no inodes, is read-only, breaks, freezes: said with a code, and healed."""

import os
import shutil
from contextlib import ExitStack, closing
from urllib.request import urlopen

import pytest

from agent.buffer.recovery import recover
from agent.core.errors import StorageError
from agent.core.sqlite import open_reader
from tests.box_process import BoxProcess, CameraProcess, camera_in, faults_in
from tests.faults.crash_lab import disk
from tests.faults.crash_lab.box_workload import CAMERA, DATABASE, OutboxUser
from tests.faults.crash_lab.disturbed_box import disturbed_box
from tests.faults.crash_lab.verdict import Verdict, agree
from tests.footage_maker import make_clip
from tests.recording import BOOT, Tape

pytestmark = pytest.mark.skipif(disk.why_not() is not None, reason=str(disk.why_not()))

FPS, CLIP_S = 10, 9
EXT4 = "errors=remount-ro"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, fps=FPS, seconds=CLIP_S, size_px=(160, 120))


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "disk.img"
    disk.make_ext4(path, 40)
    return path


def is_whole(tape):
    verdict = Verdict()
    agree(tape, verdict)
    return verdict.details == []


def after_the_pause(tape, clip):
    """Let the recorder try again, and record a clip."""
    tape.clock.pass_s(6.0)
    return tape.record(clip)


async def queued(user, name):
    """Queue a record; return the code with which it was refused, None when it is stored."""
    try:
        await user.append(name)
    except StorageError as error:
        return error.code
    return None


def fill(folder, leave_bytes):
    """Somebody else takes the room; return what gives it back."""
    ballast = folder / "ballast"
    facts = os.statvfs(folder)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, facts.f_bavail * facts.f_frsize - leave_bytes)
    return ballast


async def test_a_small_disk_filled_by_others_stops_both_with_a_code_and_both_heal(tmp_path, clip):
    with disk.tmpfs(tmp_path / "disk", "size=6m") as folder:
        tape, user = Tape(folder / CAMERA), OutboxUser(folder / DATABASE)
        await user.start()
        ballast = fill(folder, leave_bytes=0)

        tape.record(clip)
        codes = {await queued(user, f"row-{n}") for n in range(40)}

        assert tape.recorder.status.fault_code == "storage.full"
        assert not tape.recorder.status.recording
        assert "storage.full" in codes
        assert codes <= {None, "storage.full"}

        ballast.unlink()
        after_the_pause(tape, clip)
        assert tape.recorder.status.fault_code is None
        assert await queued(user, "after") is None
        assert tape.segments()[-1]["state"] == "closed"
        assert is_whole(tape)
        await user.db.stop()
        tape.index.close()


def test_a_disk_without_inodes_gives_up_the_oldest_and_goes_on(tmp_path, clip):
    with disk.tmpfs(tmp_path / "disk", "size=20m,nr_inodes=64") as folder:
        tape = Tape(folder / CAMERA)
        tape.record(clip)
        for number in range(os.statvfs(folder).f_favail - 1):
            (folder / f"crumb-{number}").touch()

        for _ in range(3):
            tape.record(clip)
        full = [gap for gap in tape.rows("gaps") if gap["cause"] == "disk-full"]
        assert full[0]["to_utc_us"] - full[0]["from_utc_us"] <= 10e6
        assert tape.segments()[-1]["start_utc_us"] >= full[0]["to_utc_us"]
        assert {row["rule"] for row in tape.rows("deletions")} == {"disk-full"}
        assert is_whole(tape)
        tape.index.close()


async def test_a_broken_file_system_stops_both_with_a_code_and_loses_nothing(tmp_path, image, clip):
    folder = tmp_path / "disk"
    with disk.mounted(image, folder, EXT4) as device:
        tape, user = Tape(folder / CAMERA), OutboxUser(folder / DATABASE)
        await user.start()
        tape.record(clip)
        assert await queued(user, "before") is None
        before = [(row["path"], row["frames"]) for row in tape.segments()]

        disk.break_file_system(device)
        after_the_pause(tape, clip)
        assert tape.recorder.status.fault_code == "storage.error"
        assert not tape.recorder.status.recording
        assert await queued(user, "while broken") == "storage.database"
        await user.db.stop()
        tape.index.close()
    disk.repair(image)

    with disk.mounted(image, folder, EXT4):
        tape, user = Tape(folder / CAMERA), OutboxUser(folder / DATABASE)
        await user.start()
        recover(tape.folder, tape.index, BOOT)
        assert [(row["path"], row["frames"]) for row in tape.segments()][: len(before)] == before
        assert user.names()[1] == "before"
        after_the_pause(tape, clip)
        assert tape.recorder.status.fault_code is None
        assert is_whole(tape)
        await user.db.stop()
        tape.index.close()


def test_a_disk_that_was_pulled_and_comes_back_has_all_but_the_last_moment(tmp_path, image, clip):
    folder, back = tmp_path / "disk", tmp_path / "back.img"
    with ExitStack() as stack:
        device = stack.enter_context(disk.mounted(image, folder, EXT4))
        pulled = Tape(folder / CAMERA)
        pulled.record(clip)
        pulled.record(clip, frames=35, cause=None)  # a segment is open, and half of it on the disk
        disk.run("sync", "--file-system", folder)
        shutil.copyfile(image, back)

        disk.break_file_system(device)
        pulled.recorder.run_ended("lost")
        stack.enter_context(disk.mounted(back, folder, EXT4))  # over the dead one
        after_the_pause(pulled, clip)
        assert pulled.recorder.status.fault_code == "storage.error"

        tape = Tape(folder / CAMERA)  # the worker, started anew
        recover(tape.folder, tape.index, BOOT)
        frames = sum(row["frames"] for row in tape.segments())
        assert CLIP_S * FPS + 30 <= frames <= CLIP_S * FPS + 35
        tape.clock.pass_s(60.0)
        after_the_pause(tape, clip)
        assert tape.recorder.status.fault_code is None
        assert is_whole(tape)
        tape.index.close()
        pulled.index.close()


def test_a_disk_mounted_read_only_is_refused_with_a_code_and_taken_once_it_is_not(
    tmp_path, image, clip
):
    folder = tmp_path / "disk"
    with disk.mounted(image, folder, EXT4):
        tape = Tape(folder / CAMERA)
        tape.record(clip)
        tape.index.close()
        disk.run("mount", "-o", "remount,ro", folder)

        with pytest.raises(StorageError) as caught:
            Tape(folder / CAMERA).record(clip)
        assert caught.value.code.startswith("storage.")
        assert caught.value.hint

        disk.run("mount", "-o", "remount,rw", folder)
        tape = Tape(folder / CAMERA)
        after_the_pause(tape, clip)
        assert sum(row["frames"] for row in tape.segments()) == 2 * CLIP_S * FPS
        tape.index.close()


def test_a_frozen_file_system_holds_the_box_up_and_costs_nothing(tmp_path, image, clip):
    folder = tmp_path / "disk"
    with disk.mounted(image, folder, EXT4):
        with disturbed_box(folder, clip) as box:
            with disk.frozen(folder):
                box.begin()
                assert not box.has_worked_within(2.0)
            box.until_worked()
            report = box.report()
            assert box.end() == 0
        assert report.codes == []
        tape = Tape(folder / CAMERA)
        recover(tape.folder, tape.index, BOOT)
        assert sum(row["frames"] for row in tape.segments()) == report.handed == 3 * CLIP_S * FPS
        assert is_whole(tape)
        tape.index.close()


def test_a_frozen_disk_is_told_the_rest_goes_on_and_it_heals_by_itself(tmp_path, image, clip):
    """All the box keeps lies on that disk. Nobody is killed for it, and nobody has to come."""
    data_dir = tmp_path / "box"
    data_dir.mkdir()
    told = {"buffer": {"min_free_bytes": 0}}
    with (
        disk.mounted(image, data_dir, EXT4),
        CameraProcess(tmp_path, "cam", clip, clip) as camera,
        BoxProcess(
            tmp_path, told | {"cameras": [camera.settings("cam-1", stall_s=2.0, detect=False)]}
        ) as box,
    ):
        recorded_s = box.until(is_recording)["cameras"][0]["recorded_s"]
        workers = {process.pid for process in box.children()}
        with disk.frozen(data_dir):
            state = box.until(lambda state: ("camera.not_recorded", "cam-1") in faults_in(state))
            assert (
                "storage.stuck" in faults_in(state)["camera.not_recorded", "cam-1"]["sentence_en"]
            )
            box.until(lambda state: not is_recording(state))
            box.until(lambda _: picture_age_s(box) < 2.0)  # it is looked at all the same
        box.until(lambda state: is_recording(state, more_than_s=recorded_s), within_s=60)
        assert {process.pid for process in box.children()} == workers
        box.until(lambda state: ("camera.not_recorded", "cam-1") not in faults_in(state))
        with closing(open_reader(data_dir / "cameras" / "cam-1" / "index.db")) as index:
            causes = {row["cause"] for row in index.execute("SELECT cause FROM gaps")}
        assert causes <= {"disk-stuck"}


def picture_age_s(box):
    """Return how old the newest picture is; endless without one."""
    try:
        with urlopen(
            f"http://127.0.0.1:{box.port}/api/cameras/cam-1/live.jpg", timeout=5
        ) as answer:
            return float(answer.headers["x-picture-age-s"])
    except OSError:
        return float("inf")


def is_recording(state, more_than_s=3.0):
    camera = camera_in(state, "cam-1")
    return camera["is_recording"] and camera["recorded_s"] > more_than_s
