"""From a TOML file, and the center's desired changes, to one validated `Settings`.

The file is the technician's, and never written by the box. Over it lies `local.json` in the data
folder, what a technician set at the box's page; over both `desired.json`, the center's: RFC 7396
merge patches. A bad file is told with a plain message that names the path (a start leaves out what
is wrong: `agent.settings.bootstrap`); a bad patch is refused alone and the box goes on with what it
had.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from agent.core.errors import SettingsError
from agent.core.whole_file import write_whole
from agent.settings.model import Settings

DESIRED_FILE = "desired.json"
SIGNED_FILE = "desired.jws"  # the center's own signed word, for what counts only with it
LOCAL_FILE = "local.json"

# A desired change may not move the data, the identity or the trust of a box.
NOT_DESIRABLE = ("site", "box", "data_dir", "broker", "center", "page", "board")

_STREAM_SCHEMES = ("rtsp", "rtsps")
_BROKER_SCHEMES = ("mqtt", "mqtts")


def read_file(path: Path) -> dict[str, Any]:
    """Return the raw table of a TOML file. Raises `SettingsError` with line and column."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError as error:
        raise SettingsError(
            "settings.no_file",
            f"There is no settings file at {path}.",
            hint="Give the right path with --config, or --camera and --broker for a first try.",
        ) from error
    except OSError as error:
        raise SettingsError(
            "settings.unreadable",
            f"The settings file {path} can't be read: {error.strerror}.",
            hint="Give the agent's user the right to read it; it must be a file.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            "settings.syntax",
            f"{path.name} is not valid TOML: {error}.",
            hint="Correct that line; `poleside run --example` prints a complete file.",
        ) from error


def validate(table: dict[str, Any]) -> Settings:
    """Turn a raw table into `Settings`. Raises `SettingsError` whose message names the path."""
    try:
        settings = msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(
            "settings.invalid", _in_words(str(error)), hint=_hint_for(str(error), table)
        ) from error
    _check_addresses(settings)
    return settings


@dataclass(frozen=True, slots=True)
class Layers:
    """What lies over the technician's file: set at the page, and wanted by the center."""

    local: dict[str, Any]
    desired: dict[str, Any]

    def merged(self, table: dict[str, Any]) -> dict[str, Any]:
        """Return all three as one raw table."""
        merged: dict[str, Any] = merge_patch(with_local(table, self.local), self.desired)
        return merged

    def over(self, table: dict[str, Any]) -> Settings:
        """Return the whole, validated. Raises `SettingsError`."""
        return with_desired(with_local(table, self.local), self.desired)


def with_local(table: dict[str, Any], local: dict[str, Any]) -> dict[str, Any]:
    """Lay what was set at the page over the file's raw `table`."""
    merged: dict[str, Any] = merge_patch(table, local)
    return merged


def with_desired(table: dict[str, Any], desired: dict[str, Any]) -> Settings:
    """Lay a desired patch over the raw `table` and validate the whole."""
    refuse_audio(table)
    return validate(merge_patch(table, desired)) if desired else validate(table)


def merge_patch(target: Any, patch: Any, *, keeps_nulls: bool = False) -> Any:
    """Apply an RFC 7396 merge patch; a list of cameras is patched by `camera_id`, not replaced.

    `keeps_nulls`: `target` is itself a patch, and what `patch` removes it removes from below, too.
    """
    if isinstance(patch, list) and _are_cameras(patch):
        return _patch_cameras(target if isinstance(target, list) else [], patch, keeps_nulls)
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None and not keeps_nulls:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value, keeps_nulls=keeps_nulls)
    return merged


def data_dir_of(settings: Settings) -> Path:
    """Return the data folder as a path."""
    return Path(settings.data_dir)


def read_local(data_dir: Path) -> dict[str, Any]:
    """Return what was set at the page; empty when nothing was or it can't be read."""
    return _read_patch(data_dir / LOCAL_FILE)


def read_desired(data_dir: Path) -> dict[str, Any]:
    """Return the stored desired patch; empty when there is none or it can't be read."""
    return _read_patch(data_dir / DESIRED_FILE)


