"""Another network of the box is taken back unless somebody confirms it, whatever dies meanwhile."""

import configparser
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from poleside_image.service_socket import Socket, renamings

from tests.integration.network_trial import Networks, folders_in
from tests.integration.test_firewall import APART, PATH, RULES, missing

STATIC = {
    "method": "static",
    "address": "10.1.2.3/24",
    "gateway": "10.1.2.1",
    "dns": ["10.1.0.53"],
    "ntp": ["ntp.city.example"],
    "page_from": ["10.1.0.0/16"],
}
IMAGE_PYTHON = Path(__file__).parents[2] / "image-build" / "python"
UPLINK = "run/systemd/network/75-poleside-uplink.network"


class Bench:
    """The trial in folders of its own; `now_s` is its clock."""

    def __init__(self, folder, boot="boot-1"):
        self.folder, self.now_s, self.boot = folder, 1000.0, boot
        self.renamed = []
        self.start()

    def start(self):
        self.networks = Networks(
            *(folders_in(self.folder), (), lambda: self.now_s, self.boot, 300.0),
            self.take_names,
        )
        self.networks.start()

    def leave(self, name, **content):
        (self.folder / "wishes" / name).write_text(json.dumps(content))
        return self.networks.look()

    def plan(self, plan_id="p1", **network):
        return self.leave("plan.json", plan_id=plan_id, network=STATIC | network)

    def plug(self, name, number, hardware, path=""):
        """Have the box a socket, as the kernel and udev tell it."""
        socket = self.folder / "net" / name
        (socket / "device").mkdir(parents=True)
        for fact, text in (("ifindex", number), ("type", 1), ("address", hardware)):
            (socket / fact).write_text(f"{text}\n")
        noted = self.folder / f"run/udev/data/n{number}"
        noted.parent.mkdir(parents=True, exist_ok=True)
        noted.write_text(f"I:1\nE:ID_PATH={path}\nG:systemd\n" if path else "I:1\n")

    def take_names(self, there, wish):
        self.renamed.append(list(renamings(there, wish)))
        return ""

    def told(self):
        return json.loads((self.folder / "run/poleside-network/state.json").read_bytes())

    @property
    def is_static(self):
        return "Address=10.1.2.3/24" in (self.folder / UPLINK).read_text()


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_a_confirmed_network_stays_over_a_boot(bench):
    assert not bench.is_static
    assert bench.plan()
    assert bench.is_static
    assert bench.told()["until_s"] == 1300.0
    assert bench.leave("confirm.json", plan_id="other")  # the word is of another plan
    assert not bench.leave("confirm.json", plan_id="p1")
    assert bench.told()["outcome"] == "kept"
    bench.now_s += 10_000
    assert not bench.networks.look()
    bench.boot = "boot-2"
    bench.start()
    assert bench.is_static
    sources = bench.folder / "run/poleside-network/set.sources"
    assert sources.read_text() == "server ntp.city.example iburst\n"


def test_without_a_word_it_is_taken_back_in_time(bench):
    bench.plan()
    bench.now_s += 299
    assert bench.networks.look()
    assert bench.is_static
    bench.now_s += 1
    assert not bench.networks.look()
    assert not bench.is_static
    assert bench.told()["outcome"] == "unconfirmed"
    bench.leave("confirm.json", plan_id="p1")  # a moment too late
    assert not bench.is_static


def test_a_trial_that_was_interrupted_goes_on_to_its_own_end(bench):
    bench.plan()
    bench.now_s += 200
    bench.start()  # the helper was killed
    assert bench.is_static
    assert bench.told()["until_s"] == 1300.0
    bench.now_s += 100
    assert not bench.networks.look()
    assert not bench.is_static


def test_a_boot_ends_a_trial(bench):
    bench.plan()
    bench.boot, bench.now_s = "boot-2", 5.0
    bench.start()
    assert not bench.is_static
    assert bench.told()["outcome"] == "unconfirmed"


