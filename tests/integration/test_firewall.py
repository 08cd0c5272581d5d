"""The image's firewall in a real kernel: from each network only what is documented is reached."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cameras.push_point import PORTS

RULES = Path(__file__).parents[2] / "image-build/rootfs/etc/nftables.conf"
PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
APART = ["unshare", "--user", "--map-root-user", "--net"]


def missing():
    tools = [
        tool for tool in ("unshare", "nsenter", "ip", "nft") if not shutil.which(tool, path=PATH)
    ]
    if tools:
        return f"{', '.join(tools)} not installed"
    probe = "ip link add cam0 type veth peer name peer && nft add table inet probe"
    done = subprocess.run(
        [*APART, "sh", "-c", probe], env={"PATH": PATH}, capture_output=True, check=False
    )
    return "" if done.returncode == 0 else f"no networks of our own here: {done.stderr[:200]!r}"


@pytest.fixture(scope="module")
def seen():
    if why := missing():
        pytest.skip(why)
    scan = Path(__file__).with_name("firewall_scan.py")
    done = subprocess.run(
        [*APART, sys.executable, str(scan), str(RULES)],
        env={"PATH": PATH},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_camera_reaches_an_address_the_time_the_search_and_who_hears_its_events(seen):
    first, last = PORTS[0], PORTS[-1]
    assert seen["cam0"]["tcp"] == [["10.77.0.1", first], ["10.77.0.1", last]]
    anywhere = (68, 3702, 50_000)
    assert seen["cam0"]["udp"] == [
        [67, 68],
        *([123, source] for source in anywhere),
        *([3702, source] for source in anywhere),  # Hello and Bye
        [40_000, 3702],
    ]


def test_a_technician_reaches_the_page(seen):
    assert seen["svc0"]["tcp"] == [["10.77.1.1", 8470]]
    assert seen["svc0"]["udp"] == [[67, 68]]


def test_the_way_to_the_center_reaches_nothing(seen):
    assert seen["up0"] == {"tcp": [], "udp": []}
