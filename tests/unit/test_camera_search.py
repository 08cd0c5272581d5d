"""What cameras say by themselves is kept for all that look for one, and bounded by its age."""

import socket

import pytest

from agent.app.camera_search import CameraSearch
from agent.cameras.discovery import GROUP, FoundCamera
from agent.cameras.identity import Identity
from tests.simulated_onvif import ShiftedClock, eventually

_OURS = Identity(epr="urn:uuid:ours", model="X1")
_SPACE = 'xmlns:s="http://www.w3.org/2003/05/soap-envelope"'


def _told(kind: str, name: str) -> bytes:
    epr = f"<EndpointReference><Address>urn:uuid:{name}</Address></EndpointReference>"
    scopes = "<Scopes>onvif://www.onvif.org/hardware/X1</Scopes>"
    address = "<XAddrs>http://127.0.0.1/onvif/device_service</XAddrs>"
    entry = f"<{kind}>{epr}{scopes}{address}</{kind}>"
    return f"<s:Envelope {_SPACE}><s:Body>{entry}</s:Body></s:Envelope>".encode()


def _search(clock, interfaces=tuple, port=3702) -> CameraSearch:
    search = CameraSearch(clock, interfaces=interfaces, port=port)
    search._probed_mono_s = float("inf")  # nobody answers a probe
    return search


async def test_a_hello_is_there_for_every_camera_that_is_lost_until_it_is_old():
    clock = ShiftedClock()
    search = _search(clock)
    search.datagram_received(_told("Hello", "ours"), ("127.0.0.1", 3702))
    assert (await search.find(Identity(epr="urn:uuid:another")))[0] is None
    found, _ = await search.find(_OURS)
    assert found is not None
    clock.shift_s += 61.0
    assert (await search.find(_OURS))[0] is None


async def test_bogus_ones_do_not_keep_out_those_that_come():
    search = _search(ShiftedClock())
    for kind in ("Hello", "Bye"):
        for number in range(300):
            search.datagram_received(_told(kind, f"bogus-{kind}-{number}"), ("127.0.0.1", 3702))
    search.datagram_received(_told("Bye", "other"), ("127.0.0.1", 3702))
    search.datagram_received(_told("Hello", "ours"), ("127.0.0.1", 3702))
    assert search.has_left("urn:uuid:other")
    assert not search.has_left("urn:uuid:other")
    assert (await search.find(_OURS))[0] is not None
    assert len(search._heard) == len(search._left) + 1 == 256


async def test_an_interface_that_came_later_is_listened_to(unused_tcp_port):
    clock, interfaces = ShiftedClock(), []
    search = _search(clock, lambda: tuple(interfaces), unused_tcp_port)
    await search.open()
    interfaces.append("127.0.0.1")
    clock.shift_s += 31.0
    await search.open()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as voice:
        here = socket.inet_aton("127.0.0.1")
        voice.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
        voice.sendto(_told("Hello", "ours"), (GROUP, unused_tcp_port))
        await eventually(search.news.is_set)
    search.close()


def _answer(address: str, name: str, mac: str) -> FoundCamera:
    scopes = ("onvif://www.onvif.org/hardware/X1", f"onvif://www.onvif.org/MAC/{mac}")
    return FoundCamera(
        address, f"http://{address}/onvif/device_service", f"urn:uuid:{name}", scopes
    )


@pytest.mark.parametrize(
    "second",
    [
        ("192.0.2.8", "ours", "02005e000002"),  # its other network card
        ("192.0.2.8", "ours", "02005e000001"),  # another address of the same card
        ("192.0.2.8", "copy", "02005e000001"),  # a copied MAC: told apart by its endpoint id
        ("192.0.2.8", "ours", "02005e000099"),  # a copied endpoint id: by its MAC
    ],
)
async def test_a_camera_with_two_addresses_is_one_camera(second):
    search = _search(ShiftedClock())
    search._probed = _answer("192.0.2.7", "ours", "02005e000001"), _answer(*second)
    macs = ("02005e000001", "02005e000002")
    found, doubtful = await search.find(Identity(epr="urn:uuid:ours", macs=macs, model="X1"))
    assert found is not None
    assert found.address == "192.0.2.7"
    assert doubtful == ()


async def test_two_addresses_of_a_camera_in_doubt_are_one_candidate():
    search = _search(ShiftedClock())
    search._probed = tuple(
        _answer(address, "new", "02005e000001") for address in ("192.0.2.7", "192.0.2.8")
    )
    known = Identity(epr="urn:uuid:ours", macs=("02005e000001",), model="X2")
    _, doubtful = await search.find(known)
    assert len(doubtful) == 1


async def test_a_camera_that_renamed_itself_and_moved_is_found_by_mac_and_model():
    search = _search(ShiftedClock())
    search._probed = (_answer("192.0.2.7", "after-update", "02005e000001"),)
    known = Identity(epr="urn:uuid:ours", macs=("02005e000001",), model="X1", serial="S-7")
    found, _ = await search.find(known)
    assert found is not None
