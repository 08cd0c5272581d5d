"""The built image in QEMU: it boots into the agent, updates itself, and goes back when it must.

`make image-verify` names the folder of the image in POLESIDE_IMAGE; without one nothing is booted.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from poleside_recipe import emulator, keys, layout, raspberry_pi

from agent.contract.updates import UpdateStage
from agent.updates import blocks
from tests.box_process import CameraProcess
from tests.faults import image_trials as trials
from tests.faults.image_city import BOX, Caller, City
from tests.faults.image_cuts import Sweep

FOLDER = os.environ.get("POLESIDE_IMAGE", "")
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(not FOLDER, reason="POLESIDE_IMAGE names no built image: not booted"),
]
WITHIN_S, PI_WITHIN_S = 900.0, 5400.0
LANES = int(os.environ.get("POLESIDE_LANES", "1"))  # boxes that come up beside the one that is cut
VOLATILE = "disk.volatile"


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
def camera(drawn_loops, tmp_path):
    with CameraProcess(tmp_path, "camera", *drawn_loops) as camera:
        yield camera


@pytest.fixture
def city(tmp_path, camera):
    made = City(tmp_path, camera)
    yield made
    made.close()


@pytest.fixture
def stick(city, tmp_path):
    return emulator.settings_stick(city.settings, tmp_path / "stick.img")


def tell_versions(city, tell):
    """Wait until the center knows what runs there."""
    info = trials.until(city.info, WITHIN_S)
    tell(f"told to the center: {info.version}, {info.os}, {info.model}, boot {info.boot}")
    return info


def on(disk, folder, stick, **hardware):
    return emulator.Machine(disk, folder, emulator.Hardware(stick=stick, **hardware))


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
        assert f"as {BOX}" in city.heard()
        assert tell_versions(city, tell).version == built.version
        box.ask("sync")
    with emulator.Machine(disk, tmp_path) as box:  # after a power cut
        box.wait_for(trials.CONNECTED, WITHIN_S)
        assert box.ask("cat /etc/machine-id").strip() == machine_id


def test_a_first_boot_without_a_stick_is_claimed_with_its_label_and_lets_a_key_in(
    built, tmp_path, tell
):
    """The label and its code are on the console alone; the shell has no rights and ends."""
    disk = emulator.new_disk(built.medium, tmp_path / "disk.qcow2")
    key, signs_in = "/run/trial-key", "ssh -n -i /run/trial-key -o StrictHostKeyChecking=no"
    open_ports = "nft -n list set inet poleside shell_ports | grep elements"
    with emulator.Machine(disk, tmp_path) as box:
        secret = box.wait_for(r"claim#([0-9A-Z-]{19})", WITHIN_S)[1]
        box.wait_for("\u2588\u2588 \u2584\u2584\u2584\u2584\u2584 \u2588", WITHIN_S)
        tell(f"\nthe label is shown: {box.on_for_s:.0f} s since power on")
        box.wait_for("Reached target.*multi-user", WITHIN_S)
        box.wait_for('"event":"core ready"', WITHIN_S)
        assert box.ask("systemctl --failed --no-legend --plain").strip() == ""
        assert box.ask(f"journalctl -q | grep -c -e {secret} -e {secret.replace('-', '')}") == "0\n"
        assert "cam0" in box.ask("nft list set inet poleside service_ports")
        assert "22" not in box.ask(open_ports)
        box.ask(f"ssh-keygen -q -t ed25519 -N '' -f {key}")
        program = (Path(__file__).with_name("image_claim.py")).read_text()
        box.ask(f"cat >/run/claim.py <<'END'\n{program}\nEND\n")
        told = box.ask(f'python3 /run/claim.py {secret} "$(cat {key}.pub)"', within_s=600)
        tell("at its page:", told.strip(), box.ask("cat /run/poleside-shell/state.json"))
        assert '"claimed": 303' in told
        assert '"again": 303' not in told
        assert "22" in box.ask(open_ports)
        does = "id -un; ls /var/lib/poleside || echo no; cat /run/poleside-provision/label.json"
        told = box.ask(f"{signs_in} technician@127.0.0.1 '{does}' 2>/dev/null", within_s=300)
        assert told.split() == ["technician", "no"]
        box.ask("sync")
    with emulator.Machine(disk, tmp_path) as box:  # the boot after its claim
        box.wait_for("Reached target.*multi-user", WITHIN_S)
        assert "claim#" not in box.console()
        assert "cam0" not in box.ask("nft list set inet poleside service_ports")
        assert secret.replace("-", "") not in box.ask("cat /data/image/*.json")
        assert trials.until(lambda: "22" in box.ask(open_ports), WITHIN_S)


def test_data_that_is_broken_is_no_reason_to_stay_away(built, city, stick, tmp_path, tell):
    """With a `data` partition that is none: volatile, the center is told, and it does not loop."""
    disk = emulator.new_disk(built.medium, tmp_path / "disk.qcow2")
    data = layout.partitions()[-1]
    emulator.harm(disk, data.start_bytes, data.size_bytes)  # its spare superblocks, too
    with emulator.Machine(disk, tmp_path, emulator.Hardware(stick=stick)) as box:
        box.wait_for("poleside-init: data on tmpfs", WITHIN_S)
        box.wait_for(trials.CONNECTED, WITHIN_S)
        tell(f"\nwith broken data to the broker: {box.on_for_s:.0f} s since power on")
        assert "/data tmpfs" in box.ask("findmnt --raw --noheadings -o TARGET,FSTYPE")
        faults = trials.until(lambda: VOLATILE in city.faults() and city.faults(), WITHIN_S)
        tell("the center is told:", faults)
        emulator.wait_s(30)
        assert box.console().count("poleside: slot a") == 1  # it did not start again


def test_data_that_can_t_grow_is_used_as_it_is(built, city, stick, tmp_path, tell):
    disk = emulator.new_disk(built.medium, tmp_path / "disk.qcow2")
    trials.spoil_growth(built.medium, disk)
    with emulator.Machine(disk, tmp_path, emulator.Hardware(stick=stick)) as box:
        box.wait_for("grow: resize2fs: .*", WITHIN_S)
        box.wait_for(trials.CONNECTED, WITHIN_S)
        tell(f"\nwith data that can't grow to the broker: {box.on_for_s:.0f} s since power on")
        told = box.ask(
            "findmnt -no OPTIONS /data; df --output=size -m /data; touch /data/x; echo $?"
        )
        options, *_, size, written = told.split()
        tell("data:", options, size, "MiB")
        assert {"rw", "nosuid", "nodev", "noatime", "errors=remount-ro"} <= set(options.split(","))
        assert [int(size) < 64, written] == [True, "0"]
        faults = trials.until(lambda: "disk.full" in city.faults() and city.faults(), WITHIN_S)
        tell("the center is told:", faults)


def test_updates_commit_or_are_refused(built, city, stick, tmp_path, tell):
    """All by signed orders over MQTT; the bundles come from the file store by HTTP ranges."""
    good = built.bundle_of("0.9.0", tmp_path / "good.raucb")
    foreign = keys.signing(None, tmp_path / "foreign")
    unsigned = built.small_bundle("0.9.2", tmp_path / "foreign.raucb", foreign)
    old = built.small_bundle("0.0.9", tmp_path / "old.raucb")
    short = tmp_path / "short.raucb"
    short.write_bytes(old.read_bytes()[: old.stat().st_size // 2])
    refused = [
        (unsigned, "0.9.2", "update.not_trusted"),
        (short, "0.9.3", "update.not_trusted"),
        (old, "0.0.9", "update.version"),
    ]
    disk = emulator.new_disk(built.medium, tmp_path / "disk.qcow2", "8G")
    with on(disk, tmp_path, stick, gate_limit_s=900) as box, Caller(city, 5.0) as caller:
        box.wait_for(trials.CONNECTED, WITHIN_S)
        box.wait_for("Reached target.*multi-user", WITHIN_S)
        city.give_keys(box)
        assert trials.slot(box) == "a"
        box.ask('echo \'{"floor": "0.1.0"}\' > /data/image/floor.json')
        for bundle, version, code in refused:
            assert city.order(city.offer(bundle, version)).state == "done"
            told = city.until_update(version, {UpdateStage.REFUSED}, WITHIN_S)
            tell(f"{box.on_for_s:.0f} s: {version} refused, {told.code}: {told.why}")
            assert told.code == code

        before = trials.kept(box)
        heard = len(box.console())
        assert city.order(city.offer(good, "0.9.0")).state == "done"
        city.until_update("0.9.0", {UpdateStage.ASKED}, WITHIN_S)
        tell(f"{box.on_for_s:.0f} s: 0.9.0 fetched, {city.update().received_bytes} bytes")
        box.wait_for("poleside: slot b edge.trial=1", WITHIN_S, heard)
        tell(f"{box.on_for_s:.0f} s: installed, restarted on trial")
        box.wait_for("trial: kept", WITHIN_S, heard)
        tell(f"{box.on_for_s:.0f} s: kept")
        city.until_update("0.9.0", {UpdateStage.COMMITTED}, WITHIN_S)
        assert [trials.slot(box), trials.release(box)] == ["b", "0.9.0"]
        after = trials.kept(box)
        trials.assert_kept(before, after)
        tell(f"{len(before['files'])} files kept, {len(after['files'])} now")
        caller.end()
        trials.until(lambda: not caller.lost(), WITHIN_S)

        line = built.bundle_of("0.9.4", tmp_path / "line.raucb", adds_line=True)
        order, given = city.offer(line, "0.9.4") | {"restart": False}, city.store.given_bytes
        order["blocks_url"] = order["url"] + blocks.SUFFIX
        assert city.order(order).state == "done"
        city.until_update("0.9.4", {UpdateStage.ASKED}, WITHIN_S)
        cost, size = city.store.given_bytes - given, line.stat().st_size
        tell(f"one line more: {cost} of {size} bytes, {100 * cost / size:.2f} %")
        assert cost < size / 10
    tell("at the center:", city.streams(), f"{len(caller.done)} orders done")
    assert caller.done
    assert all(missing == 0 for *_, missing in city.streams())


def test_a_version_that_never_works_is_rolled_back(built, city, stick, tmp_path, tell):
    broken = built.bundle_of("0.9.1", tmp_path / "broken.raucb", breaks=True)
    disk = emulator.new_disk(built.medium, tmp_path / "disk.qcow2", "8G")
    with on(disk, tmp_path, stick, gate_limit_s=120) as box, Caller(city, 5.0) as caller:
        box.wait_for(trials.CONNECTED, WITHIN_S)
        box.wait_for("Reached target.*multi-user", WITHIN_S)
        city.give_keys(box)
        before = trials.kept(box)
        heard = len(box.console())
        assert city.order(city.offer(broken, "0.9.1")).state == "done"
        box.wait_for("poleside: slot b edge.trial=1", 2 * WITHIN_S, heard)
        tell(f"{box.on_for_s:.0f} s: the broken one on trial")
        box.wait_for("trial: given up", WITHIN_S, heard)
        box.wait_for(r"poleside: slot a *\n", WITHIN_S, heard)
        tell(f"{box.on_for_s:.0f} s: given up, restarted into the old one")
        told = city.until_update("0.9.1", {UpdateStage.ROLLED_BACK}, WITHIN_S)
        tell(f"{box.on_for_s:.0f} s: rolled back: {told.code}, {told.why}")
        assert [trials.slot(box), trials.release(box)] == ["a", built.version]
        trials.assert_kept(before, trials.kept(box))
        caller.end()
        trials.until(lambda: not caller.lost(), WITHIN_S)
    tell("at the center:", city.streams(), f"{len(caller.done)} orders done")
    assert caller.done
    assert all(missing == 0 for *_, missing in city.streams())


def test_no_power_cut_over_an_update_bricks_the_box(built, tmp_path, tell):
    """Points from the first boot to the kept update; each time it is back, with all it answered."""
    bundle = built.bundle_of("0.9.0", tmp_path / "0.9.0.raucb")
    sweep = Sweep(built, tmp_path, tell)
    with ThreadPoolExecutor() as lanes:
        over = lanes.submit(sweep.run, bundle, "0.9.0")
        checks = [lanes.submit(sweep.check, lane) for lane in range(LANES)]
        for each in (over, *checks):
            each.result()
    (tmp_path / "cuts.tsv").write_text(sweep.table())
    tell(sweep.table())
    assert len(sweep.cuts) >= 20
    assert [cut.point for cut in sweep.cuts if "failed" in cut.seen] == []


CARDS = {"city": "10.99.0.200/24", "cams": "10.77.0.200/24", "tech": "10.77.1.3/28"}
PAGE_EVERYWHERE = 'box = "bx-scan"\n[page]\nlisten = "0.0.0.0:8470"\n'


@pytest.fixture
def own_network(tmp_path):
    """A network of our own with all of the box's cables in it."""
    name = f"poleside-{os.getpid()}"
    trials.ip("netns", "add", name)
    for card, address in CARDS.items():
        trials.ip("-n", name, "tuntap", "add", card, "mode", "tap")
        trials.ip("-n", name, "addr", "add", address, "dev", card)
        trials.ip("-n", name, "link", "set", "dev", card, "up")
    trials.ip("-n", name, "link", "set", "lo", "up")
    yield name
    trials.ip("netns", "delete", name)