def test_a_second_plan_goes_back_to_what_was_kept(bench):
    bench.plan()
    bench.leave("confirm.json", plan_id="p1")
    bench.plan("p2", address="10.1.2.4/24")
    bench.plan("p3", address="10.1.2.5/24")
    bench.now_s += 300
    bench.networks.look()
    assert bench.is_static


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "pppoe"},
        {"address": "10.1.2.3"},
        {"address": "10.1.2.0/24"},
        {"address": "10.77.0.9/24"},
        {"gateway": "10.9.9.9"},
        {"gateway": "10.1.2.3"},
        {"dns": ["8.8.8.8\nDHCP=yes"]},
        {"ntp": ["a b"]},
        {"ntp": ["x\nserver y"]},
        {"dns": ["1.1.1.1"] * 9},
        {"page_from": ["0.0.0.0/0"]},
        {"page_from": ["any"]},
        {"cameras": "10.77.1.1/24"},
        {"cameras": "192.168.1.1/30"},
        {"exec": "sh"},
        {"service_socket": "eth1\nName=cam0"},
        {"service_socket": "platform-a platform-b"},
        {"service_socket": "*"},
    ],
)
def test_what_is_no_network_is_refused_and_nothing_changes(bench, wrong):
    before = {path: path.read_bytes() for path in bench.folder.rglob("*.network")}
    assert not bench.plan(**wrong)
    assert bench.told()["outcome"] == "refused"
    assert bench.told()["why"]
    assert {path: path.read_bytes() for path in bench.folder.rglob("*.network")} == before


