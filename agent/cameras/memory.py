"""What is kept of a camera from one run of the agent to the next: one small file a camera.

Who it is (so that it is known again at another address), the subscription it may still hold for us,
and how it was set up. Written by the core only; no secret is in it.
"""

from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.cameras.confirmation import FOLDER
from agent.cameras.door import Way
from agent.cameras.identity import Identity
from agent.cameras.pull_point import Reference
from agent.core.whole_file import write_whole


class CameraMemory(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`identity` is of the camera the place was calibrated with, `url` where it was found last.

    `given` is the settings' address at that time. `exchanged_at`: when a technician said that
    another camera, the `successor`, hangs in its place, and the calibration came in doubt; until
    he confirms that, too. `has_ptz`: its head may have been left moving. `login_by`: how it was
    logged in to.

    `settings` is the picture of its settings that a technician left (`agent.cameras.care`).
    """

    identity: Identity | None = None
    url: str = ""
    given: str = ""
    has_ptz: bool = False
    login_by: Way = ""
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


def _file(data_dir: Path, camera_id: str) -> Path:
    return data_dir / FOLDER / f"{camera_id}.json"
