"""Camera sensors on the board's ribbon, by the names the kernel gave them with their drivers."""

import re
from pathlib import Path

from hardware.interface import CsiSensor
from hardware.linux.files import read_text

# "imx219 10-0010": chip, bus and address (kernel: v4l2_i2c_subdev_set_name). Lenses and bridges are
# subdevices, too; these are the families of sensor chips with a driver.
_SENSOR = re.compile(r"((?:imx|ov|os|og|ar|gc|s5k|mt9)\w*) (\d+-[0-9a-f]{4})")


class RibbonCameras:
    """The sensors among the video subdevices of one root."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "sys/class/video4linux"

    def read(self) -> tuple[CsiSensor, ...]:
        names = (read_text(device / "name") or "" for device in self._folder.glob("v4l-subdev*"))
        found = filter(None, map(_SENSOR.fullmatch, names))
        return tuple(sorted((CsiSensor(one[1], one[2]) for one in found), key=lambda c: c.address))
