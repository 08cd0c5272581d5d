"""A box in QEMU, as `make image-verify` and `make image-faults` boot it: UEFI, disk, watchdog.

What the image does not have comes from outside, as systemd's credentials over SMBIOS: a root shell
on a virtual port, and the units' words on the console. A real board takes none of these.
"""

import base64
import re
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from poleside_recipe.run import environment, run

SERVICE_SOCKET = "52:54:00:77:01:01"
FIRMWARE = Path("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd")
_UNITS = ("poleside", "poleside-grow", "poleside-provision", "poleside-trial", "poleside-update")
_ON_CONSOLE = "[Service]\nStandardOutput=journal+console\nStandardError=journal+console\n"
# An emulated processor beside others' work is a hundred times slower than a board's.
_PATIENT = {
    "poleside": "TimeoutStartSec=15min\nWatchdogSec=10min\n",
    "poleside-provision": "TimeoutStartSec=10min\n",
}
GATE = "TimeoutStartSec=30min\nEnvironment=POLESIDE_TRIAL_LIMIT_S={}\n[Unit]\nJobTimeoutSec=45min\n"
_SHELL = """[Unit]
Description=A shell for the trial
After=basic.target
[Service]
ExecStart=/bin/sh -c 'while :; do sh 3<>/dev/virtio-ports/shell <&3 >&3 2>&1; sleep 1; done'
"""
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\r")
_pause = threading.Event().wait


class EmulationError(Exception):
    """The box did not come to what was waited for; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """What the box has: the cards of its networks are QEMU's words for `-netdev`.

    `within` is what QEMU is started by, as `ip netns exec NAME`. The health gate of an update
    waits `gate_limit_s`, the image's own limit if none is given.
    """

    memory_mib: int = 1024
    uplink: str = "user"
    cameras: str = ""
    service: str = ""
    stick: Path | None = None
    within: tuple[str, ...] = ()
    gate_limit_s: int = 300


def new_disk(image: Path, disk: Path, size: str = "4G") -> Path:
    """Make a disk that begins as `image`, and leaves it as it is."""
    disk.unlink(missing_ok=True)
    made = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", image.resolve(), "-F", "raw"]
    run(*made, disk, size)
    return disk


def settings_stick(settings: str, stick: Path, service_port: str = "") -> Path:
    """Make a technician's stick with the box's settings, and the word which socket is his."""
    stick.unlink(missing_ok=True)
    with stick.open("wb") as medium:
        medium.truncate(33 * 1024 * 1024)
    run("mkfs.vfat", "-n", "POLESIDE", stick, is_quiet=True)
    file = stick.with_suffix(".toml")
    file.write_text(settings)
    run("mcopy", "-i", stick, file, "::poleside.toml")
    if service_port:
        file.write_text(f"{service_port}\n")
        run("mcopy", "-i", stick, file, "::service-port.txt")
    return stick


class Machine:
    """One box that is switched on; `with` ends it as a power cut does."""

    def __init__(self, disk: Path, folder: Path, hardware: Hardware | None = None) -> None:
        self._hardware = hardware or Hardware()
        number = len(list(folder.glob("console-*.log"))) + 1
        self._log = folder / f"console-{number:03}.log"
        self._port = folder / f"shell-{number:03}"
        command = self._command(disk)
        self._errors = (folder / f"qemu-{number:03}.log").open("wb")
        self._qemu = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stderr=self._errors, env=environment()
        )
        self._switched_on_s = time.monotonic()
        self._shell: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def _command(self, disk: Path) -> list[str]:
        hardware = self._hardware
        command = [
            *hardware.within,
            "qemu-system-aarch64",
            "-M",
            "virt,gic-version=3",
        ]
        command += ["-cpu", "cortex-a72", "-smp", "2", "-m", f"{hardware.memory_mib}"]
        command += ["-accel", "tcg,thread=multi", "-display", "none", "-monitor", "none"]
        command += ["-serial", f"file:{self._log}", "-bios", f"{FIRMWARE}"]
        command += ["-device", "i6300esb", "-action", "watchdog=reset"]
        command += ["-drive", f"file={disk},format=qcow2,if=none,id=disk,cache=writeback"]
        command += ["-device", "virtio-blk-pci,drive=disk,bootindex=1"]
        command += ["-netdev", f"{hardware.uplink},id=up"]
        command += ["-device", "virtio-net-pci,netdev=up,romfile="]
        if hardware.cameras:
            command += ["-netdev", f"{hardware.cameras},id=cameras"]
            command += ["-device", "virtio-net-device,netdev=cameras"]
        if hardware.service:
            card = f"virtio-net-pci,netdev=service,romfile=,mac={SERVICE_SOCKET}"
            command += ["-netdev", f"{hardware.service},id=service", "-device", card]
        if hardware.stick:
            command += ["-drive", f"file={hardware.stick},format=raw,if=none,id=stick"]
            command += ["-device", "qemu-xhci", "-device", "usb-storage,drive=stick,removable=on"]
        command += [
            "-device",
            "virtio-serial-pci",
            "-device",
            "virtserialport,chardev=c,name=shell",
        ]
        command += ["-chardev", f"socket,id=c,path={self._port},server=on,wait=off"]
        units = spoken_units()
        units["systemd.unit-dropin.poleside-trial.service"] += GATE.format(hardware.gate_limit_s)
        units["systemd.extra-unit.trial-shell.service"] = _SHELL
        units["systemd.unit-dropin.multi-user.target"] = "[Unit]\nWants=trial-shell.service\n"
        for name, text in units.items():
            value = f"io.systemd.credential.binary:{name}={packed(text)}"
            command += ["-smbios", f"type=11,value={value}"]
        return command

    @property
    def log(self) -> Path:
        """Where its console is kept."""
        return self._log

    @property
    def pid(self) -> int:
        return self._qemu.pid

    @property
    def on_for_s(self) -> float:
        return time.monotonic() - self._switched_on_s

    def console(self) -> str:
        """Return all it said since it was switched on."""
        if not self._log.exists():
            return ""
        return _COLOURS.sub("", self._log.read_text("utf-8", "replace"))

    def wait_for(self, pattern: str, within_s: float, after: int = 0) -> re.Match[str]:
        """Return the first such words on the console, `after` so many characters.

        Raises `EmulationError` when they don't come.
        """
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            if found := re.compile(pattern).search(self.console(), after):
                return found
            if self._qemu.poll() is not None:
                break
            _pause(0.2)
        raise EmulationError(f"no `{pattern}` in {within_s:.0f} s; last:\n{self.console()[-3000:]}")

    def ask(self, command: str, within_s: float = 300.0) -> str:
        """Return what a command prints inside, run by root. Raises `EmulationError`."""
        end_s, word = time.monotonic() + within_s, secrets.token_hex(8)
        if self._shell is None:
            self._shell = socket.socket(socket.AF_UNIX)
            self._shell.connect(f"{self._port}")
        self._shell.settimeout(2.0)
        asked = f'\necho "{word}@"; {{ {command}\n}}; echo "@$?@{word}"\n'.encode()
        self._shell.sendall(asked)
        answer = b""
        while time.monotonic() < end_s:
            try:
                answer += self._shell.recv(65536)
            except TimeoutError:
                continue
            if found := re.search(rf"{word}@\r?\n(.*)@\d+@{word}".encode(), answer, re.DOTALL):
                return found[1].decode("utf-8", "replace")
        raise EmulationError(f"no answer to `{command}`: {answer!r}")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Hold it with all its threads: its disk's file is then what a kill -9 would leave."""
        self._qemu.send_signal(signal.SIGSTOP)
        try:
            threads = list(Path(f"/proc/{self._qemu.pid}/task").glob("*/stat"))
            while not all(_is_stopped(stat) for stat in threads):
                _pause(0.01)
            yield
        finally:
            self._qemu.send_signal(signal.SIGCONT)

    def cut(self) -> None:
        """Cut the power: what QEMU had not yet written is gone."""
        self._qemu.kill()
        self._qemu.wait()
        if self._shell is not None:
            self._shell.close()
        self._errors.close()