def _read_patch(path: Path) -> dict[str, Any]:
    try:
        patch = msgspec.json.decode(path.read_bytes())
    except PermissionError as error:
        raise SettingsError(
            "settings.unreadable",
            f"{path} can't be read: {error.strerror}.",
            hint="Run as the agent's user.",
        ) from error
    except (OSError, msgspec.DecodeError):  # none is there, or the disk has lost it
        return {}
    return patch if isinstance(patch, dict) else {}


def write_local(data_dir: Path, patch: dict[str, Any]) -> None:
    """Store what was set at the page, old or new at a power cut; it holds cameras' passwords."""
    content = msgspec.json.format(msgspec.json.encode(patch))
    write_whole(data_dir / LOCAL_FILE, content, 0o600)


def write_desired(data_dir: Path, patch: dict[str, Any]) -> None:
    """Store the desired patch, old or new at a power cut; it may hold cameras' passwords."""
    content = msgspec.json.format(msgspec.json.encode(patch))
    write_whole(data_dir / DESIRED_FILE, content, 0o600)


def refuse_undesirable(patch: dict[str, Any]) -> None:
    """Raise `SettingsError` when a desired patch touches what only a technician may change."""
    for key in patch:
        if key in NOT_DESIRABLE:
            raise SettingsError(
                "settings.not_remote",
                f"`{key}` can't be changed by the center.",
                hint="Change it in the settings file at the box.",
            )


def refuse_audio(table: dict[str, Any]) -> None:
    """Raise `SettingsError` when `table` would have sound recorded: only the center may, signed."""
    cameras = table.get("cameras")
    for number, camera in enumerate(cameras if isinstance(cameras, list) else ()):
        if isinstance(camera, dict) and camera.get("record_audio"):
            raise SettingsError(
                "settings.only_signed",
                f"Sound can't be switched on here, at `$.cameras[{number}].record_audio`.",
                hint="The center orders it in its signed configuration, with `audio_reason`.",
            )


def _are_cameras(items: list[Any]) -> bool:
    return bool(items) and all(
        isinstance(item, dict) and isinstance(item.get("camera_id"), str) for item in items
    )


def _patch_cameras(target: list[Any], patch: list[Any], keeps_nulls: bool) -> list[Any]:
    known: dict[str, Any] = {}
    for item in (*(item for item in target if _are_cameras([item])), *patch):
        before = known.get(item["camera_id"])
        known[item["camera_id"]] = merge_patch(before, item, keeps_nulls=keeps_nulls)
    return list(known.values())


def _check_addresses(settings: Settings) -> None:
    for index, url in enumerate(settings.broker.urls):
        _check_url(url, _BROKER_SCHEMES, f"$.broker.urls[{index}]")
    for index, camera in enumerate(settings.cameras):
        for name, schemes in (
            ("main_url", _STREAM_SCHEMES),
            ("sub_url", _STREAM_SCHEMES),
            ("onvif_url", ("http", "https")),
        ):
            if url := getattr(camera, name):
                _check_url(url, schemes, f"$.cameras[{index}].{name}")


def _check_url(url: str, schemes: tuple[str, ...], path: str) -> None:
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 literal
        is_good = False
    if not is_good:
        raise SettingsError(
            "settings.address",
            f"The address at `{path}` is not one that can be used here.",
            hint=f"It must look like {schemes[0]}://host:port/…; allowed: {', '.join(schemes)}.",
        )


def _in_words(text: str) -> str:
    return text if " - at `$" in text else f"{text} - at `$`"


def _hint_for(text: str, table: dict[str, Any]) -> str:
    unknown = re.search(r"unknown field `(?P<name>[^`]+)`", text)
    if unknown and unknown["name"] in table:
        return f"Remove `{unknown['name']}` or correct its spelling."
    if unknown:
        return f"Remove or correct `{unknown['name']}` at that path."
    return "Correct the value at that path; `poleside run --example` prints a complete file."
