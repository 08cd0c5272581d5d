"""A box's sockets lie in memory, apart from those of others, and its data shows where."""

import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from agent.app.run_dir import CORE_LOCK, _made, forget_run_dir, run_dir
from agent.core.clock import SystemClock
from agent.core.lock import FileLock
from agent.settings.model import Settings


@pytest.fixture(autouse=True)
def session_dir(tmp_path, monkeypatch):
    """Return the folder that a session would have in memory."""
    folder = Path(tempfile.mkdtemp(prefix="s-"))  # short: a socket's path has 107 bytes
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "none"))
    _made.cache_clear()
    yield folder
    _made.cache_clear()
    shutil.rmtree(folder)


def box(folder):
    return Settings(data_dir=str(folder))


def test_it_is_off_the_disk_and_the_data_folder_shows_the_way(tmp_path, session_dir):
    folder = run_dir(box(tmp_path / "box"))
    assert folder.is_relative_to(session_dir)
    assert folder.stat().st_mode & 0o077 == 0
    assert (tmp_path / "box" / "run").resolve() == folder
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(folder / "core.sock"))
    assert (tmp_path / "box" / "run" / "core.sock").is_socket()


def test_two_boxes_on_one_machine_have_one_each_and_find_it_again(tmp_path):
    one, other = run_dir(box(tmp_path / "one")), run_dir(box(tmp_path / "other"))
    assert one != other
    _made.cache_clear()
    assert run_dir(box(tmp_path / "one")) == one


def test_the_folder_of_an_earlier_version_gives_way(tmp_path):
    (tmp_path / "box" / "run").mkdir(parents=True)
    (tmp_path / "box" / "run" / "old.sock").touch()
    folder = run_dir(box(tmp_path / "box"))
    assert (tmp_path / "box" / "run").readlink() == folder
    assert list(folder.iterdir()) == []


def test_a_place_that_others_can_write_to_is_not_used(tmp_path, session_dir):
    place = session_dir / "poleside"
    place.mkdir()
    place.chmod(0o777)
    assert not run_dir(box(tmp_path / "box")).is_relative_to(place)
    forget_run_dir(box(tmp_path / "box"))


def test_a_box_that_ended_leaves_nothing_unless_another_lives_there(tmp_path):
    settings = box(tmp_path / "box")
    folder = run_dir(settings)
    with FileLock(folder / CORE_LOCK, SystemClock()):
        forget_run_dir(settings)
        assert folder.is_dir()
    forget_run_dir(settings)
    assert not folder.exists()
    assert run_dir(settings) == folder
    assert folder.is_dir()
