"""Raspberry Pi: under-voltage and throttling, from the firmware or from the voltage sensor."""

from dataclasses import replace
from pathlib import Path

from hardware.boards import generic_linux
from hardware.interface import Board, BoardKind, PowerState
from hardware.linux import hwmon
from hardware.linux.files import read_int

# A file of the firmware's own device: Raspberry Pi's kernel has it, and Debian's with the module in
# image-build/kernel. The device is named after its node of the device tree (`soc:firmware`,
# `soc@107c000000:firmware`, `firmware:rpi-firmware`), so its driver leads there.
_THROTTLED = (
    "sys/bus/platform/drivers/raspberrypi-firmware/*/get_throttled",
    "sys/devices/platform/soc*/soc*:firmware/get_throttled",
)

# Bits of the firmware's answer (mailbox tag 0x00030046): 0..3 now, 16..19 at some time since boot.
_UNDER_VOLTAGE, _FREQUENCY_CAPPED, _THROTTLING, _SOFT_LIMIT = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_BEFORE_SHIFT = 16
_ALL = 0xF000F  # whatever else is set: not the firmware's answer


def build(root: Path) -> Board:
    """Return the Pi under `root`."""
    board = generic_linux.build(root)
    identity = replace(board.identity, kind=BoardKind.RASPBERRY_PI)
    return replace(board, identity=identity, power=PiPower(root))


class PiPower:
    """The supply as the firmware sees it; else what the voltage sensor alone can tell."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self) -> PowerState:
        for file in (file for pattern in _THROTTLED for file in self._root.glob(pattern)):
            bits = read_int(file, base=16)
            if bits is not None and not bits & ~_ALL:
                return _from_bits(bits)
        for chip in hwmon.chips(self._root, "rpi_volt"):
            alarm = read_int(chip / "in0_lcrit_alarm")
            if alarm is not None:
                return PowerState(under_voltage=alarm != 0, source="hwmon rpi_volt")
        return PowerState()


def _from_bits(bits: int) -> PowerState:
    before = bits >> _BEFORE_SHIFT
    return PowerState(
        under_voltage=bool(bits & _UNDER_VOLTAGE),
        under_voltage_before=bool(before & _UNDER_VOLTAGE),
        throttled=bool(bits & _THROTTLING),
        throttled_before=bool(before & _THROTTLING),
        frequency_capped=bool(bits & _FREQUENCY_CAPPED),
        soft_limited=bool(bits & _SOFT_LIMIT),
        source="firmware get_throttled",
    )
