"""Whether a camera's sound may be recorded: only on the center's own signed word.

The settings alone are not enough, for whoever holds the disk can write them: the signed document
they came with is kept beside them and is checked again at each start of a worker.
"""

from pathlib import Path

from agent.core import log
from agent.core.clock import Clock
from agent.core.errors import CommandError
from agent.settings.load import SIGNED_FILE, data_dir_of
from agent.settings.model import CameraSettings, Settings


def may_record_audio(settings: Settings, camera: CameraSettings, clock: Clock) -> bool:
    """Say whether the center has ordered, with a reason, that this camera's sound be recorded."""
    if not camera.record_audio:
        return False
    from agent.commands.signature import Signatures  # noqa: PLC0415 - few cameras ever need it

    keys_file = Path(settings.center.keys_file) if settings.center.keys_file else None
    try:
        token = (data_dir_of(settings) / SIGNED_FILE).read_bytes()
        desired = Signatures(keys_file, settings.box, clock).verify_config(token)
    except (OSError, CommandError) as error:
        log.get("camera").warning("sound not recorded", camera=camera.camera_id, why=str(error))
        return False
    cameras = desired.settings.get("cameras", ())
    return any(
        isinstance(wanted, dict)
        and wanted.get("camera_id") == camera.camera_id
        and wanted.get("record_audio") is True
        and bool(wanted.get("audio_reason"))
        for wanted in (cameras if isinstance(cameras, list) else ())
    )
