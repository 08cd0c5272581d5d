"""The built image in QEMU: it boots into the agent, updates itself, and goes back when it must.

`make image-verify` names the folder of the image in POLESIDE_IMAGE; without one nothing is booted.
"""

import os
import random
import sys
from pathlib import Path

import pytest
from poleside_recipe import emulator, keys, layout

from tests.faults import image_trials as trials

FOLDER = os.environ.get("POLESIDE_IMAGE", "")
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not FOLDER, reason="POLESIDE_IMAGE names no built image: not booted"),
]
WITHIN_S = 900.0


@pytest.fixture(scope="module")
def built():
    return trials.Image(Path(FOLDER))


@pytest.fixture
def tell(capsys):
    """Say what was measured at once: these tests take long."""

    def telling(*words):
        with capsys.disabled():
            sys.stdout.write(" ".join(map(str, words)) + "\n")
            sys.stdout.flush()

    return telling


@pytest.fixture
def city(tmp_path):
    made = trials.City(tmp_path)
    yield made
    made.close()


@pytest.fixture
def stick(city, tmp_path):
    return emulator.settings_stick(city.settings, tmp_path / "stick.img")


def test_a_first_boot_ends_at_the_broker(built, city, stick, tmp_path, tell):
    disk = emulator.new_disk(built.medium, tmp_path / "disk.qcow2")
    with emulator.Machine(disk, tmp_path, emulator.Hardware(stick=stick)) as box:
        box.wait_for(trials.CONNECTED, WITHIN_S)
        took_s = box.on_for_s
        box.wait_for("Reached target.*multi-user", WITHIN_S)
        memory = trials.meminfo(box)
        failed = box.ask("systemctl --failed --no-legend --plain")
        mounts = box.ask("findmnt --raw --noheadings -o TARGET,FSTYPE,OPTIONS")
        tell(f"\nto the broker: {took_s:.0f} s since power on")
        tell(box.ask("systemd-analyze time; systemctl show -p MemoryPeak poleside").strip())
        tell({key: memory[key] for key in ("MemTotal", "MemAvailable")}, "MiB")
        assert failed.strip() == ""
        assert "/ erofs ro" in mounts
        assert "/data ext4" in mounts
        assert box.ask("touch /etc/x /usr/x; true").count("Read-only") == 2
        assert box.ask("ss -Hltun | grep -v 127.0.0").count("LISTEN") <= 3
        machine_id = box.ask("cat /etc/machine-id").strip()
        assert len(machine_id) == 32
        size = int(box.ask("df --output=size -m /data | tail -1"))
        assert size > 1500  # grown
        assert f"as {trials.BOX}" in city.heard()
        box.ask("sync")
    with emulator.Machine(disk, tmp_path) as box:  # after a power cut
        box.wait_for(trials.CONNECTED, WITHIN_S)
        assert box.ask("cat /etc/machine-id").strip() == machine_id


def test_data_that_is_broken_is_no_reason_to_stay_away(built, tmp_path):
    """Without a stick, and with a `data` partition that is none: volatile, and said so."""
    disk = emulator.new_disk(built.medium, tmp_path / "disk.qcow2")
    start = layout.partitions()[-1].start_bytes
    emulator.harm(disk, start, 8 * 1024 * 1024)
    with emulator.Machine(disk, tmp_path) as box:
        box.wait_for("poleside-init: data on tmpfs", WITHIN_S)
        box.wait_for("Reached target.*multi-user", WITHIN_S)
        assert "/data tmpfs" in box.ask("findmnt --raw --noheadings -o TARGET,FSTYPE")


def test_updates_commit_roll_back_or_are_refused(built, city, stick, tmp_path, tell):
    good = built.bundle_of("0.9.0", tmp_path / "good.raucb")
    broken = built.bundle_of("0.9.1", tmp_path / "broken.raucb", breaks=True)
    foreign = keys.signing(None, tmp_path / "foreign")
    bad = built.bundle_of("0.9.2", tmp_path / "bad.raucb", signing=foreign)
    short = tmp_path / "short.raucb"
    short.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    old = built.bundle_of("0.0.9", tmp_path / "old.raucb")
    drives = [trials.Drive(file) for file in (good, broken, bad, short, old)]
    disk = emulator.new_disk(built.medium, tmp_path / "disk.qcow2", "8G")
    hardware = emulator.Hardware(stick=stick, drives=tuple(drive.file for drive in drives))
    with emulator.Machine(disk, tmp_path, hardware) as box:
        box.wait_for(trials.CONNECTED, WITHIN_S)
        box.wait_for("Reached target.*multi-user", WITHIN_S)
        assert trials.slot(box) == "a"
        box.ask('echo \'{"floor": "0.1.0"}\' > /data/image/floor.json')
        for number, code in ((2, "update.not_trusted"), (3, "update.not_trusted"),
                             (4, "update.version")):  # fmt: skip
            told = tried(box, drives, number)
            assert [told["outcome"], told["code"]] == ["refused", code]

        heard = len(box.console())
        trials.give_bundle(box, drives[0], 0)
        trials.ask_for_update(box)
        box.wait_for("poleside: slot b edge.trial=1", WITHIN_S, heard)
        box.wait_for("trial: kept", WITHIN_S, heard)
        assert [trials.slot(box), trials.release(box)] == ["b", "0.9.0"]

        heard = len(box.console())
        trials.give_bundle(box, drives[1], 1)
        trials.ask_for_update(box)
        box.wait_for("poleside: slot a edge.trial=1", WITHIN_S, heard)
        box.wait_for("trial: given up", WITHIN_S, heard)
        box.wait_for(r"poleside: slot b \n", WITHIN_S, heard)
        box.wait_for(trials.CONNECTED, WITHIN_S, heard)
        assert [trials.slot(box), trials.release(box)] == ["b", "0.9.0"]
    tell("\nat the center:", city.streams())


