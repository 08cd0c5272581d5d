"""On our own image a stick is writable while its export runs, for the agent alone, and not after.

The image's own program with a real file system on a loop device; only `systemd-mount` is replaced,
by mount(8). It is ext4, so FAT's own options are left out: not every kernel of a builder has FAT.
"""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from agent.commands.clip import export_clip
from agent.contract.commands import Clip
from agent.core.clock import SystemClock
from agent.local.usb.borrow import borrowed, lends, usable
from agent.local.usb.export import export
from agent.local.usb.media import UsbError
from tests.camera_thread import eventually
from tests.chained_tape import ChainedTape, as_camera_sends
from tests.footage_maker import make_clip

IMAGE_PYTHON = Path(__file__).parents[2] / "image-build/python"
SERVICE = """
import sys
from pathlib import Path
from poleside_image.export import Export, Places
root = Path(sys.argv[1])
Export(
    Places(root / "box/export", root / "run/poleside-export", root),
    ("sh", "-c", 'mount --mkdir -o "${{0%%,uid=*}}" "$@"', "{options}"),
    ("umount",),
).carry_out()
"""


def _loop(image):
    done = subprocess.run(
        ["losetup", "--find", "--show", image], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no loop device may be made here: {done.stderr.strip()}")
    return done.stdout.strip()


class Bench:
    """A machine with one stick: the kernel's words of it in `root`, the box in `root/box`."""

    def __init__(self, root, device):
        self.root, self.device, self.name = root, device, Path(device).name
        self.box, self.mounted = root / "box", root / "run/poleside-export/stick"
        numbers = Path(device).stat().st_rdev
        self.numbers = f"{os.major(numbers)}:{os.minor(numbers)}"
        place = root / f"sys/devices/pci0/usb1/1-1/block/{self.name}"
        (place / "holders").mkdir(parents=True)
        (place / "dev").write_text(f"{self.numbers}\n")
        (place / "size").write_text("32768\n")
        (root / "sys/class/block").mkdir(parents=True)
        (root / "sys/class/block" / self.name).symlink_to(place)
        for folder in ("run/udev/data", "run/poleside-export", "usr/lib/poleside", "box"):
            (root / folder).mkdir(parents=True)
        (root / "usr/lib/poleside/export").write_text("")
        (root / "proc").symlink_to("/proc")
        self.label("EVIDENCE")

    def label(self, label, kind="vfat"):
        facts = self.root / f"run/udev/data/b{self.numbers}"
        facts.write_text(f"S:disk/by-label/{label}\nE:ID_FS_TYPE={kind}\nE:ID_FS_LABEL={label}\n")

    def service(self):
        """Start the image's program, as the path unit does when the plan lies there."""
        return subprocess.Popen(
            [sys.executable, "-c", SERVICE, str(self.root)], env={"PYTHONPATH": str(IMAGE_PYTHON)}
        )

    def served(self):
        plan = self.box / "export/plan.json"
        eventually(plan.exists)
        return self.service()

    def outcome(self):
        return json.loads((self.mounted.parent / "state.json").read_bytes())["outcome"]

    def flags(self):
        lines = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        return next((line[5] for line in lines if line[4] == str(self.mounted)), None)

    def borrow(self):
        return borrowed(self.device, self.box, SystemClock(), self.root)


@pytest.fixture
def bench(tmp_path):
    if os.geteuid() or not shutil.which("mkfs.ext4"):
        pytest.skip("only root mounts")
    image = tmp_path / "stick.img"
    image.write_bytes(bytes(16 * 1024 * 1024))
    subprocess.run(["mkfs.ext4", "-q", image], check=True, capture_output=True)
    device = _loop(image)
    bench = Bench(tmp_path / "machine", device)
    yield bench
    if bench.flags() is not None:
        subprocess.run(["umount", "--lazy", bench.mounted], check=False)
    subprocess.run(["losetup", "--detach", device], check=False)


async def test_a_stick_is_writable_for_as_long_as_it_is_written(bench):
    assert lends(bench.root)
    assert [one.place for one in usable(bench.root)] == [bench.device]
    service = asyncio.create_task(asyncio.to_thread(bench.served))
    async with bench.borrow() as media:
        assert {"rw", "nosuid", "nodev", "noexec"} <= set(bench.flags().split(","))
        (media / "clip.mp4").write_bytes(b"video")
    assert (await service).wait(30) == 0
    assert bench.outcome() == "released"
    assert bench.flags() is None
    assert not (bench.box / "export/plan.json").exists()
    again = asyncio.create_task(asyncio.to_thread(bench.served))
    async with bench.borrow() as media:
        assert (media / "clip.mp4").read_bytes() == b"video"
    assert (await again).wait(30) == 0


WRITER = """
import asyncio, sys
from pathlib import Path
from agent.core.clock import SystemClock
from agent.local.usb.borrow import borrowed
async def write(device, root):
    async with borrowed(device, root / "box", SystemClock(), root) as media:
        (media / "part").write_bytes(b"half")
        print("writing", flush=True)
        await SystemClock().sleep_s(600)
asyncio.run(write(sys.argv[1], Path(sys.argv[2])))
"""


def test_a_killed_writer_s_stick_is_taken_back(bench):
    command = [sys.executable, "-c", WRITER, bench.device, str(bench.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        service = bench.served()
        assert writer.stdout.readline() == "writing\n"
        writer.send_signal(signal.SIGKILL)
    assert service.wait(30) == 0
    assert bench.outcome() == "released"
    assert bench.flags() is None


@pytest.mark.parametrize(
    ("label", "kind", "why"),
    [
        ("POLESIDE", "vfat", "read-only"),
        ("EVIDENCE", "ext4", "exFAT"),
        ("EVIDENCE", "", "exFAT"),
    ],
)
async def test_a_stick_of_updates_and_other_file_systems_are_refused(bench, label, kind, why):
    bench.label(label, kind)
    assert usable(bench.root) == []
    service = asyncio.create_task(asyncio.to_thread(bench.served))
    with pytest.raises(UsbError, match=why) as refused:
        async with bench.borrow():
            pass
    assert refused.value.code == "usb.refused"
    assert (await service).wait(30) == 0
    assert bench.flags() is None


async def test_no_disk_of_the_box_is_given_out(bench):
    """Whatever a taken-over agent writes into its plan."""
    inside = bench.root / f"sys/devices/pci0/ata1/block/{bench.name}"
    place = bench.root / f"sys/devices/pci0/usb1/1-1/block/{bench.name}"
    link = bench.root / "sys/class/block" / bench.name
    for part, device, why in (
        (None, "../../etc/shadow\n", "no partition"),
        (None, "sdz9", "no such stick"),
        ("holders/dm-0", bench.device, "Something of the box"),
        ("moved", bench.device, "USB"),
    ):
        if part == "moved":
            link.unlink()
            shutil.copytree(place, inside)
            link.symlink_to(inside)
        elif part:
            (place / part).write_text("")
        service = asyncio.create_task(asyncio.to_thread(bench.served))
        with pytest.raises(UsbError, match=why):
            async with borrowed(device, bench.box, SystemClock(), bench.root):
                pass
        assert (await service).wait(30) == 0
        assert bench.flags() is None


async def test_two_never_write_at_once_and_a_silent_system_is_told(bench):
    service = asyncio.create_task(asyncio.to_thread(bench.served))
    async with bench.borrow():
        with pytest.raises(UsbError) as refused:
            async with bench.borrow():
                pass
    assert refused.value.code == "usb.busy"
    assert (await service).wait(30) == 0


async def test_a_clip_with_its_proof_goes_to_a_borrowed_stick(bench, tmp_path):
    tape = ChainedTape(tmp_path / "recorded")
    since = tape.clock.utc_now()
    tape.record(as_camera_sends(make_clip(tmp_path / "gate.mp4", seconds=4, size_px=(160, 120))))
    until = since + timedelta(seconds=3)
    wanted = Clip(camera_id="gate", start_at=since, end_at=until)
    clip_of = partial(
        export_clip, tape.data_dir, wanted, by="kim", incident="1", purpose="usb", sidecar=True
    )
    service = asyncio.create_task(asyncio.to_thread(bench.served))
    async with bench.borrow() as media:
        done = await export(media, tape.data_dir, "box-1", "gate", since, until, clip_of, b"{}")
        assert done.bytes > 0
    tape.index.close()
    assert (await service).wait(30) == 0
    assert bench.flags() is None
