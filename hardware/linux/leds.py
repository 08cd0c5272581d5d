"""Lamps of /sys/class/leds: a Raspberry Pi's green one, or one that the device tree calls status.

The kernel's names: Documentation/leds/leds-class.rst, "colour:function". A GPIO that carries a lamp
is one of these, too, once the device tree says so (`gpio-leds`).
"""

from contextlib import suppress
from pathlib import Path

from hardware.lamp import LampError
from hardware.linux.files import read_text

# Best first: ours by name, by function, a Pi's green one (its red one tells of the supply).
_NAMES = ("poleside", "*:status", "ACT", "led0")


class SysfsLamp:
    """The first of the lamps that may be written; only root and whom udev's rule names may."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "sys/class/leds"

    def open(self) -> "_Taken | None":
        for name in _NAMES:
            for led in sorted(self._folder.glob(name)):
                if (led / "brightness").exists():
                    return _Taken(led)
        return None


class _Taken:
    def __init__(self, led: Path) -> None:
        self._led = led
        self._bright = read_text(led / "max_brightness") or "1"
        words = (read_text(led / "trigger") or "").split()
        self._before = next((word.strip("[]") for word in words if word.startswith("[")), "")
        self._write("trigger", "none")

    def set(self, on: bool) -> None:
        self._write("brightness", self._bright if on else "0")

    def close(self) -> None:
        with suppress(LampError):
            self._write("trigger", self._before or "none")

    def _write(self, name: str, text: str) -> None:
        try:
            (self._led / name).write_text(text)
        except OSError as error:
            raise LampError(f"The lamp `{self._led.name}` can't be set: {error}.") from error
