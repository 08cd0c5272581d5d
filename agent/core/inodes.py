"""A disk may have room and yet take no further file: some inodes are kept for who must open one.

SQLite makes two files beside a database when it opens it, and the box has to start on any disk. The
core keeps empty files while there are plenty of inodes; whoever opens a database takes a few of
them when there are none. With its index open a worker can prune, which makes room for all.
"""

import os
from contextlib import suppress
from pathlib import Path

FOLDER = ".reserve-inodes"
COUNT = 32
NEEDED = 4  # two beside a database, a segment, its folder
_SHARE = 16  # at most so small a part of all inodes is kept
_HELD_AGAIN_AT = 8  # times `COUNT` must be free
_DEPTH = 4  # a camera's index lies two folders below the reserve's


def hold(folder: Path) -> None:
    """Take what is missing of the reserve in `folder`, where there is plenty.

    Called every few seconds: what is there is left alone, for each touch would be a write.
    """
    with suppress(OSError):
        facts = os.statvfs(folder)
        count = min(COUNT, facts.f_files // _SHARE)
        if not count or facts.f_favail < _HELD_AGAIN_AT * count:
            return
        (folder / FOLDER).mkdir(exist_ok=True)
        held = {file.name for file in (folder / FOLDER).iterdir()}
        for name in map(str, range(count)):
            if name not in held:
                (folder / FOLDER / name).touch()


def can_open(database: Path) -> bool:
    """Return whether `database` can be opened or is open; some of the reserve may be given for it.

    A file system without a number of its own makes inodes as needed.
    """
    if database.with_name(f"{database.name}-wal").exists():
        return True
    place = next(parent for parent in database.parents if parent.exists())
    with suppress(OSError):
        facts = os.statvfs(place)
        missing = NEEDED - facts.f_favail
        return not facts.f_files or missing <= 0 or _give(database, missing)
    return True  # a disk that does not answer is told by others


def _give(database: Path, count: int) -> bool:
    for parent in database.parents[:_DEPTH]:
        held = sorted((parent / FOLDER).glob("*"))[:count]
        for file in held:
            file.unlink(missing_ok=True)
        if held:
            return len(held) == count
    return False
