"""The settings that were in effect, one file a version, to compare and to go back to.

In `keys/settings/`, since passwords stand in them. Written by the core; read by `poleside config`
and by a box that takes over this disk (`agent.enrol.taking_over`).
"""

from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from agent.contract.events import UtcTime
from agent.core.errors import SettingsError
from agent.core.whole_file import write_whole
from agent.settings.changes import changes
from agent.settings.load import NOT_DESIRABLE, with_desired, with_local
from agent.settings.model import Settings

_KEPT: Final = 50
_GOOD: Final = "good"


class Version(Struct, frozen=True, kw_only=True):
    """What was in effect from `at` on. `why`: start, change, or taken back; `by`: on whose word."""

    number: int
    at: UtcTime
    by: str
    why: str
    table: dict[str, Any]  # the technician's file
    local: dict[str, Any]  # what was set at the page
    desired: dict[str, Any]  # what the center wants

    def settings(self) -> Settings:
        """Return the whole. Raises `SettingsError`: this program no longer takes it."""
        return with_desired(with_local(self.table, self.local), self.desired)

    def is_like(self, other: "Version") -> bool:
        """Say whether both are the same settings."""
        parts = ("table", "local", "desired")
        return all(getattr(self, part) == getattr(other, part) for part in parts)


def folder_of(data_dir: Path) -> Path:
    """Return where the versions lie."""
    return data_dir / "keys" / "settings"


def add(data_dir: Path, version: Version) -> Version | None:
    """Keep a version under the next number; None when it is the last one again. Raises `OSError`.

    The oldest go beyond fifty, but never the last good one.
    """
    folder = folder_of(data_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    numbers = _numbers(folder)
    last = _read(folder, numbers[-1]) if numbers else None
    if last is not None and last.is_like(version):
        return None
    version = msgspec.structs.replace(version, number=numbers[-1] + 1 if numbers else 1)
    write_whole(_file(folder, version.number), msgspec.json.encode(version), 0o600)
    good = last_good(data_dir)
    for number in numbers[: max(0, len(numbers) + 1 - _KEPT)]:
        if number != good:
            _file(folder, number).unlink(missing_ok=True)
    return version


def versions(data_dir: Path) -> list[Version]:
    """Return what is kept, oldest first. Raises `SettingsError` when it may not be read."""
    folder = folder_of(data_dir)
    try:
        found = [_read(folder, number) for number in _numbers(folder)]
    except OSError as error:
        raise SettingsError(
            "settings.no_history",
            f"The history in {folder} can't be read: {error.strerror}.",
            hint="Run as the agent's user, and give the right --data-dir.",
        ) from error
    return [version for version in found if version is not None]


def version_of(data_dir: Path, number: int) -> Version:
    """Return one version. Raises `SettingsError` settings.no_version."""
    for version in versions(data_dir):
        if version.number == number:
            return version
    raise SettingsError(
        "settings.no_version",
        f"There is no version {number} of the settings here.",
        hint="`poleside config history` lists them.",
    )


def mark_good(data_dir: Path) -> None:
    """The newest version has proved itself on trial. Raises `OSError`."""
    folder = folder_of(data_dir)
    if numbers := _numbers(folder):
        write_whole(folder / _GOOD, str(numbers[-1]).encode(), 0o600)


def last_good(data_dir: Path) -> int | None:
    """Return the number of the last version that proved itself."""
    with suppress(OSError, ValueError):
        return int((folder_of(data_dir) / _GOOD).read_text("ascii"))
    return None


def back_to(version: Version, local: dict[str, Any]) -> dict[str, Any]:
    """Return what was set at the page in `version`; `local` is what is set now.

    Whose box it is and its way to the center stay: an enrolment or a swap is no setting, and a way
    is changed only where somebody confirms it.
    """
    then = {name: value for name, value in version.local.items() if name not in NOT_DESIRABLE}
    return then | {name: value for name, value in local.items() if name in NOT_DESIRABLE}


def between(old: Version, new: Version) -> str:
    """Return what differs, value by value, secrets hidden. Raises `SettingsError`."""
    return changes(old.settings(), new.settings())


def _numbers(folder: Path) -> list[int]:
    names = [path.stem for path in folder.glob("*.json")] if folder.is_dir() else []
    return sorted(int(name) for name in names if name.isdigit())


def _read(folder: Path, number: int) -> Version | None:
    with suppress(msgspec.MsgspecError, FileNotFoundError):
        return msgspec.json.decode(_file(folder, number).read_bytes(), type=Version)
    return None


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:06}.json"
