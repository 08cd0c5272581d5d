"""A built image, a broker and a center on this machine, and bundles to try on a box in QEMU."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from poleside_recipe import bundle, emulator, image, keys, layout
from poleside_recipe.parts import Variant
from poleside_recipe.run import environment

from agent.simulators.broker import free_port

HOST = "10.0.2.2"  # this machine, as the box sees it
SITE, BOX = "tb-001", "bx-qemu"
CONNECTED = "connected to the broker"


class Image:
    """What `make image` left in a folder."""

    def __init__(self, folder: Path):
        (self.medium,) = folder.glob("poleside-*-trixie-virt.img")
        self.folder, self.name = folder, self.medium.stem
        self.root = folder / "root"
        self.boot = folder / f"{self.name}.boot"
        made = Path.home() / ".cache/poleside/image/trial-keys"
        self.keys = Path(os.environ.get("POLESIDE_IMAGE_KEYS", made))

    def bundle_of(self, version, target, breaks=False, signing=None):
        """Make a bundle of the same image, called `version`; one that `breaks` has no agent."""
        release = self.root / "usr/lib/poleside/release.json"
        agent = self.root / "opt/poleside/bin/poleside"
        kept = {path: path.read_bytes() for path in (release, agent)}
        try:
            release.write_text(json.dumps(json.loads(kept[release]) | {"version": version}) + "\n")
            if breaks:
                agent.write_text("#!/bin/sh\nexit 1\n")
            system = target.with_suffix(".erofs")
            image.root_image(self.root, system, layout.partitions()[3].identity.lower())
        finally:
            for path, content in kept.items():
                path.write_bytes(content)
        boot = target.with_suffix(".boot")
        boot.unlink(missing_ok=True)
        shutil.copyfile(self.boot, boot)
        images = {"system": system, "boot": boot}
        signing = signing or keys.signing(None, self.keys)
        bundle.make(Variant("trixie", "virt"), version, images, target, signing)
        system.unlink()
        boot.unlink()
        return target


class Drive:
    """A bundle as a drive of the box: whole sectors, and how much of them is the bundle."""

    def __init__(self, file):
        self.file, self.size_bytes = file, file.stat().st_size
        with file.open("r+b") as medium:
            medium.truncate(-(-self.size_bytes // 512) * 512)


class City:
    """mosquitto and the stand-in center, on this machine's loopback."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, free_port()
        config = folder / "mosquitto.conf"
        config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nlog_type all\n")
        broker = ["mosquitto", "-c", str(config)]
        center = [sys.executable, "-m", "agent.local.cli.main", "center", "ingest"]
        center += ["--data-dir", str(folder / "center"), "--site", SITE]
        center += [
            "--broker",
            f"mqtt://127.0.0.1:{self.port}",
            "--http",
            f"127.0.0.1:{free_port()}",
        ]
        self._logs = [(folder / name).open("wb") for name in ("mosquitto.log", "center.log")]
        self._children = [
            subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            for command, log in zip((broker, center), self._logs, strict=True)
        ]

    @property
    def settings(self):
        return f"""site = "{SITE}"
box = "{BOX}"
[broker]
urls = ["mqtt://{HOST}:{self.port}"]
username = "{BOX}"
password = "of-a-trial"
"""

    def heard(self):
        return (self.folder / "mosquitto.log").read_text("utf-8", "replace")

    def streams(self):
        """Return what the center has of the box: stream, epoch, upto, stored, missing."""
        (store,) = (self.folder / "center").glob("*.db")
        with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as database:
            asked = "SELECT stream, epoch, upto, stored, missing FROM streams ORDER BY stream"
            return database.execute(asked).fetchall()

    def close(self):
        for child in reversed(self._children):
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for log in self._logs:
            log.close()


def meminfo(machine):
    told = machine.ask("cat /proc/meminfo")
    pairs = (line.split(":") for line in told.splitlines() if ":" in line)
    return {name: int(value.split()[0]) // 1024 for name, value in pairs}


def release(machine):
    return json.loads(machine.ask("cat /usr/lib/poleside/release.json"))["version"]


def slot(machine):
    return machine.ask("cat /run/poleside-boot/slot").strip()


def give_bundle(machine, drive, number, name="new.raucb"):
    """Copy a drive's bundle to where the agent leaves what it fetched."""
    device = f"/dev/disk/by-id/virtio-drive{number}"
    folder = "/var/lib/poleside/update"
    machine.ask(
        f"mkdir -p {folder}; head -c {drive.size_bytes} {device} > {folder}/{name}; sync;"
        f" chown -R poleside: {folder}",
        within_s=600,
    )


def ask_for_update(machine, name="new.raucb", update_id="u-1"):
    plan = json.dumps({"update_id": update_id, "bundle": name, "restart": True})
    folder = "/var/lib/poleside/update"
    machine.ask(f"echo '{plan}' > {folder}/.p; mv {folder}/.p {folder}/plan.json")


def outcome(machine, file="update.json", within_s=600):
    """Wait for what came of the update, and return it."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        told = machine.ask(f"cat /data/image/{file} 2>/dev/null; true")
        if told.strip() and "plan.json" not in machine.ask("ls /var/lib/poleside/update"):
            return json.loads(told)
        emulator.wait_s(2)
    raise emulator.EmulationError(f"no {file}")


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
