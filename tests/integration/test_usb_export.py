"""A clip on a stick is whole, a stranger can check it, and it goes on no disk of the box."""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

from agent.local.usb.media import UsbError, check, sticks
from agent.outbox.spool import read_spool
from tests.chained_tape import ChainedTape, as_camera_sends, poleside
from tests.footage_maker import make_clip


@pytest.fixture
def stick():
    """Another file system than the box's: a folder in memory."""
    folder = Path(tempfile.mkdtemp(prefix="stick-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    folder = tmp_path_factory.mktemp("box")
    tape = ChainedTape(folder / "box")
    tape.since = tape.clock.utc_now()
    tape.record(as_camera_sends(make_clip(folder / "gate.mp4", seconds=6, size_px=(160, 120))))
    yield tape
    tape.index.close()


def export(tape, media, reason="case 2026-77", *, is_json=True):
    until = tape.since + timedelta(seconds=5)
    return poleside(
        *("usb", "export", "--data-dir", tape.data_dir, "--camera", "gate", "--media", media),
        *("--from", tape.since.isoformat(), "--to", until.isoformat()),
        *("--reason", reason, "--by", "page:kim"),
        *(["--json"] if is_json else []),
    )


def sums_of(folder):
    return (folder / "SHA256SUMS").read_text("utf-8").splitlines()


def test_a_stranger_plays_and_checks_what_is_on_the_stick(tape, stick, tmp_path):
    done = export(tape, stick)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    folder = Path(told["folder"])
    assert told["is_sealed"]
    names = {path.name for path in folder.iterdir()}
    clip = told["clip"]
    assert names == {
        *(clip, f"{clip}.jws", "box.jwk.json", "verify.pyz", "HOW-TO-PLAY.txt", "SHA256SUMS")
    }
    sums = dict(reversed(line.split("  ")) for line in sums_of(folder))
    for name in names - {"SHA256SUMS"}:
        assert sums[name] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    assert told["sha256"] == hashlib.sha256((folder / clip).read_bytes()).hexdigest()
    text = (folder / "HOW-TO-PLAY.txt").read_text("utf-8")
    assert "VLC" in text
    assert "관제센터" in text

    def verified():
        command = [sys.executable, "-I", folder / "verify.pyz", clip, "--box-key", "box.jwk.json"]
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )

    assert verified().returncode == 0, verified().stderr
    content = bytearray((folder / clip).read_bytes())
    content[len(content) // 3] ^= 1
    (folder / clip).write_bytes(content)
    assert verified().returncode == 1


def test_what_the_stick_lacks_is_said_to_whoever_writes_it(stick, tmp_path):
    tape = ChainedTape(tmp_path / "box")
    tape.since = tape.clock.utc_now()
    tape.record(make_clip(tmp_path / "gate.mp4", seconds=6, size_px=(160, 120)))
    (tape.folder / tape.segments()[1]["path"]).write_bytes(b"")
    tape.index.close()
    done = export(tape, stick)
    told = json.loads(done.stdout)
    assert (done.returncode, [one["cause"] for one in told["holes"]]) == (3, ["unreadable"])
    said = export(tape, stick, is_json=False)
    assert said.returncode == 3
    assert "UTC: unreadable" in said.stderr
    assert "All that could be read is on the stick" in said.stdout
    noted = [line.entry for line in read_spool(tape.data_dir).entries]
    assert {one.code for one in noted if one.op == "usb.export"} == {"clip.holes"}


def test_who_took_what_and_why_is_noted_whether_it_went_well_or_not(tape, stick):
    export(tape, stick, reason="case 2026-78")
    export(tape, tape.data_dir, reason="case 2026-79")
    noted = [line.entry for line in read_spool(tape.data_dir).entries]
    told = {(one.op, one.actor, one.case, one.outcome, one.code) for one in noted}
    assert ("usb.export", "page:kim", "case 2026-78", "done", "") in told
    assert ("usb.export", "page:kim", "case 2026-79", "failed", "usb.own_disk") in told
    sha256 = next(one.sha256 for one in noted if one.op == "usb.export" and one.sha256)
    assert len(sha256) == 64


def test_disks_of_the_box_and_full_sticks_are_refused_before_anything_is_written(
    tape, stick, tmp_path
):
    for folder, needed, code in (
        (tmp_path, 1, "usb.own_disk"),
        (Path("/"), 1, "usb.own_disk"),
        (tmp_path / "none-such", 1, "usb.none"),
        (stick, 10**15, "usb.full"),
    ):
        with pytest.raises(UsbError) as refused:
            check(folder, tape.data_dir, needed)
        assert refused.value.code == code
    assert json.loads(export(tape, tmp_path).stdout)["code"] == "usb.own_disk"
    assert list(stick.iterdir()) == []


def test_a_stick_can_t_lead_elsewhere(tape, stick, tmp_path):
    folder = Path(json.loads(export(tape, stick).stdout)["folder"])
    shutil.rmtree(folder)
    folder.symlink_to(tmp_path)
    assert json.loads(export(tape, stick).stdout)["code"] == "usb.links"
    assert list(tmp_path.iterdir()) == []


def test_a_stick_is_known_by_the_kernels_word_or_by_its_label(tmp_path):
    """Another machine's /proc and /sys: a removable disk, a labelled one, and the box's own."""
    blocks = tmp_path / "sys/class/block"
    for name, removable in (("sda", "1"), ("nvme0n1", "0"), ("mmcblk1", "0")):
        (blocks / name).mkdir(parents=True)
        (blocks / name / "removable").write_text(f"{removable}\n")
    (blocks / "sda1").symlink_to(blocks / "sda")
    labels = tmp_path / "dev/disk/by-label"
    labels.mkdir(parents=True)
    (labels / "POLESIDE-7").symlink_to("../../mmcblk1")
    mounts = [tmp_path / name for name in ("stick", "own", "labelled")]
    for mount in mounts:
        mount.mkdir()
    lines = [
        f"36 25 8:1 / {mount} rw,relatime shared:1 - vfat /dev/{device} rw\n"
        for mount, device in zip(mounts, ("sda1", "nvme0n1", "mmcblk1"), strict=True)
    ]
    (tmp_path / "proc/self").mkdir(parents=True)
    text = "25 1 8:3 / / rw - ext4 /dev/nvme0n1 rw\n" + "".join(lines)
    (tmp_path / "proc/self/mountinfo").write_text(text)
    found = {(one.mount, one.label) for one in sticks(tmp_path)}
    assert found == {(str(mounts[0]), ""), (str(mounts[2]), "POLESIDE-7")}
