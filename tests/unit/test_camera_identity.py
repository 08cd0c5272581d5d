"""Two keys must agree and none contradict, because each single one of them lies."""

import pytest

from agent.cameras.discovery import FoundCamera
from agent.cameras.identity import Identity, Match, identity_of, match, weighed
from agent.core.shown import Shown, Verdict, mac_of

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


_OPEN = Shown(epr="urn:1", mac="aabbccddeeff", realm="Login to S-77")
_MET = Identity(epr="urn:1", macs=("aabbccddeeff",), serial="S-77", shown=_OPEN)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (_OPEN, Verdict.OURS),
        (Shown(epr="urn:1", mac="aabbccddeeff", realm="after an update"), Verdict.OURS),
        (Shown(epr="urn:1", realm="Login to S-77"), Verdict.OURS),  # behind a router now
        (Shown(epr="urn:new", mac="aabbccddeeff", realm="Login to S-77"), Verdict.NAMELESS),
        (Shown(epr="urn:new", mac="aabbccddeeff", realm="another"), Verdict.STRANGER),  # a copy
        (Shown(mac="aabbccddeeff"), Verdict.STRANGER),  # a copy that says nothing
        (Shown(epr="urn:1", mac="000000000009", realm="Login to S-77"), Verdict.STRANGER),
        (Shown(realm="Login to S-77"), Verdict.STRANGER),
        (Shown(), Verdict.STRANGER),
    ],
)
def test_before_a_login_two_of_the_keys_it_shows_must_agree(seen, verdict):
    assert weighed(_MET, seen) is verdict


def test_one_that_never_showed_more_than_one_key_is_taken_as_it_was():
    shy = Identity(epr="urn:1", serial="S-77", shown=Shown(realm="camera"))
    assert weighed(shy, Shown(realm="camera")) is Verdict.UNPROVEN
    assert weighed(shy, Shown(realm="other")) is Verdict.STRANGER
    assert weighed(Identity(serial="S-77"), Shown(epr="urn:9")) is Verdict.UNPROVEN


def test_a_mac_that_two_devices_have_tells_nothing():
    both = frozenset({"aabbccddeeff"})
    copied = Shown(epr="urn:new", mac="aabbccddeeff", realm="Login to S-77")
    assert weighed(_MET, copied, both) is Verdict.STRANGER
    assert weighed(_MET, _OPEN, both) is Verdict.OURS
