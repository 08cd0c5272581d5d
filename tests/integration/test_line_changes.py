"""Fibre first, LTE while it is down: keepalive and data budget are those of the line in use."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent.settings.model import BrokerSettings
from agent.uplink.carrier import Carrier, Way, way_to
from agent.uplink.client import Ends
from agent.uplink.endpoint import Endpoint

APART = ["unshare", "--user", "--map-root-user", "--net"]
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
HERE = Path(__file__).parents[2]


def missing() -> str:
    """Return what this machine lacks for a network of one's own."""
    for tool in ("unshare", "ip", "mosquitto"):
        if not shutil.which(tool, path=PATH):
            return f"no {tool} here"
    lay = "ip link add eth9 type veth peer name eth9p"
    done = subprocess.run(
        [*APART, "sh", "-c", lay], env={"PATH": PATH}, capture_output=True, check=False
    )
    return "this kernel lets nobody lay lines" if done.returncode else ""


MISSING = missing()


@pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")
def test_the_link_follows_the_line_and_back(tmp_path):
    done = subprocess.run(
        [*APART, sys.executable, "-m", "tests.integration.line_changes", str(tmp_path)],
        cwd=HERE,
        env=os.environ | {"PATH": PATH},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    wired, lte = BrokerSettings().ping_s, BrokerSettings(link="lte").ping_s
    assert wired < lte
    assert json.loads(done.stdout) == [
        ["wired", wired, False],
        ["lte", lte, True],
        ["wired", wired, False],
    ]


def test_a_line_is_known_by_its_interface():
    broker = Endpoint("127.0.0.1", 1883, tls=False)
    assert way_to(broker, ("wwan*",)).kind == "wired"
    assert way_to(broker, ("lo",)).kind == "lte"
    assert way_to(Endpoint("no.such.name.invalid", 1883, tls=False), ()) is None


HERE_NOW = Ends(socket.AF_INET, "127.0.0.1", ("127.0.0.1", 1883))
GONE = Ends(socket.AF_INET, "192.0.2.7", ("127.0.0.1", 1883))
AUTO = BrokerSettings(link="auto")
UNKNOWN = Endpoint("no.such.name.invalid", 1883, tls=False)


def carrier(way):
    found = Carrier()
    found.way = way
    return found


def test_a_standing_connection_asks_the_routes_alone():
    on_wire = carrier(Way("lo", "wired"))
    assert not on_wire.is_another(UNKNOWN, HERE_NOW, AUTO)  # the name is not looked up
    other = Ends(socket.AF_INET, "127.0.0.2", HERE_NOW.peer)
    assert on_wire.is_another(UNKNOWN, other, AUTO)  # no interface has that address
    assert on_wire.is_another(UNKNOWN, GONE, AUTO)
    assert not on_wire.is_another(UNKNOWN, None, AUTO)
    assert not on_wire.is_another(UNKNOWN, GONE, BrokerSettings(link="lte"))


async def test_a_name_that_was_not_found_does_not_make_a_fibre_lte_for_ever():
    unknown = carrier(None)
    assert (await unknown.choose(UNKNOWN, AUTO)).link == "lte"
    assert unknown.is_another(UNKNOWN, HERE_NOW, AUTO)
    assert (await unknown.choose(UNKNOWN, AUTO)).link == "wired"  # not again and again
    assert not unknown.is_another(UNKNOWN, HERE_NOW, AUTO)
