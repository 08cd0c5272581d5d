"""What is laid over NVIDIA's system is there, fits its Ubuntu, and leaves the uplink to it."""

import configparser
import os
import re
import subprocess
from pathlib import Path

import pytest

IMAGE = Path(__file__).parents[2] / "image-build"
JETSON = IMAGE / "jetson"
CAMERAS, SERVICE = "00:00:5e:00:53:01", "00:00:5E:00:53:02"


@pytest.fixture
def board(tmp_path):
    """A root to lay into, and stand-ins of the two programs that change a board."""
    for name, code in {"nft": "$(cat $POLESIDE_ROOT/nft)", "systemctl": "0"}.items():
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho {name} "$@" >>$POLESIDE_ROOT/asked\nexit {code}\n')
        program.chmod(0o755)
    (tmp_path / "nft").write_text("0")
    return tmp_path


def lay(board, *addresses):
    path = f"{board}/bin:{os.environ['PATH']}"
    return subprocess.run(
        ["sh", str(JETSON / "network"), *addresses],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PATH": path, "POLESIDE_ROOT": str(board)},
    )


@pytest.mark.parametrize("script", ["install", "network"])
def test_all_that_a_script_lays_is_in_the_checkout(script):
    text = (JETSON / script).read_text()
    subprocess.run(["sh", "-n", str(JETSON / script)], check=True)
    places = {"build": IMAGE, "here": JETSON, "etc": IMAGE / "rootfs/etc"}
    named = re.findall(r'"\$(build|here|etc)/([^"$]+)"', text)
    assert len(named) > 5
    assert [f"{at}/{name}" for at, name in named if not (places[at] / name).exists()] == []


def test_the_restart_is_allowed_by_both_kinds_of_polkit():
    rule = (IMAGE / "units/50-poleside-reboot.rules").read_text()
    local = configparser.ConfigParser()
    local.optionxform = str
    local.read(JETSON / "poleside-reboot.pkla")
    (section,) = local.sections()
    assert local[section]["Identity"] == "unix-user:poleside"
    assert local[section]["Action"].split(";") == re.findall(r'"(org\.freedesktop[^"]+)"', rule)


def test_firewall_networks_and_clock_are_laid_and_the_uplink_stays(board):
    done = lay(board, CAMERAS, SERVICE)
    assert done.returncode == 0, done.stderr
    networks = board / "etc/systemd/network"
    assert sorted(file.name for file in networks.iterdir()) == [
        *("10-cam0.link", "10-cam0.network", "10-svc0.link", "10-svc0.network"),
    ]
    assert f"MACAddress={CAMERAS}\n" in (networks / "10-cam0.link").read_text()
    assert "Name=svc0\n" in (networks / "10-svc0.link").read_text()
    kept_out = (board / "etc/NetworkManager/conf.d/poleside.conf").read_text()
    assert "unmanaged-devices=interface-name:cam0;interface-name:svc0\n" in kept_out
    assert (board / "etc/nftables.conf").read_text() == (
        IMAGE / "rootfs/etc/nftables.conf"
    ).read_text()
    clock = (board / "etc/chrony/conf.d/poleside.conf").read_text()
    assert "\nbindaddress 10.77.0.1\n" in clock
    assert "/run/poleside-network" not in clock
    assert "enable nftables.service" in (board / "asked").read_text()


def test_a_kernel_that_takes_no_firewall_and_a_wrong_address_change_nothing(board):
    (board / "nft").write_text("1")
    assert "nothing was changed" in lay(board, CAMERAS).stderr
    (board / "nft").write_text("0")
    assert "no hardware address" in lay(board, "eth0").stderr
    assert lay(board).returncode != 0
    assert not (board / "etc").exists()