def spoken_units(names: Sequence[str] = _UNITS) -> dict[str, str]:
    """Return what makes units speak on the console and wait for a slow processor, by credential."""
    return {
        f"systemd.unit-dropin.{unit}.service": _ON_CONSOLE + _PATIENT.get(unit, "")
        for unit in names
    }


def packed(text: str) -> str:
    """Return it as a binary credential's value."""
    return base64.b64encode(text.encode()).decode()


def _is_stopped(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "T"
    except (FileNotFoundError, ProcessLookupError):
        return True  # the thread has ended


def peak_memory_kib(machine: Machine) -> int:
    """Return the most memory QEMU took."""
    status = Path(f"/proc/{machine.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) if found else 0


def missing_for_boot() -> Sequence[str]:
    """Return what this machine lacks for a boot."""
    return [] if FIRMWARE.exists() else [f"{FIRMWARE} (Debian package qemu-efi-aarch64)"]


def harm(disk: Path, start_bytes: int, size_bytes: int) -> None:
    """Overwrite a part of a disk with what is no file system."""
    write = f"write -P 0xa5 {start_bytes} {size_bytes}"
    run("qemu-io", "-f", "qcow2", "-c", write, disk, is_quiet=True)


def sector(disk: Path, start_bytes: int) -> bytes:
    """Return 512 bytes of a disk, also of one that a machine has."""
    command = ["qemu-io", "-r", "-U", "-f", "qcow2", "-c", f"read -v {start_bytes} 512", f"{disk}"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, env=environment())
    lines = re.findall(r"^[0-9a-f]{8,}: ((?: [0-9a-f]{2}){16})", told.stdout, re.MULTILINE)
    return bytes.fromhex("".join(lines))


def overwrite(disk: Path, start_bytes: int, content: bytes) -> None:
    """Lay whole sectors onto a disk."""
    source = disk.with_suffix(".sectors")
    source.write_bytes(content)
    write = f"write -s {source} {start_bytes} {len(content)}"
    run("qemu-io", "-f", "qcow2", "-c", write, disk, is_quiet=True)
    source.unlink()


def wait_s(seconds: float) -> None:
    _pause(seconds)