def test_a_wish_is_no_way_to_read_or_write_elsewhere(bench, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(json.dumps({"plan_id": "x", "network": STATIC}))
    (tmp_path / "wishes/plan.json").symlink_to(secret)
    assert not bench.networks.look()
    assert secret.exists()
    for odd in (b"", b"[]", b"{", b'{"network": 3}', b'{"plan_id": ' + b"9" * 70_000):
        (tmp_path / "wishes/plan.json").write_bytes(odd)
        assert not bench.networks.look()
    assert not bench.is_static


def test_other_cameras_networks_reach_firewall_clock_and_dhcp(bench):
    bench.plan(cameras="192.168.50.1/24", service_port=False)
    firewall = (bench.folder / "run/poleside-network/firewall.nft").read_text()
    assert "add element inet poleside cameras { 192.168.50.0/24 }" in firewall
    assert "add element inet poleside service_ports" not in firewall
    clock = (bench.folder / "run/poleside-network/chrony.conf").read_text()
    assert clock == "bindaddress 192.168.50.1\nallow 192.168.50.0/24\n"
    cam0 = configparser.ConfigParser(strict=False)
    cam0.read(bench.folder / "run/systemd/network/05-poleside-cam0.network")
    assert cam0["Network"]["Address"] == "192.168.50.1/24"
    assert cam0["DHCPServer"]["EmitRouter"] == "no"


USB = "platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.2:1.0"


@pytest.mark.parametrize(
    ("wish", "line"),
    [("00-00-5E-00-53-02", "MACAddress=00:00:5e:00:53:02"), ("*-usb-0:1.2:1.0", None)],
)
def test_a_socket_is_said_to_be_the_service_port_and_known_by_udev(bench, wish, line):
    bench.plug("eth0", 2, "00:00:5e:00:53:01", "platform-fd580000.ethernet")
    bench.plug("eth1", 3, "00:00:5E:00:53:02", USB)
    bench.plan(service_socket=wish)
    if line is None:
        assert bench.told()["outcome"] == "refused"  # a path begins with its bus
        bench.plan(service_socket=f"platform-{wish}")
        line = f"Path=platform-{wish}"
    link = bench.folder / "run/systemd/network/15-poleside-svc0.link"
    assert line in link.read_text()
    assert "Name=svc0" in link.read_text()
    assert [one["name"] for one in bench.told()["sockets"]] == ["eth0", "eth1"]
    assert bench.told()["sockets"][1] == {
        "name": "eth1",
        "hardware": "00:00:5e:00:53:02",
        "path": USB,
    }
    assert bench.renamed[-1] == [("eth1", "svc0")]
    bench.now_s += 300
    assert not bench.networks.look()
    assert not link.exists()
    assert bench.renamed[-1] == []


def test_one_socket_has_the_name_and_never_the_cameras(bench):
    there = [Socket("cam0", 2, "a", "x-1"), Socket("eth1", 3, "b", "x-2"), Socket("eth2", 4, "c")]
    assert list(renamings(there, "x-?")) == [("eth1", "svc0")]
    assert list(renamings(there, "x-1")) == []
    there[1] = Socket("svc0", 3, "b", "x-2")
    assert list(renamings(there, "x-?")) == []
    assert list(renamings(there, "")) == [("svc0", "net3")]
    assert list(renamings(there, "x-9")) == [("svc0", "net3")]


def test_a_socket_that_runs_is_renamed_and_back_by_the_kernel():
    if why := missing():
        pytest.skip(why)
    begin = "from poleside_image.service_socket import Socket, take_names\n"
    told = f"""{begin}
assert not take_names([Socket("eth7", 7, "00:00:5e:00:53:07")], "00:00:5e:00:53:07")
assert take_names([Socket("eth8", 8, "00:00:5e:00:53:08")], "00:00:5e:00:53:08")"""
    back = f'{begin}assert not take_names([Socket("svc0", 7, "")], "")'
    script = "ip link add eth7 type veth peer name eth9; ip link set eth7 up; "
    script += f"{sys.executable} -c '{told}'; ip -o link show svc0; "
    script += f"{sys.executable} -c '{back}'; ip -o link show net7"
    done = subprocess.run(
        [*APART, "sh", "-ec", script],
        env={"PATH": PATH, "PYTHONPATH": f"{IMAGE_PYTHON}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert ["svc0@" in line for line in done.stdout.splitlines()] == [True, False]


def test_what_a_later_image_kept_beside_is_no_reason_to_forget_the_rest(bench):
    bench.plan()
    bench.leave("confirm.json", plan_id="p1")
    noted = bench.folder / "network.json"
    found = json.loads(noted.read_text())
    noted.write_text(json.dumps({"kept": found["kept"] | {"of_later": 1}}))
    bench.start()
    assert bench.is_static


def test_killed_and_started_again_it_still_goes_back(tmp_path):
    """The very process, with SIGKILL, on the real clock."""

    def start():
        program = [sys.executable, "-m", "tests.integration.network_trial", str(tmp_path), "3"]
        return subprocess.Popen(program)

    def until(holds):
        deadline_s = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < deadline_s
            time.sleep(0.02)

    def text():
        path = tmp_path / UPLINK
        return path.read_text() if path.exists() else ""

    process = start()
    try:
        until(text)
        plan = tmp_path / "wishes/plan.json"
        plan.with_suffix(".new").write_text(json.dumps({"plan_id": "p", "network": STATIC}))
        plan.with_suffix(".new").rename(plan)
        until(lambda: "Address=10.1.2.3" in text())
        process.kill()
        process.wait()
        assert "Address=10.1.2.3" in text()
        process = start()
        until(lambda: "DHCP=yes" in text())
    finally:
        process.kill()
        process.wait()


def test_the_firewall_s_sets_are_put_into_a_kernel_and_taken_back(tmp_path):
    if why := missing():
        pytest.skip(why)
    bench = Bench(tmp_path)
    sets = tmp_path / "run/poleside-network/firewall.nft"
    before = sets.read_text()
    bench.plan(cameras="192.168.50.1/24", service_port=False)
    (tmp_path / "before.nft").write_text(before)
    show = "nft -j list table inet poleside"
    script = f"nft -f {RULES}; nft -f {sets}; {show}; nft -f {tmp_path}/before.nft; {show}"
    done = subprocess.run(
        [*APART, "sh", "-ec", script],
        env={"PATH": PATH},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found = [
        {
            one["set"]["name"]: one["set"].get("elem", [])
            for one in json.loads(line)["nftables"]
            if "set" in one
        }
        for line in done.stdout.splitlines()
    ]
    sets = ["cameras", "page_from", "service_ports", "shell_ports"]
    assert [sorted(each) for each in found] == [sets] * 2
    assert found[0]["service_ports"] == []
    assert found[0]["cameras"] == [{"prefix": {"addr": "192.168.50.0", "len": 24}}]
    assert found[0]["page_from"] == [{"prefix": {"addr": "10.1.0.0", "len": 16}}]
    assert found[1]["service_ports"] == ["svc0"]
    assert (found[1]["cameras"], found[1]["page_from"]) == (
        [{"prefix": {"addr": "10.77.0.0", "len": 24}}],
        [],
    )


@pytest.mark.skipif(shutil.which("chronyd", path=PATH) is None, reason="chronyd is not installed")
def test_chrony_understands_what_is_set(tmp_path):
    bench = Bench(tmp_path)
    bench.plan(cameras="192.168.50.1/24")
    folder = tmp_path / "run/poleside-network"
    config = RULES.parent / "chrony/conf.d/poleside.conf"
    text = config.read_text().replace("/run/poleside-network", str(folder))
    (tmp_path / "chrony.conf").write_text(text)
    done = subprocess.run(
        ["chronyd", "-p", "-f", str(tmp_path / "chrony.conf")],
        env={**os.environ, "PATH": PATH},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "bindaddress 192.168.50.1" in done.stdout
