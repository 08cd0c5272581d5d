"""Names inside `{data_dir}/run`: sockets and small state files that may be lost at any time."""

from pathlib import Path

from agent.settings.load import data_dir_of
from agent.settings.model import Settings

CORE_SOCKET = "core.sock"
DETECT_SOCKET = "detect.sock"
PROCESSES_FILE = "processes.json"


def run_dir(settings: Settings) -> Path:
    """Return the folder; it is made when it is not there."""
    folder = data_dir_of(settings) / "run"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