def tried(box, drives, number):
    box.ask("rm -f /data/image/update.json")
    trials.give_bundle(box, drives[number], number)
    trials.ask_for_update(box)
    return trials.outcome(box)


def test_no_power_cut_over_an_update_bricks_the_box(built, city, stick, tmp_path, tell):
    """The power goes at points of boot, install, trial and commit; each time the box is back."""
    cuts = int(os.environ.get("POLESIDE_CUTS", "20"))
    points = random.Random(int(os.environ.get("POLESIDE_SEED", "10")))
    good = trials.Drive(built.bundle_of("0.9.0", tmp_path / "good.raucb"))
    disk = emulator.new_disk(built.medium, tmp_path / "disk.qcow2", "8G")
    hardware = emulator.Hardware(stick=stick, drives=(good.file,))
    came_up, slots = 0, []
    with emulator.Machine(disk, tmp_path, hardware) as box:
        box.wait_for(trials.CONNECTED, WITHIN_S)
        box.wait_for("Reached target.*multi-user", WITHIN_S)
        trials.give_bundle(box, good, 0, "kept")
        identity = box.ask("cat /etc/machine-id").strip()
    for number in range(cuts):
        with emulator.Machine(disk, tmp_path, hardware) as box:
            if number % 2:  # in the next boot, whichever slot the update has armed
                emulator.wait_s(points.uniform(2, 120))
                tell(f"cut {number + 1}: {box.on_for_s:.0f} s into a boot: {last_words(box)}")
                continue
            box.wait_for(trials.CONNECTED, WITHIN_S)
            box.wait_for("Reached target.*multi-user", WITHIN_S)
            slots.append((trials.slot(box), trials.release(box)))
            assert box.ask("cat /etc/machine-id").strip() == identity
            assert "/data ext4" in box.ask("findmnt --raw --noheadings -o TARGET,FSTYPE")
            came_up += 1
            is_trial = "trial" in box.ask("ls /run/poleside-boot")
            if not is_trial:
                folder = "/var/lib/poleside/update"
                box.ask(f"rm -f {folder}/new.raucb; ln {folder}/kept {folder}/new.raucb; sync")
                trials.ask_for_update(box, update_id=f"u-{number}")
            emulator.wait_s(points.uniform(0, 180))
            tell(f"cut {number + 1}: ran {slots[-1]}, trial {is_trial}: {last_words(box)}")
    with emulator.Machine(disk, tmp_path, hardware) as box:
        box.wait_for(trials.CONNECTED, WITHIN_S)
        box.wait_for("Reached target.*multi-user", WITHIN_S)
        outbox = box.ask("PYTHONPATH=/opt/poleside/lib poleside link status --json; true")
    streams = city.streams()
    tell(f"{cuts} cuts, came up {came_up} times, and once more; at the center: {streams}")
    tell(outbox[-800:])
    assert came_up == (cuts + 1) // 2
    epochs = {(stream, epoch) for stream, epoch, *_ in streams}
    assert len(epochs) == len({stream for stream, *_ in streams})  # never a new outbox
    assert all(missing == 0 for *_, missing in streams)


def last_words(box):
    return (box.console().strip().splitlines() or [""])[-1][:110]


@pytest.fixture
def own_network(tmp_path):
    """A network of our own with both of the box's cables in it, ours at .200."""
    name = f"poleside-{os.getpid()}"
    cards = {"city": "10.99.0.200/24", "cams": "10.77.0.200/24"}
    trials.ip("netns", "add", name)
    for card, address in cards.items():
        trials.ip("-n", name, "tuntap", "add", card, "mode", "tap")
        trials.ip("-n", name, "addr", "add", address, "dev", card)
        trials.ip("-n", name, "link", "set", "dev", card, "up")
    trials.ip("-n", name, "link", "set", "lo", "up")
    yield name
    trials.ip("netns", "delete", name)


def test_a_scan_from_both_networks_finds_what_is_documented(built, own_network, tmp_path, tell):
    within = ("ip", "netns", "exec", own_network)
    cards = {"uplink": "tap,ifname=city,script=no,downscript=no"}
    cards["cameras"] = "tap,ifname=cams,script=no,downscript=no"
    disk = emulator.new_disk(built.medium, tmp_path / "disk.qcow2")
    hardware = emulator.Hardware(within=within, **cards)
    with emulator.Machine(disk, tmp_path, hardware) as box:
        box.wait_for("Reached target.*multi-user", WITHIN_S)
        box.ask("ip addr add 10.99.0.1/24 dev $(ls /sys/class/net | grep -v -e lo -e cam0)")
        tell(box.ask("ip -brief addr"))
        tell(box.ask("ss -Hltunp"))
        seen = {name: trials.scan(within, name) for name in ("10.77.0.1", "10.99.0.1")}
        tell(seen)
    assert seen["10.77.0.1"]["tcp"] == []  # 8500 to 8515 are let in; nobody listens yet
    assert set(seen["10.77.0.1"]["tcp refused"]) == set(range(8500, 8516))
    assert seen["10.77.0.1"]["time"] is True
    assert seen["10.99.0.1"] == {"tcp": [], "tcp refused": [], "time": False}