def test_a_scan_from_all_networks_finds_what_is_documented(built, own_network, tmp_path, tell):
    """The stick says which socket is the service port; its page listens at all of them."""
    within = ("ip", "netns", "exec", own_network)
    taps = zip(("uplink", "cameras", "service"), CARDS, strict=True)
    cards = {use: f"tap,ifname={card},script=no,downscript=no" for use, card in taps}
    socket = emulator.SERVICE_SOCKET
    stick = emulator.settings_stick(PAGE_EVERYWHERE, tmp_path / "stick.img", socket)
    disk = emulator.new_disk(built.medium, tmp_path / "disk.qcow2")
    hardware = emulator.Hardware(within=within, stick=stick, **cards)
    with emulator.Machine(disk, tmp_path, hardware) as box:
        box.wait_for("Reached target.*multi-user", WITHIN_S)
        box.wait_for('"event":"core ready"', WITHIN_S)
        uplink = "$(ls /sys/class/net | grep -v -e lo -e cam0 -e svc0)"
        box.ask(f"ip addr add 10.99.0.1/24 dev {uplink}")
        trials.until(lambda: ":8470" in box.ask("ss -Hltn"), WITHIN_S)
        tell(box.ask("ip -brief addr"))
        tell(box.ask("ss -Hltunp"))
        asked = ("10.77.0.1", "10.77.1.1", "10.99.0.1")
        seen = {name: trials.scan(within, name) for name in asked}
        tell(seen)
        assert seen["10.77.0.1"]["tcp"] == []  # 8500 to 8515 are let in; nobody listens yet
        assert set(seen["10.77.0.1"]["tcp refused"]) == set(range(8500, 8516))
        assert seen["10.77.0.1"]["time"] is True
        assert seen["10.77.1.1"] == {"tcp": [8470], "tcp refused": [], "time": False}
        assert seen["10.99.0.1"] == {"tcp": [], "tcp refused": [], "time": False}

        network = "/opt/poleside/bin/poleside network set --data-dir /var/lib/poleside"
        has_address = "ip -brief addr show dev svc0 2>/dev/null | grep -c 10.77.1.1/28"
        assert box.ask(has_address).strip() == "1"
        tell(box.ask(f"{network} --service-socket '' 2>&1", within_s=300))
        trials.until(lambda: "svc0" not in box.ask("ls /sys/class/net"), 120)  # while it runs
        tell(box.ask(f"{network} --service-socket {socket} 2>&1", within_s=300))
        trials.until(lambda: box.ask(has_address).strip() == "1", 120)
        assert trials.scan(within, "10.77.1.1")["tcp"] == [8470]


