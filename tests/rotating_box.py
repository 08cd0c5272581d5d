"""A process that gives a camera another password again and again, until it is killed.

Arguments: the camera's ONVIF address, the data folder, user and password as in the settings.
"""

import sys
from pathlib import Path

from agent.cameras.line import OnvifLine
from agent.cameras.port import Login
from agent.cameras.rotation import rotate
from agent.core.clock import SystemClock
from agent.settings.camera_secret import PasswordFile
from agent.settings.model import CameraSettings


def main(url: str, folder: str, username: str, password: str, times: int) -> None:
    camera = CameraSettings(camera_id="gate", onvif_url=url, username=username, password=password)
    kept, clock = PasswordFile(Path(folder), camera), SystemClock()
    line = OnvifLine(url, Login(username, kept.password), clock)
    for _ in range(times):
        rotate(line, kept, clock)
        sys.stdout.write("rotated\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:5], times=int(sys.argv[5]))
