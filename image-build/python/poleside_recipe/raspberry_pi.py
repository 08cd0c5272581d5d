"""The Raspberry Pi image on QEMU's Pi 3: card, thermal zone, USB; the firmware's part is done here.

As the firmware does, it reads `autoboot.txt` from the card, takes kernel, initramfs, device tree
and `cmdline.txt` from that slot's boot partition, and says in the device tree which one it was.
What the guest says to the firmware is seen: QEMU notes the property tags it does not know (and, as
to all, sets the bit that they are answered). A restart after the tag SET_REBOOT_FLAGS starts
`autoboot.txt`'s other slot, once; only our module sends it, and only for a trial. A power cut
forgets it, as the board does.

QEMU's board has no Ethernet (a Pi 3's own hangs on USB) and one USB socket. It is taken by name, or
QEMU puts a hub before it, which makes it crawl and is not found in some boots: there is a stick in
a boot, or else an adapter as the way to the center, by one driver of the two that want it; none is
the cameras'. Its
watchdog resets at once when it is armed, so the driver stays away, and with it the board's restart:
the kernel's last word before it, `reboot: Restarting system`, ends this boot, and the next one is a
new QEMU. There is no video processor either: the driver of its message queue brings the kernel down
now and then, and stays away, too. The shell is at the second serial port, and speaks first: QEMU
takes the upper byte of a port's speed for its interrupts' switch and hears nothing more, until the
driver's first letter sets them again.
"""

import subprocess
from pathlib import Path
from typing import Self

from poleside_image.boot_choice import PARTITION_OF, BootChoice, other_slot
from poleside_image.boot_sector import BootSector

from poleside_recipe import layout
from poleside_recipe.emulator import (
    GATE,
    EmulationError,
    Hardware,
    Machine,
    packed,
    spoken_units,
)
from poleside_recipe.run import environment, run

SET_REBOOT_FLAGS = "0x00038064"
RESTART = r"reboot: Restarting system|Rebooting in \d+ seconds"
CARD_BYTES = 4 * 1024**3  # QEMU takes cards of a power of two only
TREE = "bcm2837-rpi-3-b.dtb"
_BLUETOOTH = "/soc/serial@7e201000/bluetooth"  # else it takes the port QEMU shows
_PINS, _CONSOLE = "console=ttyS1,", "console=ttyAMA0,"  # a board's serial pins are the other port
# An emulated card is slow: systemd's own minute and a half is over before the journal has started.
_WORDS = (
    "module_blacklist=bcm2835_wdt,vc4,vchiq,cdc_subset "
    "systemd.default_timeout_start_sec=900 systemd.show_status=0"
)
SPEAKING = ("poleside", "poleside-provision", "poleside-trial", "poleside-update")
_MOST_WORDS = 2048  # the kernel's own limit on arm64
_SHELL = """[Service]
Environment=PS1= PS2=
ExecStart=/bin/sh -c 'stty -F /dev/ttyS1 raw -echo; exec 3<>/dev/ttyS1 <&3 >&3 2>&1; echo; exec sh'
Restart=always
"""
_BROKEN = "[Service]\nExecStart=\nExecStart=/bin/false\n"
_GATE_LIMIT_S = 900


def new_card(image: Path, card: Path) -> Path:
    """Copy an image to a card."""
    run("cp", "--sparse=always", image, card)
    with card.open("r+b") as medium:
        medium.truncate(CARD_BYTES)
    return card


