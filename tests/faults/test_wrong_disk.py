"""The wrong disk, no disk, a second disk that is away: never a write where it does not belong."""

from datetime import timedelta
from pathlib import Path

import pytest

from agent.app.core_disk import on_its_disk
from agent.app.run_dir import forget_run_dir, run_dir
from agent.buffer.copies import Copier
from agent.buffer.locks import Lock, LockKind, Locks
from agent.buffer.medium import ID_FILE, read_id, require_medium
from agent.buffer.upkeep import Upkeep
from agent.core.errors import StorageError
from agent.settings.model import BufferSettings, Settings
from tests.faults.crash_lab import disk
from tests.footage_maker import make_clip
from tests.recording import Tape


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=10, size_px=(160, 120))


@pytest.fixture(autouse=True)
def book(tmp_path, monkeypatch):
    """Where this box remembers its disks."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "poleside"


@pytest.fixture
def mount(tmp_path):
    """A mount point whose disk is not there; a test may bring it."""
    folder = tmp_path / "video"
    folder.mkdir()
    return folder


def everything_under(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def test_a_missing_mount_is_an_error_with_a_code_and_nothing_is_written(mount):
    settings = BufferSettings(require_mount=str(mount))
    with pytest.raises(StorageError) as refused:
        require_medium(mount / "cameras" / "gate", settings)
    assert refused.value.code == "storage.wrong_medium"
    assert everything_under(mount) == []


def test_a_new_disk_gets_an_id_and_keeps_it(mount):
    settings = BufferSettings(require_mount=str(mount))
    with disk.tmpfs(mount, "size=1m"):
        first = require_medium(mount / "gate", settings)
        assert first == read_id(mount) == require_medium(mount / "gate", settings)
        pinned = BufferSettings(require_mount=str(mount), medium_id=first)
        assert require_medium(mount / "gate", pinned) == first
    with disk.tmpfs(mount, "size=1m"):  # another disk
        with pytest.raises(StorageError, match="carries no id"):
            require_medium(mount / "gate", pinned)
        (mount / ID_FILE).write_text("another\n")
        with pytest.raises(StorageError, match="is another, not"):
            require_medium(mount / "gate", pinned)


def test_the_disk_of_the_first_start_is_remembered_and_no_other_is_taken_for_it(mount, book):
    settings = BufferSettings(require_mount=str(mount))
    with disk.tmpfs(mount, "size=1m"):
        require_medium(mount / "gate", settings)
    with disk.tmpfs(mount, "size=1m"):
        with pytest.raises(StorageError, match="carries no id") as refused:
            require_medium(mount / "gate", settings)
        assert everything_under(mount) == []
        (claim,) = book.iterdir()
        assert str(claim) in refused.value.hint
        claim.unlink()  # as the hint says
        assert require_medium(mount / "gate", settings) == read_id(mount)


def test_a_service_with_a_disk_of_its_own_misses_it_without_any_setting(
    mount, tmp_path, monkeypatch
):
    monkeypatch.setenv("STATE_DIRECTORY", f"{mount}:{tmp_path / 'book'}")
    (tmp_path / "book").mkdir()
    assert require_medium(mount / "gate", BufferSettings()) is None  # no disk of its own so far
    with disk.tmpfs(mount, "size=1m"):
        first = require_medium(mount / "gate", BufferSettings())
        assert first == read_id(mount)
    with pytest.raises(StorageError, match="no disk is mounted"):
        require_medium(mount / "gate", BufferSettings())
    assert everything_under(mount) == []


def test_without_its_disk_the_core_keeps_its_files_in_memory(mount):
    settings = Settings(data_dir=str(mount), buffer=BufferSettings(require_mount=str(mount)))
    with disk.tmpfs(mount, "size=1m"):
        assert on_its_disk(settings) is settings
    beside = Settings(data_dir=str(mount.parent), buffer=settings.buffer)
    assert on_its_disk(beside) is beside  # only its recordings lie on that disk
    without = on_its_disk(settings)
    assert Path(without.data_dir).parent == run_dir(settings) == run_dir(without)
    assert not Path(without.data_dir).is_relative_to(mount)
    assert [path.name for path in everything_under(mount)] == ["run"]  # the link, made once
    forget_run_dir(settings)


def test_recordings_that_lie_elsewhere_are_refused(mount, tmp_path):
    with disk.tmpfs(mount, "size=1m"), pytest.raises(StorageError, match="does not lie on"):
        require_medium(tmp_path / "elsewhere", BufferSettings(require_mount=str(mount)))


def test_any_disk_will_do_where_none_is_named(tmp_path):
    assert require_medium(tmp_path / "gate", BufferSettings()) is None
    assert everything_under(tmp_path) == []


def test_a_disk_that_goes_while_recording_is_never_replaced_by_the_one_below(mount, clip):
    with disk.tmpfs(mount, "size=20m"):
        tape = Tape(mount / "gate")
        tape.record(clip, cause=None, frames=25)
        disk.run("umount", "--lazy", str(mount))
        tape.record(clip, cause=None, frames=60)
        assert not tape.recorder.status.recording
        assert tape.recorder.disk.is_gone
        assert "has gone" in tape.recorder.status.fault_detail
        assert everything_under(mount) == []
        tape.recorder.run_ended("stopped")
        tape.index.close()
        disk.run("mount", "-t", "tmpfs", "tmpfs", str(mount))  # for the end of the block


def locked_tape(folder, clip, **settings):
    tape = Tape(folder, **settings)
    tape.record(clip)
    locks = Locks(folder, tape.index, tape.settings, tape.clock, lambda: 10**9)
    now = tape.clock.utc_now()
    long = timedelta(days=1)
    lock = Lock(
        "a", LockKind.EVIDENCE, now - timedelta(seconds=5), now, "c", "Kim", now, now + long
    )
    locks.add(lock)
    return tape, locks


def test_locked_segments_are_copied_to_the_second_disk_and_go_with_their_lock(
    mount, tmp_path, clip
):
    tape, locks = locked_tape(tmp_path / "gate", clip)
    copier = Copier(tape.folder, tape.index, mount)
    now = tape.clock.utc_now()
    with disk.tmpfs(mount, "size=20m"):
        while copier.step(now):
            pass
        copies = [path for path in everything_under(mount) if path.is_file()]
        assert [path.relative_to(mount / "gate") for path in copies] == [
            path.relative_to(tape.folder) for path in tape.video_files()[-3:]
        ]
        for path in copies:
            assert (
                path.read_bytes() == (tape.folder / path.relative_to(mount / "gate")).read_bytes()
            )
        locks.remove("a", "Lee")
        while copier.step(now):
            pass
        assert not [path for path in everything_under(mount) if path.is_file()]
        assert tape.rows("copies") == []
    tape.index.close()


def test_a_locked_segment_that_is_gone_holds_up_no_copy_of_the_others(mount, tmp_path, clip):
    tape, _ = locked_tape(tmp_path / "gate", clip, second_dir=str(mount))
    gone, *others = tape.video_files()[-3:]
    gone.unlink()
    copier = Copier(tape.folder, tape.index, mount)
    with disk.tmpfs(mount, "size=20m"):
        while copier.step(tape.clock.utc_now()):
            pass
        copied = [path.name for path in everything_under(mount) if path.is_file()]
        assert sorted(copied) == sorted(path.name for path in others)
    tape.index.close()


def test_without_the_second_disk_it_is_said_and_recording_goes_on(mount, tmp_path, clip):
    tape, locks = locked_tape(tmp_path / "gate", clip, second_dir=str(mount))
    upkeep = Upkeep(tape.folder, tape.index, tape.retention, locks, tape.settings, tape.clock)
    upkeep.turn()
    assert upkeep.faults == ("storage.second_disk",)
    assert everything_under(mount) == []
    tape.record(clip)
    assert sum(row["frames"] for row in tape.segments()) == 200

    with disk.tmpfs(mount, "size=60k"):  # too small for all of it
        for _ in range(20):
            tape.clock.pass_s(2.0)
            upkeep.turn()
        assert upkeep.faults == ("storage.second_disk",)
        assert len(tape.rows("copies")) < 3
    with disk.tmpfs(mount, "size=20m"):
        tape.index._db.execute("DELETE FROM copies")
        for _ in range(20):
            tape.clock.pass_s(2.0)
            upkeep.turn()
        assert upkeep.faults == ()
        assert len(tape.rows("copies")) == 3
    tape.index.close()
