"""The Raspberry Pi image on QEMU's Pi 3: card, thermal zone, USB; the firmware's part is done here.

As the firmware does, it reads `autoboot.txt` from the card, takes kernel, initramfs, device tree
and `cmdline.txt` from that slot's boot partition, and says in the device tree which one it was.
QEMU's board has no Ethernet (a Pi 3's own hangs on USB) and one USB socket (a hub makes it crawl):
there is a stick in a boot, or else an adapter as the way to the center; none is the cameras'. Its
watchdog resets at once when it is armed, so the driver stays away, and with it the board's restart:
a trial is said to the next boot by who starts it. There is no video processor either: the driver of
its message queue brings the kernel down now and then, and stays away, too.
"""

import subprocess
from pathlib import Path

from poleside_image.boot_choice import PARTITION_OF, other_slot
from poleside_image.boot_sector import BootSector

from poleside_recipe import layout
from poleside_recipe.emulator import EmulationError, Hardware, Machine, packed, spoken_units
from poleside_recipe.run import environment, run

CARD_BYTES = 4 * 1024**3  # QEMU takes cards of a power of two only
TREE = "bcm2837-rpi-3-b.dtb"
_BLUETOOTH = "/soc/serial@7e201000/bluetooth"  # else it takes the port QEMU shows
_PINS, _CONSOLE = "console=ttyS1,", "console=ttyAMA0,"  # a board's serial pins are the other port
# An emulated card is slow: systemd's own minute and a half is over before the journal has started.
_WORDS = (
    "module_blacklist=bcm2835_wdt,vc4,vchiq "
    "systemd.default_timeout_start_sec=900 systemd.show_status=0"
)
_MOST_WORDS = 2048  # the kernel's own limit on arm64
_FACTS = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
StandardOutput=journal+console
ExecStart=/bin/sh -c 'echo "facts: $(cat /proc/device-tree/model)"; cd /run/poleside-boot; \
  echo "facts: slot $(cat slot) $(cat medium) $(cat /sys/class/thermal/thermal_zone0/type)"; \
  grep -E "MemTotal|MemAvailable" /proc/meminfo; ip -brief addr; \
  systemctl --failed --no-legend --plain; echo "facts: all told"'
"""


def new_card(image: Path, card: Path) -> Path:
    """Copy an image to a card."""
    run("cp", "--sparse=always", image, card)
    with card.open("r+b") as medium:
        medium.truncate(CARD_BYTES)
    return card


class RaspberryPi(Machine):
    """A Pi 3 that is switched on; there is no shell in it, it tells by its console alone."""

    def __init__(
        self, card: Path, folder: Path, stick: Path | None = None, *, is_trial: bool = False
    ) -> None:
        self._folder, self._is_trial = folder, is_trial
        super().__init__(card, folder, Hardware(stick=stick))

    def _command(self, disk: Path) -> list[str]:
        boot = self._firmware(disk)
        words = [(boot / "cmdline.txt").read_text().strip().replace(_PINS, _CONSOLE), _WORDS]
        units = spoken_units(("poleside", "poleside-provision"))
        units["systemd.extra-unit.trial-facts.service"] = _FACTS
        units["systemd.unit-dropin.multi-user.target"] = "[Unit]\nWants=trial-facts.service\n"
        words += [f"systemd.set_credential_binary={key}:{packed(units[key])}" for key in units]
        if len(" ".join(words)) >= _MOST_WORDS:
            raise EmulationError(f"more words than the kernel takes: {words}")
        command = ["qemu-system-aarch64", "-M", "raspi3b", "-accel", "tcg,thread=multi"]
        command += ["-display", "none", "-monitor", "none", "-serial", f"file:{self.log}"]
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
