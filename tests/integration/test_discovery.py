"""Each interface is asked until it brings nobody new, and the last /24 when the group is deaf."""

import asyncio
import socket
from contextlib import contextmanager

import pytest

from agent.app import camera_search
from agent.app.camera_search import CameraSearch
from agent.cameras import discovery
from agent.cameras.address import repair_service_url, repair_stream_url
from agent.cameras.identity import Identity, identity_of
from agent.cameras.port import CameraBadResponse
from agent.core.clock import SystemClock
from tests.simulated_onvif import running_camera


class _SlowClock(SystemClock):
    """Four seconds for one: an answer has time to come before the next probe, on any machine."""

    def monotonic_s(self):
        return super().monotonic_s() / 4


CLOCK = _SlowClock()
OTHER = "127.0.0.7"  # another of our own addresses


class _Neighbour(asyncio.DatagramProtocol):
    """Hears probes and answers those it is told to, as cameras of these names."""

    def __init__(self, answers):
        self._answers = answers  # from the n-th probe of a sender on: names
        self.probes = {}

    def connection_made(self, transport):
        self._line = transport

    def datagram_received(self, data, sender):
        count = self.probes[sender[0]] = self.probes.get(sender[0], 0) + 1
        for at, name in self._answers.get(sender[0], ()):
            if count >= at:
                self._line.sendto(_match(name), sender)


def _match(name, url="http://127.0.0.1/"):
    epr = f"<EndpointReference><Address>urn:uuid:{name}</Address></EndpointReference>"
    told = f"<ProbeMatch>{epr}<Scopes>{url}</Scopes><XAddrs>{url}</XAddrs></ProbeMatch>"
    space = 'xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    return f"<s:Envelope {space}><s:Body>{told}</s:Body></s:Envelope>".encode()


@contextmanager
def _group(port):
    heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    heard.bind(("", port))
    joined = socket.inet_aton(discovery.GROUP) + socket.inet_aton("127.0.0.1")
    heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
    heard.setblocking(False)
    try:
        yield heard
    finally:
        heard.close()


async def _probed(port, answers, interfaces):
    with _group(port) as heard:
        loop = asyncio.get_running_loop()
        line, neighbour = await loop.create_datagram_endpoint(
            lambda: _Neighbour(answers), sock=heard
        )
        found = await asyncio.to_thread(
            discovery.probe, CLOCK, interfaces=interfaces, wait_s=1.5, port=port
        )
        line.close()
    return {camera.epr for camera in found}, neighbour.probes


async def test_an_answer_on_one_interface_silences_no_other(unused_tcp_port):
    answers = {"127.0.0.1": [(1, "a")], OTHER: [(3, "b")]}
    found, probes = await _probed(unused_tcp_port, answers, ("127.0.0.1", OTHER))
    assert found == {"urn:uuid:a", "urn:uuid:b"}
    assert probes[OTHER] == 3


async def test_a_camera_that_missed_the_first_probe_is_found_by_a_repeat(unused_tcp_port):
    answers = {"127.0.0.1": [(1, "a"), (2, "b"), (3, "c")]}
    found, probes = await _probed(unused_tcp_port, answers, ("127.0.0.1",))
    assert found == {"urn:uuid:a", "urn:uuid:b", "urn:uuid:c"}
    assert probes == {"127.0.0.1": 3}


async def test_where_a_repeat_brings_nobody_new_no_more_is_asked(unused_tcp_port):
    _, probes = await _probed(unused_tcp_port, {"127.0.0.1": [(1, "a")]}, ("127.0.0.1",))
    assert probes == {"127.0.0.1": 2}


async def test_what_the_group_does_not_bring_is_found_beside_its_last_address(unused_tcp_port):
    async with running_camera(discovery_port=unused_tcp_port) as device:
        search = CameraSearch(SystemClock(), interfaces=tuple, port=unused_tcp_port)
        wanted = Identity(epr=device.epr, macs=("02005e000001",))
        assert await search.find(wanted) == (None, ())
        found, _ = await search.find(wanted, "http://127.0.0.93/onvif/device_service")
        assert found.url == device.url


def test_only_private_networks_of_256_addresses_are_searched_through():
    assert camera_search._network("http://10.77.0.12:8000/onvif") == "10.77.0.0/24"
    for url in ("http://8.8.8.8/", "http://camera.example/", "http://[fe80::1]/", "", "http://[/"):
        assert camera_search._network(url) == ""


@pytest.mark.parametrize(
    "url", ["http://[", "http://[::1", "http://10.0.0.1:99999999/", "http://a:b/", "x", "//["]
)
def test_an_address_that_is_none_breaks_no_search(url):
    for camera in discovery.read_announcement(_match("a", url), "10.0.0.9"):
        assert identity_of(camera).epr == "urn:uuid:a"
        assert camera.scope("name") == ""
    with pytest.raises(CameraBadResponse):
        repair_service_url("http://[", "http://10.0.0.9/")
    with pytest.raises(CameraBadResponse):
        repair_stream_url("rtsp://10.0.0.9:99999999/", "http://10.0.0.9/")