@pytest.fixture
def card(stick, tmp_path, tell):
    """A card with the Raspberry Pi's image after its first boot on the emulated Pi 3."""
    if (medium := trials.beside(Path(FOLDER), "rpi")) is None:
        pytest.skip(f"no image in {FOLDER}-rpi: the emulated Pi 3 is not booted")
    card = raspberry_pi.new_card(medium, tmp_path / "card.img")
    for _ in range(3):  # QEMU's USB does not find the stick in some boots: power off and on again
        with raspberry_pi.RaspberryPi(card, tmp_path, stick) as box:
            box.wait_for("poleside-init: slot a, root on /dev/mmcblk", WITHIN_S)
            found = box.wait_for(
                "provision: (settings taken from the|no settings on a) stick", PI_WITHIN_S
            )
            tell(f"\nPi 3: {found[0]}, {box.on_for_s:.0f} s since power on")
            if "taken" in found[0]:
                box.wait_for('"event":"core ready"', PI_WITHIN_S)
                tell(f"agent ready: {box.on_for_s:.0f} s")
                return card
    pytest.fail("the stick was found in none of three boots")


@contextmanager
def at_the_broker(card, folder, tell):
    """Switch the Pi on again, after a power cut, with the adapter plugged in."""
    with raspberry_pi.Board(card, folder) as board:
        board.box.wait_for(trials.CONNECTED, PI_WITHIN_S)
        tell(f"to the broker: {board.box.on_for_s:.0f} s since power on")
        yield board


