"""Where sockets and small state files are that may be lost at any time: in memory, off the disk.

A frozen disk must not hold up the supervisor. `{data_dir}/run` is a link to the folder, for the
command line and for people; it is the folder itself where no memory file system can be had.
"""

import hashlib
import os
import shutil
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path

from agent.core import log
from agent.core.clock import SystemClock
from agent.core.errors import StorageError
from agent.core.lock import FileLock
from agent.settings.load import data_dir_of
from agent.settings.model import Settings

CORE_SOCKET = "core.sock"
CORE_LOCK = "core.lock"
DETECT_SOCKET = "detect.sock"
PROCESSES_FILE = "processes.json"
LINK = "run"
STAGED = "staged"
WITHOUT_DISK = "without-disk"
TIME_PROOF = "time-proven"  # with the boot's id: the time was synchronised once in that boot


def run_dir(settings: Settings) -> Path:
    """Return the folder; it is made when it is not there. The same in all processes of a box."""
    data_dir = data_dir_of(settings).resolve()
    if data_dir.name == WITHOUT_DISK:  # the core works in there while the disk is away
        return data_dir.parent
    return _made(data_dir)


def image_root(settings: Settings) -> Path:
    """Return where the image's own files lie: /; of a simulated board, in its own folder."""
    is_simulated = settings.board.kind == "simulated"
    return data_dir_of(settings) / "network" if is_simulated else Path("/")


def image_run(settings: Settings) -> Path:
    """Return where the image's services tell."""
    return image_root(settings) / "run"


def forget_run_dir(settings: Settings) -> None:
    """Remove what is left in memory of a box that has ended in order, and is not there twice.

    The proof of the time stays as long as the boot: the next start has nothing else to believe.
    """
    folder = run_dir(settings)
    if folder.name == LINK or any((folder / STAGED).rglob("*.mp4")):
        return  # what waits in memory for an event is still there at the next start
    with suppress(StorageError, OSError), FileLock(folder / CORE_LOCK, SystemClock(), patience_s=0):
        for left in folder.iterdir():
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            elif not left.name.startswith(TIME_PROOF):
                left.unlink()
        with suppress(OSError):  # the proof is in there
            folder.rmdir()
        _made.cache_clear()


@cache
def _made(data_dir: Path) -> Path:
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]  # several boxes, one machine
    for base in _bases():
        folder = base / name
        try:
            base.mkdir(mode=0o700, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            continue
        if _is_ours(base) and _is_ours(folder) and os.access(folder, os.W_OK | os.X_OK):
            _link(data_dir / LINK, folder)
            return folder
    folder = data_dir / LINK
    if folder.is_symlink():
        folder.unlink()
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _bases() -> list[Path]:
    """Systemd's `RuntimeDirectory=`, the user's own, else shared memory."""
    told = os.environ.get("RUNTIME_DIRECTORY", "/run/poleside").split(":")[0]
    found = [Path(told)] if Path(told).is_dir() else []
    if session := os.environ.get("XDG_RUNTIME_DIR"):
        found.append(Path(session) / "poleside")
    return [*found, Path(f"/dev/shm/poleside-{os.getuid()}")]  # noqa: S108 - checked to be ours


def _is_ours(folder: Path) -> bool:
    """Whether nobody else could have put it there."""
    facts = folder.lstat()
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o022


def _link(link: Path, folder: Path) -> None:
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink() and link.readlink() == folder:
            return
        if link.is_dir() and not link.is_symlink():
            shutil.rmtree(link)  # an earlier version's
        scratch = link.with_name(f".{LINK}-{os.getpid()}")
        with suppress(FileNotFoundError):
            scratch.unlink()
        scratch.symlink_to(folder)
        scratch.replace(link)
    except OSError as error:  # the disk refuses: the box runs all the same
        log.get("run-dir").warning("not linked", link=str(link), detail=str(error))
