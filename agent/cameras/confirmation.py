"""A technician's word at the command line that a camera is right as it is: a mark in the folder.

The running core takes it up. Apart, because it costs nothing to import.
"""

from pathlib import Path

from agent.core.whole_file import write_whole

FOLDER = "onvif"


def give(data_dir: Path, camera_id: str) -> None:
    """Ask the running core to take the camera as it is now: who it is, and how it is set up."""
    mark = _mark(data_dir, camera_id)
    mark.parent.mkdir(parents=True, exist_ok=True)
    write_whole(mark, b"")


def take(data_dir: Path, camera_id: str) -> bool:
    """Say whether somebody has confirmed the camera since the last look."""
    mark = _mark(data_dir, camera_id)
    if not mark.exists():
        return False
    mark.unlink(missing_ok=True)
    return True


def _mark(data_dir: Path, camera_id: str) -> Path:
    return data_dir / FOLDER / f"{camera_id}.confirmed"