def test_a_raspberry_pi_s_image_updates_itself_on_the_emulated_pi_3(card, city, tmp_path, tell):
    """Ordered over MQTT; the bundle lies there, and the trial is what the kernel tells QEMU."""
    image = trials.Image(Path(FOLDER).with_name(f"{Path(FOLDER).name}-rpi"))
    bundle = image.bundle_of("0.9.0", tmp_path / "good.raucb")
    order = city.offer(bundle, "0.9.0")
    trials.lay_fetched(card, bundle, f"0.9.0-{order['sha256'][:16]}.raucb")
    with at_the_broker(card, tmp_path, tell) as pi:
        tell_versions(city, tell)
        firmware = "/sys/bus/platform/drivers/raspberrypi-firmware/*"
        tell(pi.box.ask(f"rauc --version; grep . {firmware}/reboot_flags {firmware}/get_throttled"))
        assert pi.box.ask("systemctl --failed --no-legend --plain").strip() == ""
        city.give_keys(pi.box)
        assert city.order(order, valid_s=120.0).state == "done"
        told = city.until_update("0.9.0", {UpdateStage.ASKED}, PI_WITHIN_S)
        tell(f"{pi.box.on_for_s:.0f} s: proven, {told.received_bytes} bytes fetched")
        assert pi.restarted(PI_WITHIN_S) is True  # the tag is seen
        pi.box.wait_for("poleside-init: slot b on trial, root on /dev/mmcblk", WITHIN_S)
        pi.box.wait_for("trial: kept", PI_WITHIN_S)
        tell(f"kept {pi.box.on_for_s:.0f} s after the restart")
        city.until_update("0.9.0", {UpdateStage.COMMITTED}, PI_WITHIN_S)
        assert [trials.slot(pi.box), trials.release(pi.box)] == ["b", "0.9.0"]
        assert pi.kept() == "b"


