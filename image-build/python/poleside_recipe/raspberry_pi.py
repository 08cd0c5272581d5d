"""The Raspberry Pi image on QEMU's Pi 3: card, thermal zone, USB; the firmware's part is done here.

As the firmware does, it reads `autoboot.txt` from the card, takes kernel, initramfs, device tree
and `cmdline.txt` from that slot's boot partition, and says in the device tree which one it was.
What the guest says to the firmware is seen: QEMU notes the property tags it does not know (and, as
to all, sets the bit that they are answered). A restart after the tag SET_REBOOT_FLAGS starts
`autoboot.txt`'s other slot, once; only our module sends it, and only for a trial. A power cut
forgets it, as the board does.

QEMU's board has no Ethernet (a Pi 3's own hangs on USB) and one USB socket (a hub makes it crawl):
there is a stick in a boot, or else an adapter as the way to the center; none is the cameras'. Its
watchdog resets at once when it is armed, so the driver stays away, and with it the board's restart:
the kernel's last word before it, `reboot: Restarting system`, ends this boot, and the next one is a
new QEMU. There is no video processor either: the driver of its message queue brings the kernel down
now and then, and stays away, too. The shell is at the second serial port.
"""

import subprocess
from pathlib import Path

from poleside_image.boot_choice import PARTITION_OF, other_slot
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
    "module_blacklist=bcm2835_wdt,vc4,vchiq "
    "systemd.default_timeout_start_sec=900 systemd.show_status=0"
)
SPEAKING = ("poleside", "poleside-provision", "poleside-trial", "poleside-update")
_MOST_WORDS = 2048  # the kernel's own limit on arm64
_SHELL = """[Service]
ExecStart=/bin/sh -c 'stty -F /dev/ttyS1 raw -echo; exec sh 3<>/dev/ttyS1 <&3 >&3 2>&1'
Restart=always
"""


def new_card(image: Path, card: Path) -> Path:
    """Copy an image to a card."""
    run("cp", "--sparse=always", image, card)
    with card.open("r+b") as medium:
        medium.truncate(CARD_BYTES)
    return card


class RaspberryPi(Machine):
    """A Pi 3 from one start of its kernel to the next; `is_trial`: its firmware was told so."""

    def __init__(
        self,
        card: Path,
        folder: Path,
        stick: Path | None = None,
        *,
        is_trial: bool = False,
        gate_limit_s: int = 900,
    ) -> None:
        self._card, self._folder, self._is_trial = card, folder, is_trial
        super().__init__(card, folder, Hardware(stick=stick, gate_limit_s=gate_limit_s))

    def is_told_of_a_trial(self) -> bool:
        """Say whether the guest has sent the tag by which a restart is a trial."""
        heard = self._unknown
        return heard.exists() and f"unhandled tag {SET_REBOOT_FLAGS}" in heard.read_text()

    @property
    def _unknown(self) -> Path:
        return self.log.with_suffix(".unknown")

    def restarted(self, within_s: float) -> "RaspberryPi":
        """Wait for the guest's restart; return the next boot, in the slot its firmware takes.

        Raises `EmulationError` when it does not restart.
        """
        self.wait_for(RESTART, within_s)
        is_trial = self.is_told_of_a_trial()
        self.cut()
        return RaspberryPi(
            self._card,
            self._folder,
            is_trial=is_trial,
            gate_limit_s=self._hardware.gate_limit_s,
        )

    def _command(self, disk: Path) -> list[str]:
        boot = self._firmware(disk)
        words = [(boot / "cmdline.txt").read_text().strip().replace(_PINS, _CONSOLE), _WORDS]
        units = spoken_units(SPEAKING)
        units["systemd.unit-dropin.poleside-trial.service"] += GATE.format(
            self._hardware.gate_limit_s
        )
        units["systemd.extra-unit.trial-shell.service"] = _SHELL
        units["systemd.unit-dropin.multi-user.target"] = "[Unit]\nWants=trial-shell.service\n"
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
            return [*command, "-device", "usb-storage,drive=stick"]
        return [*command, "-netdev", "user,id=up", "-device", "usb-net,netdev=up"]

    def _firmware(self, card: Path) -> Path:
        """Return a folder with what this boot's slot has, and the device tree that tells which."""
        parts = {part.name: part for part in layout.partitions()}
        choice = BootSector(_copied(card, parts["bootcfg"], self._folder / "bootcfg")).read()
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


def _copied(card: Path, part: layout.Partition, target: Path) -> Path:
    with card.open("rb") as medium:
        medium.seek(part.start_bytes)
        target.write_bytes(medium.read(part.size_bytes))
    return target
