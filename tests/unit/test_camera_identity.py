"""Two keys must agree and none contradict, because each single one of them lies."""

import pytest

from agent.cameras.discovery import FoundCamera
from agent.cameras.identity import Identity, Match, identity_of, mac_of, match

_KNOWN = Identity(epr="urn:1", macs=("aabbccddeeff",), serial="S-77", maker="Acme", model="X1")


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (Identity(epr="urn:1", macs=("aabbccddeeff",)), Match.SAME),
        (Identity(epr="urn:new", macs=("aabbccddeeff",), serial="S-77"), Match.SAME),
        (Identity(epr="urn:1", model="x1"), Match.SAME),
        (Identity(macs=("aabbccddeeff",)), Match.DOUBT),
        (Identity(epr="urn:1", macs=("000000000009",)), Match.DOUBT),
        (Identity(macs=("aabbccddeeff",), serial="S-78", model="X1"), Match.DOUBT),
        (Identity(serial="S-78", maker="Acme", model="X1"), Match.OTHER),
        (Identity(), Match.OTHER),
    ],
)
def test_a_match_needs_two_keys_that_agree(seen, verdict):
    assert match(_KNOWN, seen) is verdict


def test_sample_values_of_factories_prove_nothing():
    fake = Identity(serial="0123456789", macs=("001122334455",))
    assert match(fake, fake) is Match.OTHER


def test_the_kernel_s_neighbours_give_a_mac_and_scopes_too(tmp_path):
    arp = tmp_path / "arp"
    arp.write_text(
        "IP address HW type Flags HW address Mask Device\n"
        "10.0.0.7 0x1 0x2 AA:BB:CC:DD:EE:FF * eth0\n",
        "ascii",
    )
    assert mac_of("10.0.0.7", arp=arp) == "aabbccddeeff"
    scopes = ("onvif://www.onvif.org/hardware/X1", "onvif://www.onvif.org/MAC/AA-BB-CC-DD-EE-FF")
    found = FoundCamera("10.0.0.7", "http://10.0.0.7/onvif/device_service", "urn:9", scopes)
    assert identity_of(found, arp=arp) == Identity(epr="urn:9", macs=("aabbccddeeff",), model="X1")


def test_a_copied_mac_in_the_announcement_does_not_outdo_the_one_on_the_wire(tmp_path):
    row = "{} 0x1 {} {} * eth0\n"
    arp = tmp_path / "arp"
    arp.write_text(
        "IP address HW type Flags HW address Mask Device\n"
        + row.format("10.0.0.8", "0x2", "00:00:5e:00:53:01")
        + row.format("10.0.0.9", "0x0", "00:00:00:00:00:00"),
        "ascii",
    )

    def announced_at(host):
        scopes = ("onvif://www.onvif.org/MAC/aabbccddeeff", "onvif://www.onvif.org/hardware/X1")
        url = f"http://{host}/onvif/device_service"
        return identity_of(FoundCamera(host, url, _KNOWN.epr, scopes), arp=arp)

    assert match(_KNOWN, announced_at("10.0.0.8")) is Match.DOUBT
    assert match(_KNOWN, announced_at("10.0.0.9")) is Match.SAME  # nobody answered ARP there
