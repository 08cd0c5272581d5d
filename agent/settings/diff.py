"""What a change of settings restarts: derived from the types, never written by hand."""

from dataclasses import dataclass

import msgspec

from agent.settings.model import CameraSettings, Settings

# Fields of a camera that its worker takes over while its streams go on.
LIVE_CAMERA_FIELDS = frozenset(
    {
        *("name", "rules", "calibration", "detect", "detect_fps", "thresholds", "priority"),
        *("close_look", "power_output", "ptz", "stand", "masks"),
    }
)


@dataclass(frozen=True, slots=True)
class SettingsDiff:
    """Names of the changed top-level sections, and what happens to each camera."""

    sections: frozenset[str]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    retuned: tuple[str, ...] = ()


def diff(old: Settings, new: Settings) -> SettingsDiff:
    """Compare two settings field by field."""
    sections = frozenset(
        field.name
        for field in msgspec.structs.fields(Settings)
        if getattr(old, field.name) != getattr(new, field.name)
    )
    before = {camera.camera_id: camera for camera in old.cameras}
    after = {camera.camera_id: camera for camera in new.cameras}
    changed = {
        camera_id: _changed_fields(before[camera_id], after[camera_id])
        for camera_id in before.keys() & after.keys()
        if before[camera_id] != after[camera_id]
    }
    return SettingsDiff(
        sections=sections,
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        restarted=tuple(sorted(c for c, names in changed.items() if names - LIVE_CAMERA_FIELDS)),
        retuned=tuple(sorted(c for c, names in changed.items() if names <= LIVE_CAMERA_FIELDS)),
    )


def _changed_fields(old: CameraSettings, new: CameraSettings) -> frozenset[str]:
    return frozenset(
        field.name
        for field in msgspec.structs.fields(CameraSettings)
        if getattr(old, field.name) != getattr(new, field.name)
    )