class RaspberryPi(Machine):
    """A Pi 3 from one start of its kernel to the next; `is_trial`: its firmware was told so.

    `breaks` is a unit that does not start in it.
    """

    def __init__(
        self,
        card: Path,
        folder: Path,
        stick: Path | None = None,
        *,
        is_trial: bool = False,
        breaks: str = "",
    ) -> None:
        self._folder, self._is_trial, self._breaks = folder, is_trial, breaks
        super().__init__(card, folder, Hardware(stick=stick))

    def is_told_of_a_trial(self) -> bool:
        """Say whether the guest has sent the tag by which a restart is a trial."""
        tag = f"unhandled tag {SET_REBOOT_FLAGS}"
        return self._unknown.exists() and tag in self._unknown.read_text("ascii", "replace")

    @property
    def _unknown(self) -> Path:
        return self.log.with_suffix(".unknown")

    def _command(self, disk: Path) -> list[str]:
        boot = self._firmware(disk)
        words = [(boot / "cmdline.txt").read_text().strip().replace(_PINS, _CONSOLE), _WORDS]
        units = spoken_units(SPEAKING)
        units["systemd.unit-dropin.poleside-trial.service"] += GATE.format(_GATE_LIMIT_S)
        units["systemd.extra-unit.trial-shell.service"] = _SHELL
        units["systemd.unit-dropin.multi-user.target"] = "[Unit]\nWants=trial-shell.service\n"
        if self._breaks:
            units[f"systemd.unit-dropin.{self._breaks}"] = _BROKEN
        words += [f"systemd.set_credential_binary={key}:{packed(units[key])}" for key in units]
        if len(" ".join(words)) >= _MOST_WORDS:
            raise EmulationError(f"more words than the kernel takes: {words}")
        command = ["qemu-system-aarch64", "-M", "raspi3b", "-accel", "tcg,thread=multi"]
        command += ["-display", "none", "-monitor", "none", "-serial", f"file:{self.log}"]
        command += ["-chardev", f"socket,id=c,path={self._port},server=on,wait=off"]
        command += ["-serial", "chardev:c", "-d", "unimp", "-D", f"{self._unknown}"]
        command += ["-kernel", f"{boot / 'kernel8.img'}", "-initrd", f"{boot / 'initramfs'}"]
        command += ["-dtb", f"{boot / TREE}", "-append", " ".join(words)]
        command += ["-drive", f"file={disk},if=sd,format=raw,cache=writeback"]
        if self._hardware.stick:
            command += ["-drive", f"file={self._hardware.stick},format=raw,if=none,id=stick"]
            return [*command, "-device", "usb-storage,drive=stick,port=1"]
        return [*command, "-netdev", "user,id=up", "-device", "usb-net,netdev=up,port=1"]

    def _firmware(self, card: Path) -> Path:
        """Return a folder with what this boot's slot has, and the device tree that tells which."""
        parts = {part.name: part for part in layout.partitions()}
        choice = _choice(card, self._folder)
        slot = other_slot(choice.kept) if self._is_trial else choice.kept
        files = _copied(card, parts[f"boot_{slot}"], self._folder / "boot")
        target = self._folder / f"slot-{slot}"
        target.mkdir(exist_ok=True)
        for name in ("kernel8.img", "initramfs", "cmdline.txt", TREE):
            run("mcopy", "-n", "-o", "-i", files, f"::{name}", target / name)
        tree = target / TREE
        subprocess.run(["fdtput", "-r", tree, _BLUETOOTH], check=False, env=environment())
        cells = {"partition": PARTITION_OF[slot], "tryboot": int(self._is_trial)}
        for name, value in cells.items():
            run("fdtput", "-p", "-t", "u", tree, "/chosen/bootloader", name, value)
        return target


class Board:
    """A Pi 3 with its power on: `box` is what runs on it now, the next one after a restart.

    `with` ends it as a power cut does, over which a trial is forgotten.
    """

    def __init__(self, card: Path, folder: Path) -> None:
        self._card, self._folder = card, folder
        self.box = RaspberryPi(card, folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.box.cut()

    def restarted(self, within_s: float, breaks: str = "") -> bool:
        """Wait for the guest's restart and start what its firmware does; say if that is a trial.

        Raises `EmulationError` when it does not restart.
        """
        self.box.wait_for(RESTART, within_s)
        is_trial = self.box.is_told_of_a_trial()
        self.box.cut()
        self.box = RaspberryPi(self._card, self._folder, is_trial=is_trial, breaks=breaks)
        return is_trial

    def kept(self) -> str:
        """Return the slot that the card keeps."""
        return _choice(self._card, self._folder).kept


def _choice(card: Path, folder: Path) -> BootChoice:
    part = layout.partitions()[0]
    return BootSector(_copied(card, part, folder / "bootcfg")).read()


def _copied(card: Path, part: layout.Partition, target: Path) -> Path:
    with card.open("rb") as medium:
        medium.seek(part.start_bytes)
        target.write_bytes(medium.read(part.size_bytes))
    return target
