"""A built image, bundles of it to try on a box in QEMU, and what is asked of that box."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

from poleside_recipe import bundle, emulator, image, keys, layout, tree
from poleside_recipe.parts import Variant
from poleside_recipe.run import environment

CONNECTED = "connected to the broker"
RESIZE_INODE = 7


class Image:
    """What `make image` left in a folder."""

    def __init__(self, folder: Path):
        (self.medium,) = folder.glob("poleside-*.img")
        self.folder, self.name = folder, self.medium.stem
        self.root = folder / "root"
        self.boot = folder / f"{self.name}.boot"
        _, self.version, suite, board = self.name.split("-")
        self.variant = Variant(suite, board)
        made = Path.home() / ".cache/poleside/image/trial-keys"
        self.keys = Path(os.environ.get("POLESIDE_IMAGE_KEYS", made))

    def bundle_of(self, version, target, breaks=False, adds_line=False):
        """Make a bundle of the same image, called `version`.

        One that `breaks` has no agent; one that `adds_line` has a line more in one of its modules.
        """
        release = self.root / "usr/lib/poleside/release.json"
        agent = self.root / "opt/poleside/bin/poleside"
        module = self.root / "opt/poleside/lib/agent/uplink/link.py"
        (compiled,) = module.parent.glob("__pycache__/link.cpython-*.pyc")
        kept = {path: path.read_bytes() for path in (release, agent, module, compiled)}
        try:
            release.write_text(json.dumps(json.loads(kept[release]) | {"version": version}) + "\n")
            if breaks:
                agent.write_text("#!/bin/sh\nexit 1\n")
            if adds_line:
                module.write_bytes(kept[module] + b"CHANGED = 1\n")
                tree.byte_compile(self.root, self.variant)
            system = target.with_suffix(".erofs")
            image.root_image(self.root, system, layout.partitions()[3].identity.lower())
        finally:
            for path, content in kept.items():
                path.write_bytes(content)
        self._signed(version, {"system": system, "boot": self.boot}, target)
        system.unlink()
        return target

    def small_bundle(self, version, target, signing=None):
        """Make a bundle that no box takes, in a moment: one of a system of noise."""
        system = target.with_suffix(".noise")
        system.write_bytes(os.urandom(1024 * 1024))
        self._signed(version, dict.fromkeys(("system", "boot"), system), target, signing)
        system.unlink()
        return target

    def _signed(self, version, images, target, signing=None):
        linked = {name: target.with_suffix(f".{name}") for name in images}
        for name, file in images.items():
            shutil.copyfile(file, linked[name])
        signing = signing or keys.signing(None, self.keys)
        bundle.make(self.variant, version, linked, target, signing)
        for file in linked.values():
            file.unlink()


def beside(folder, kind):
    """Return the medium of another kind of image, built into the folder beside; None without."""
    return next(iter(folder.with_name(f"{folder.name}-{kind}").glob("poleside-*.img")), None)


def spoil_growth(medium, disk):
    """Spoil the one inode of an empty `data` that is read when it grows, and at no other time."""
    data = layout.partitions()[-1]
    with medium.open("rb") as stream:
        stream.seek(data.start_bytes)
        head = stream.read(16 * 1024)
        block_bytes = 1024 << struct.unpack_from("<I", head, 1024 + 24)[0]
        (inode_bytes,) = struct.unpack_from("<H", head, 1024 + 88)
        (table,) = struct.unpack_from("<I", head, max(2048, block_bytes) + 8)
        start = data.start_bytes + table * block_bytes + (RESIZE_INODE - 1) * inode_bytes
        stream.seek(start)
        sector = stream.read(512)  # the next inode in it is the journal's
    emulator.overwrite(disk, start, bytes([0xA5]) * inode_bytes + sector[inode_bytes:])


def lay_fetched(card, bundle, name):
    """Lay a bundle onto a Pi's card that is off, as if the agent had fetched it already.

    The emulated adapter is too slow for it. The agent proves it, and hands it on by itself.
    """
    # In a file of its own: e2fsck forgets an offset once it has read the journal.
    part, data = layout.partitions()[-1], card.with_suffix(".data")
    _dd(f"if={card}", f"of={data}", "iflag=skip_bytes", f"skip={part.start_bytes}", "conv=sparse")
    checked = subprocess.run(["e2fsck", "-f", "-y", data], check=False, env=environment())
    assert checked.returncode in (0, 1)
    commands = card.with_suffix(".debugfs")
    owner = re.search(r"User: *(\d+) *Group: *(\d+)", _debugfs("-R", "stat /poleside", data))
    folder = "/poleside/update"
    laid = [f"mkdir {folder}", f"cd {folder}", f"write {bundle} {name}.part"]
    for file, mode in ((folder, "040700"), (f"{name}.part", "0100600")):
        told = {"uid": owner[1], "gid": owner[2], "mode": mode}
        laid += [f"set_inode_field {file} {field} {value}" for field, value in told.items()]
    commands.write_text("\n".join(laid) + "\n")
    _debugfs("-w", "-f", commands, data)
    assert f"{bundle.stat().st_size}" in _debugfs("-R", f"ls -l {folder}", data)
    _dd(f"if={data}", f"of={card}", "oflag=seek_bytes", f"seek={part.start_bytes}", "conv=notrunc")
    data.unlink()


def _dd(*words):
    subprocess.run(["dd", "bs=4M", "status=none", *words], check=True, env=environment())


def _debugfs(*arguments):
    command = ["debugfs", *map(str, arguments)]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment()
    ).stdout


def meminfo(machine):
    told = machine.ask("cat /proc/meminfo")
    pairs = (line.split(":") for line in told.splitlines() if ":" in line)
    return {name: int(value.split()[0]) // 1024 for name, value in pairs}


def release(machine):
    return json.loads(machine.ask("cat /usr/lib/poleside/release.json"))["version"]


def slot(machine):
    return machine.ask("cat /run/poleside-boot/slot").strip()


def kept(machine):
    """Return what an update must leave alone: who it is, its outbox, its recordings by hash."""
    told = machine.ask(
        "cat /etc/machine-id; cd /var/lib/poleside;"
        " (find keys -type f; find cameras -name '*.mp4' -mmin +0.5) | xargs -r sha256sum",
        within_s=300,
    ).splitlines()
    return {"id": told[0], "files": {line.split()[1]: line.split()[0] for line in told[1:]}}


def assert_kept(before, after):
    assert before["id"] == after["id"]
    assert before["files"].items() <= after["files"].items()


def until(found, within_s):
    """Ask until there is an answer."""
    end_s = time.monotonic() + within_s
    while not (answer := found()):
        assert time.monotonic() < end_s, "it never came"
        time.sleep(1)
    return answer


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, env=environment())


def scan(within, address):
    """Knock at every TCP port, and ask for the time, from inside a network."""
    script = Path(__file__).with_name("image_scan.py")
    done = subprocess.run(
        [*within, sys.executable, str(script), address],
        check=True,
        capture_output=True,
        env=environment(),
        timeout=900,
    )
    return json.loads(done.stdout)