def test_a_trial_on_the_emulated_pi_3_that_does_not_note_its_slot_goes_back(card, tmp_path, tell):
    with at_the_broker(card, tmp_path, tell) as pi:
        pi.box.ask("rauc status mark-active other", within_s=300)
        pi.box.ask("(sleep 3; systemctl reboot) >/dev/null 2>&1 &")
        assert pi.restarted(WITHIN_S, breaks="poleside-slot.service") is True
        pi.box.wait_for("poleside-init: slot b on trial", WITHIN_S)
        given_up = pi.box.wait_for("trial: given up.*", PI_WITHIN_S)[0]
        tell(f"{pi.box.on_for_s:.0f} s: {given_up}")
        assert "slot" in given_up
        assert pi.restarted(WITHIN_S) is False
        pi.box.wait_for("poleside-init: slot a, root on /dev/mmcblk", WITHIN_S)
        assert pi.kept() == "a"


def test_debian_12_s_image_ends_at_the_broker_too(city, stick, tmp_path, tell):
    """Its systemd takes no words from outside: no shell, no unit's words, no patience for it."""
    if (medium := trials.beside(Path(FOLDER), "bookworm")) is None:
        pytest.skip(f"no image in {FOLDER}-bookworm: Debian 12's is not booted")
    disk = emulator.new_disk(medium, tmp_path / "disk.qcow2")
    with emulator.Machine(disk, tmp_path, emulator.Hardware(stick=stick)) as box:
        tell_versions(city, tell)
        tell(f"Debian 12, known to the center: {box.on_for_s:.0f} s since power on")
