"""What is kept of a camera from one run of the agent to the next: one small file a camera.

Who it is (so that it is known again at another address), the subscription it may still hold for us,
and how it was set up. Written by the core only; no secret is in it.
"""

from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.cameras.identity import Identity
from agent.cameras.pull_point import Reference
from agent.core.whole_file import write_whole

FOLDER = "onvif"


class CameraMemory(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`identity` is of the camera the place was calibrated with, `url` where it was found last.

    `given` is the settings' address at that time. `exchanged_at`: when another camera was found in
    its place, the `successor`, and the calibration came in doubt; until somebody confirms it, the
    camera may still turn up elsewhere. `has_ptz`: its head may have been left moving.

    `settings` is the picture of its settings that a technician left (`agent.cameras.care`).
    """

    identity: Identity | None = None
    url: str = ""
    given: str = ""
    has_ptz: bool = False
    subscription: Reference | None = None
    successor: Identity | None = None
    exchanged_at: datetime | None = None
    settings: dict[str, str] = {}


def load(data_dir: Path, camera_id: str) -> CameraMemory:
    """Return what is kept; a new one when there is nothing, or nothing that can be read."""
    try:
        return msgspec.json.decode(_file(data_dir, camera_id).read_bytes(), type=CameraMemory)
    except (OSError, msgspec.MsgspecError):
        return CameraMemory()


def save(data_dir: Path, camera_id: str, memory: CameraMemory) -> None:
    """Keep it. Raises `OSError`."""
    file = _file(data_dir, camera_id)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, msgspec.json.encode(memory), 0o600)


def confirm(data_dir: Path, camera_id: str) -> None:
    """Ask the running core to take the camera as it is now: who it is, and how it is set up."""
    mark = _mark(data_dir, camera_id)
    mark.parent.mkdir(parents=True, exist_ok=True)
    write_whole(mark, b"")


def take_confirmation(data_dir: Path, camera_id: str) -> bool:
    """Say whether somebody has confirmed the camera since the last look."""
    mark = _mark(data_dir, camera_id)
    if not mark.exists():
        return False
    mark.unlink(missing_ok=True)
    return True


def _mark(data_dir: Path, camera_id: str) -> Path:
    return data_dir / FOLDER / f"{camera_id}.confirmed"


def _file(data_dir: Path, camera_id: str) -> Path:
    return data_dir / FOLDER / f"{camera_id}.json"
