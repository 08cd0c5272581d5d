"""The image's own units, firewall, network and clock say what the box promises to the outside."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from poleside_image import update
from poleside_image.programs import ANSWER_WITHIN_S

from agent.cameras.push_point import PORTS
from agent.local.usb import borrow
from hardware.linux import smart

IMAGE = Path(__file__).parents[2] / "image-build"
ROOTFS = IMAGE / "rootfs"
SANDBOXED = ["slot", "smart", "provision", "trial", "update", "export", "network", "network-boot"]
SANDBOXED += ["grow", "label", "shell", "sshd"]
# poleside-var and poleside-data make folders before there is anything to be protected from.


def read_ini(path):
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    parser.optionxform = str
    parser.read_string(path.read_text())
    return parser


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
@pytest.mark.parametrize("name", SANDBOXED)
def test_each_unit_of_ours_is_sandboxed(name):
    unit = IMAGE / f"units/poleside-{name}.service"
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    if found is None:
        pytest.skip(f"systemd-analyze security can't run here: {done.stderr.strip()[:200]}")
    assert float(found[1]) <= 2.0


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
def test_systemd_understands_the_units(tmp_path):
    for unit in IMAGE.glob("units/poleside-*.*"):
        program = shutil.which("true")
        text = re.sub(r"(?m)^(Exec\w+=)\S+", rf"\g<1>{program}", unit.read_text())
        (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    assert [line for line in done.stderr.splitlines() if line.startswith("poleside-")] == []


def test_a_trial_that_does_not_pass_ends_in_the_old_system():
    unit = read_ini(IMAGE / "units/poleside-trial.service")
    assert unit["Unit"]["FailureAction"] == "reboot-force"
    assert unit["Unit"]["ConditionPathExists"] == "/run/poleside-boot/trial"
    # the gate's own patience ends first, then systemd's, then that of the whole job
    assert int(unit["Service"]["TimeoutStartSec"]) < int(unit["Unit"]["JobTimeoutSec"])


def test_an_installation_has_time_to_end_and_to_wait_with_the_restart():
    limit = read_ini(IMAGE / "units/poleside-update.service")["Service"]["TimeoutStartSec"]
    others_s = 5 * ANSWER_WITHIN_S
    hours_s = int(limit.removesuffix("h")) * 3600
    assert update.INSTALL_WITHIN_S + update.HELD_WITHIN_S + others_s <= hours_s


def test_a_growth_that_fails_leaves_data_writable_and_strict():
    unit = (IMAGE / "units/poleside-grow.service").read_text()
    mounts = re.findall(r"(?m)^(Exec\w+)=\+-\S+ -o remount,errors=(\S+) /data$", unit)
    assert mounts == [
        ("ExecStartPre", "continue"),
        ("ExecStartPost", "remount-ro"),
        ("ExecStopPost", "remount-ro"),  # this one runs after a failure, too
    ]


def test_the_agent_outweighs_what_installs_updates():
    agent = read_ini(IMAGE / "units/poleside.service")["Service"]
    for path in (
        IMAGE / "units/poleside-update.service",
        ROOTFS / "etc/systemd/system/rauc.service.d/poleside.conf",
    ):
        other = read_ini(path)["Service"]
        assert int(other["CPUWeight"]) * 5 <= int(agent["CPUWeight"])
        assert int(other["IOWeight"]) * 5 <= int(agent["IOWeight"])


def test_who_shows_something_on_the_console_may_open_it():
    """A private /dev takes the console away, and the unit ends before its program (209/STDOUT)."""
    units = [unit.read_text() for unit in IMAGE.glob("units/*.service")]
    shows = [unit for unit in units if "Output=tty" in unit]
    assert shows
    assert all("\nDeviceAllow=/dev/console" in unit for unit in shows)


def test_the_hardware_watchdog_fits_a_raspberry_pi():
    manager = read_ini(ROOTFS / "etc/systemd/system.conf.d/poleside.conf")["Manager"]
    assert int(manager["RuntimeWatchdogSec"].removesuffix("s")) <= 15


FIREWALL = ROOTFS / "etc/nftables.conf"


def firewall_chains():
    text = re.sub(r"#.*", "", FIREWALL.read_text())
    return dict(re.findall(r"chain (\w+) \{(.*?)\n    \}", text, re.DOTALL))


def test_nothing_is_let_in_or_through_that_is_not_named():
    chains = firewall_chains()
    assert "hook input priority filter; policy drop;" in chains["input"]
    assert "hook forward priority filter; policy drop;" in chains["forward"]
    assert "accept" not in chains["forward"]


def test_no_port_is_open_towards_the_center():
    uplink = firewall_chains()["from_uplink"]
    accepted = [line.strip() for line in uplink.splitlines() if "accept" in line]
    assert len(accepted) == 3
    assert "ip saddr @page_from tcp dport 8470" in accepted[2]
    assert (
        "elements"
        not in re.search(r"set page_from \{(.*?)\n    \}", FIREWALL.read_text(), re.DOTALL)[1]
    )
    assert accepted[0].startswith("icmpv6 type { nd-")
    assert accepted[1].startswith("ip6 saddr fe80::/10 udp sport 547 udp dport 546")


def test_cameras_get_an_address_and_the_time_are_heard_and_get_no_page():
    chains = firewall_chains()
    assert sorted(re.findall(r"(\w+ dport \S+)", chains["from_cameras"])) == [
        f"tcp dport {PORTS[0]}-{PORTS[-1]}",
        "udp dport 123",
        "udp dport 32768-60999",
        "udp dport 3702",
        "udp dport 67",
    ]
    for line in chains["from_cameras"].splitlines():
        assert "ip saddr @cameras" in line or " dport " not in line or "dport 67" in line
    assert re.findall(r"tcp dport (\d+)", chains["from_technician"]) == ["8470"]


def test_nft_understands_the_firewall():
    nft = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin:/bin")
    command = [nft, "-c", "-f", str(FIREWALL)]
    if shutil.which("unshare"):  # a check asks the kernel too: in a network of its own
        command = ["unshare", "--user", "--map-root-user", "--net", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if "ermitted" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"nft can't check here: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr


def test_a_camera_is_told_no_way_out():
    network = read_ini(ROOTFS / "etc/systemd/network/10-cam0.network")
    server = network["DHCPServer"]
    assert [server["EmitRouter"], server["EmitDNS"], server["EmitNTP"]] == ["no", "no", "yes"]


def test_the_clock_serves_the_cameras_alone():
    clock = (ROOTFS / "etc/chrony/conf.d/poleside.conf").read_text().splitlines()
    address = read_ini(ROOTFS / "etc/systemd/network/10-cam0.network")["Network"]["Address"]
    assert f"bindaddress {address.removesuffix('/24')}" in clock
    assert [line for line in clock if line.startswith("allow")] == ["allow 10.77.0.0/24"]
    assert "cmdport 0" in clock
    assert any(line.startswith("makestep") for line in clock)  # no clock chip: years off


@pytest.mark.skipif(
    shutil.which("chronyd", path="/usr/sbin:/sbin:/usr/bin:/bin") is None,
    reason="chronyd is not installed",
)
def test_chrony_understands_its_file():
    chronyd = shutil.which("chronyd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    done = subprocess.run(
        [chronyd, "-p", "-f", str(ROOTFS / "etc/chrony/conf.d/poleside.conf")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_what_must_last_is_on_data_and_the_agent_s_folders_are_among_it():
    rows = [
        line.split()
        for line in (ROOTFS / "etc/fstab").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    binds = {row[1]: row[0] for row in rows if row[2] == "none"}
    service = read_ini(IMAGE / "units/poleside.service")["Service"]
    wanted = [f"/var/lib/{name}" for name in service["StateDirectory"].split()]
    for folder in [*wanted, f"/etc/{service['ConfigurationDirectory']}", "/var/log/journal"]:
        assert binds[folder].startswith("/data/")
    made = (IMAGE / "units/poleside-data.service").read_text()
    assert all(re.search(rf"{source}(\s|$)", made) for source in binds.values())


def test_the_kernel_starts_again_and_forwards_nothing():
    lines = (ROOTFS / "etc/sysctl.d/60-poleside.conf").read_text().splitlines()
    values = dict(line.split(" = ", 1) for line in lines if " = " in line)
    assert values["kernel.panic"] == "10"
    assert values["net.ipv4.ip_forward"] == values["net.ipv6.conf.all.forwarding"] == "0"


def test_rauc_trusts_two_keys_and_leaves_the_choice_to_our_backend():
    config = read_ini(ROOTFS / "etc/rauc/system.conf")
    backend = config["handlers"]["bootloader-custom-backend"]
    assert (ROOTFS / backend.removeprefix("/")).stat().st_mode & 0o111
    assert config["system"]["bundle-formats"] == "-plain"  # no format that is checked only once
    names = {section: dict(config[section]) for section in config if section.startswith("slot.")}
    assert [names[f"slot.system.{n}"]["bootname"] for n in (0, 1)] == ["a", "b"]
    for number, letter in enumerate("ab"):  # kernel and root are written and chosen together
        boot = names[f"slot.boot.{number}"]
        assert boot["parent"] == f"system.{number}"
        assert boot["device"].endswith(f"boot_{letter}")
    # nobody but the health gate says that a system is good
    assert (ROOTFS / "etc/systemd/system/rauc-mark-good.service").readlink() == Path("/dev/null")


def test_the_disks_are_asked_daily_and_the_agent_may_read_the_answer():
    service = read_ini(IMAGE / "units/poleside-smart.service")["Service"]
    assert f"run/{service['RuntimeDirectory']}" == smart.FOLDER
    assert service["RuntimeDirectoryPreserve"] == "yes"  # or systemd takes the answers away
    assert int(service["RuntimeDirectoryMode"], 8) & 0o005 == 0o005
    timer = read_ini(IMAGE / "units/poleside-smart.timer")["Timer"]
    assert int(timer["OnUnitActiveSec"].removesuffix("h")) * 3600 * 2 < smart.FRESH_S


LAUNCHERS = [
    "bootctl",
    "trial",
    "update",
    "provision",
    "smart",
    "network",
    "export",
    "grow",
    "shell",
]


@pytest.mark.parametrize("name", LAUNCHERS)
def test_each_launcher_leads_to_a_module(name):
    launcher = (ROOTFS / f"usr/lib/poleside/{name}").read_text()
    assert f"-m poleside_image.{name} " in launcher
    assert (IMAGE / f"python/poleside_image/{name}.py").exists()


def test_a_stick_is_lent_where_the_agent_asks_and_looks():
    plan = read_ini(IMAGE / "units/poleside-export.path")["Path"]["PathExists"]
    service = read_ini(IMAGE / "units/poleside-export.service")["Service"]
    module = (IMAGE / "python/poleside_image/export.py").read_text()
    assert plan == f"/var/lib/poleside/{borrow.FOLDER}/plan.json"
    assert f'Path("{Path(plan).parent}")' in module
    assert f'Path("/run/{service["RuntimeDirectory"]}")' in module
    assert service["RuntimeDirectoryPreserve"] == "yes"
    assert service["ExecStopPost"].endswith(" release")  # also after one that was killed
