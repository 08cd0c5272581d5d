"""One picture now and then, kept long after the ring has turned: how the place looked for months.

Pictures lie in the camera's `timelapse/` folder as JPEG files named by their UTC time. While the
time is not proven the name tells boot and monotonic time as well, by which it is dated anew.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.core.whole_file import write_whole

FOLDER = "timelapse"
_TIME = "%Y%m%dT%H%M%SZ"
_UNPROVEN = re.compile(r"([0-9TZ]+)~([0-9a-f]+)-(\d+)\.jpg")
_BEGIN, _END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_BOOT_DIGITS = 12
_THINNED_TO = 7 / 8
_FEWEST = 3


@dataclass(frozen=True, slots=True)
class Still:
    """One kept picture."""

    path: Path
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Unproven:
    """What a picture is dated anew by: the boot, and the monotonic time within it."""

    boot_id: str
    mono_s: float


@dataclass(frozen=True, slots=True)
class Gone:
    """Pictures that were deleted."""

    count: int
    size_bytes: int
    since: datetime
    until: datetime


def keep(
    camera_folder: Path, jpeg: bytes, taken_at: datetime, unproven: Unproven | None = None
) -> Path:
    """Store one picture; a power cut leaves it whole or not at all. Raises `OSError`."""
    path = _path_of(camera_folder, taken_at, unproven)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, jpeg, 0o640)  # as video
    return path


def stills(
    camera_folder: Path, since: datetime = _BEGIN, until: datetime = _END
) -> Iterator[Still]:
    """Yield the pictures taken in [since, until), oldest first."""
    for path in sorted((camera_folder / FOLDER).glob("*/*.jpg")):
        with suppress(ValueError):  # a file somebody else put there
            name = path.stem.partition("~")[0]
            taken_at = datetime.strptime(name, _TIME).replace(tzinfo=UTC)
            if since <= taken_at < until:
                yield Still(path, taken_at)


def last_proven(camera_folder: Path) -> datetime | None:
    """Return when the newest picture of a proven time was taken."""
    times = (one.taken_at for one in stills(camera_folder) if "~" not in one.path.name)
    return max(times, default=None)


def redate(camera_folder: Path, boot_id: str, utc: Callable[[float], datetime]) -> int:
    """Date the pictures of this boot by the time that is proven now; return how many."""
    dated = 0
    for still in list(stills(camera_folder)):
        known = _UNPROVEN.fullmatch(still.path.name)
        if known is not None and known[2] == _short(boot_id):
            path = _path_of(camera_folder, utc(float(known[3])), None)
            path.parent.mkdir(parents=True, exist_ok=True)
            still.path.replace(path)
            dated += 1
    _remove_empty_folders(camera_folder)
    return dated


def size_of(camera_folder: Path) -> tuple[int, int]:
    """Return how many pictures there are, and their bytes."""
    sizes = [size for _, size in _sized(camera_folder)]
    return len(sizes), sum(sizes)


def forget_older(camera_folder: Path, horizon: datetime) -> Gone | None:
    """Delete the pictures taken before `horizon`; return what went."""
    return _delete(camera_folder, [*stills(camera_folder, until=horizon)])


def thin(camera_folder: Path, most_bytes: int) -> Gone | None:
    """Where there is more, delete every second picture of the oldest quarter, and so on.

    What is old shows the place ever more rarely, and its first picture stays.
    """
    found = list(_sized(camera_folder))
    size_bytes = sum(size for _, size in found)
    doomed: list[Still] = []
    if size_bytes <= most_bytes:
        return None
    while size_bytes > most_bytes * _THINNED_TO and len(found) >= _FEWEST:
        quarter = max(_FEWEST, len(found) // 4)
        for still, size in found[1:quarter:2]:
            doomed.append(still)
            size_bytes -= size
        found = found[:quarter:2] + found[quarter:]
    return _delete(camera_folder, doomed)


def _sized(camera_folder: Path) -> Iterator[tuple[Still, int]]:
    for still in stills(camera_folder):
        with suppress(FileNotFoundError):  # its worker deletes, too
            yield still, still.path.stat().st_size


def _delete(camera_folder: Path, doomed: Iterable[Still]) -> Gone | None:
    count = size_bytes = 0
    times = []
    for still in doomed:
        with suppress(FileNotFoundError):
            size_bytes += still.path.stat().st_size
            still.path.unlink()
            count += 1
            times.append(still.taken_at)
    _remove_empty_folders(camera_folder)
    return Gone(count, size_bytes, min(times), max(times)) if count else None


def _remove_empty_folders(camera_folder: Path) -> None:
    for month in (camera_folder / FOLDER).glob("*/"):
        with suppress(OSError):  # not empty
            month.rmdir()


def _path_of(camera_folder: Path, taken_at: datetime, unproven: Unproven | None) -> Path:
    name = taken_at.astimezone(UTC).strftime(_TIME)
    if unproven is not None:
        name += f"~{_short(unproven.boot_id)}-{round(unproven.mono_s)}"
    return camera_folder / FOLDER / f"{taken_at:%Y-%m}" / f"{name}.jpg"


def _short(boot_id: str) -> str:
    return boot_id.replace("-", "")[:_BOOT_DIGITS]
