"""A box without settings makes its own, and shows its label until it is claimed, then forgets it.

`poleside config check` is a small script that says what the test wants.
"""

import errno
import json
import os
from dataclasses import replace

import pytest
from poleside_image import label, network_files, small_files
from poleside_image.provision import Places, provision

from agent.core.errors import PolesideError
from agent.health.settings_file import StickTold, told_of_stick
from agent.local.access.claim import (
    LABEL_OVER,
    LABEL_TOLD,
    SWITCHED_ON_S,
    ClaimCheck,
    make_secret,
)
from agent.settings.load import read_file, validate
from tests.fake_clock import FakeClock

LABEL = "0123-4567-89AB-CDEF"


@pytest.fixture
def places(tmp_path):
    names = ("stick", "settings", "noted", "agent", "run/poleside-provision")
    places = Places(*(tmp_path / name for name in names), tmp_path / "medium", tmp_path / "udev")
    for folder in (places.stick, places.settings, places.noted, places.agent):
        folder.mkdir()
    return places


@pytest.fixture(autouse=True)
def checker(tmp_path, monkeypatch):
    """Say of settings what `exit` is set to."""
    program = tmp_path / "bin/poleside"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexit $(cat {tmp_path}/exit)\n")
    program.chmod(0o755)
    (tmp_path / "exit").write_text("0")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def boot(places):
    return provision(places, "poleside-1a2b3c4d", group=os.getegid())


def settings_of(places):
    return validate(read_file(places.settings / "poleside.toml"))


def shown(places):
    file = places.run / "label.txt"
    return file.read_text() if file.exists() else ""


def check_of(places, clock=None, *, has_button=False):
    run = places.run.parent
    clock = clock or FakeClock()
    return ClaimCheck(places.agent, places.run, clock, None, run, has_button=has_button)


def plug_in(places):
    """Have udev see a technician's stick, with the file that says he is there."""
    places.udev.mkdir()
    (places.udev / "b8:1").write_text("S:disk/by-label/POLESIDE\nE:ID_FS_LABEL=POLESIDE\nG:x\n")
    (places.stick / "visit.txt").touch()


def test_a_box_without_anything_makes_settings_the_agent_starts_with(places):
    told = boot(places)
    settings = settings_of(places)
    assert (settings.box, settings.cameras) == ("poleside-1a2b3c4d", ())
    assert settings.page.listen == "0.0.0.0:8470"
    assert told["page_at_cameras"]
    assert "/claim#" in shown(places)


def test_the_label_has_the_address_of_the_socket_that_there_is(places):
    boot(places)
    assert "https://10.77.0.1:8470/claim#" in shown(places).splitlines()[2]
    (places.stick / "service-port.txt").write_text("platform-*-usb-0:1.2:*")
    boot(places)
    assert "https://10.77.1.1:8470/claim#" in shown(places).splitlines()[2]


def test_the_label_stays_the_same_until_the_box_is_claimed_and_is_forgotten_then(places):
    boot(places)
    before = shown(places)
    boot(places)
    assert shown(places) == before
    secret = before.partition("#")[2].splitlines()[0]
    check_of(places).check(secret.lower(), "")
    assert not boot(places)["page_at_cameras"]
    assert shown(places) == ""
    assert not any(secret.replace("-", "") in one.read_text() for one in places.noted.iterdir())
    check = check_of(places)
    with pytest.raises(PolesideError):
        check.check(secret, "")  # switching on is enough for the first claim alone
    check.pressed()
    check.check(secret, "")  # but the label goes on opening the box to who is there


def test_without_somebody_there_the_secret_alone_opens_nothing(places):
    boot(places)
    secret = json.loads((places.run / "label.json").read_text())["secret"]
    late = FakeClock()
    late.pass_s(SWITCHED_ON_S)
    with pytest.raises(PolesideError) as refused:
        check_of(places, late).check(secret, "")
    assert refused.value.code == "access.claim"
    with pytest.raises(PolesideError):
        check_of(places).check(LABEL, "")


def test_where_there_is_a_claim_button_switching_on_does_not_stand_for_it(places):
    boot(places)
    secret = json.loads((places.run / "label.json").read_text())["secret"]
    check = check_of(places, has_button=True)
    with pytest.raises(PolesideError):
        check.check(secret, "")
    check.pressed()
    check.check(secret, "")


def test_a_technician_s_stick_lets_the_label_claim_again_for_this_boot_and_opens_the_page(places):
    (places.stick / "label.txt").write_text(LABEL)
    boot(places)
    check_of(places).check(LABEL, "")
    plug_in(places)
    told = boot(places)
    assert told["page_at_cameras"]
    assert told_of_stick(places.run.parent) == StickTold("has settings", is_visited=True)
    with pytest.raises(PolesideError):
        check_of(places).check("0" * 16, "")
    with pytest.raises(PolesideError):
        check_of(places, has_button=True).check(LABEL, "")
    late = FakeClock()
    late.pass_s(SWITCHED_ON_S + 1)
    with pytest.raises(PolesideError):
        check_of(places, late).check(LABEL, "")
    check_of(places).check(LABEL, "")
    (places.udev / "b8:1").unlink()
    assert not boot(places)["page_at_cameras"]
    with pytest.raises(PolesideError):
        check_of(places).check(LABEL, "")


def test_a_secret_made_at_the_console_ends_the_label_s(places):
    boot(places)
    make_secret(places.agent)
    assert (places.agent / "keys" / LABEL_OVER).exists()
    boot(places)
    assert shown(places) == ""


def test_the_stick_s_label_and_settings_take_the_place_of_the_box_s_own(places):
    boot(places)
    (places.stick / "label.txt").write_text(f"https://10.77.1.1:8470/claim#{LABEL}\n")
    (places.stick / "poleside.toml").write_text('box = "bx-7"\n')
    told = boot(places)
    assert told["settings"] == "settings taken from the stick"
    assert not told["page_at_cameras"]  # somebody thought of how the box is to be reached
    assert settings_of(places).box == "bx-7"
    assert LABEL in shown(places)
    (places.stick / "poleside.toml").write_text('box = "bx-8"\n')
    assert boot(places)["settings"] == "has settings"


def test_a_claimed_box_takes_no_settings_from_a_stick(places):
    boot(places)
    make_secret(places.agent)
    (places.stick / "poleside.toml").write_text('box = "bx-8"\n')
    assert boot(places)["settings"] == "has settings"


@pytest.mark.parametrize("name", ["poleside.toml", "label.txt"])
def test_a_wrong_stick_is_told_and_the_box_comes_up_all_the_same(places, tmp_path, name):
    (tmp_path / "exit").write_text("1")
    (places.stick / name).write_text("hardly")
    assert boot(places)["is_refused"]
    assert settings_of(places).box == "poleside-1a2b3c4d"
    assert "/claim#" in shown(places)
    assert "stick" in told_of_stick(places.run.parent).settings
    assert told_of_stick(places.run.parent).is_refused
    (places.stick / name).unlink()
    boot(places)
    assert not told_of_stick(places.run.parent).is_refused


@pytest.mark.parametrize(("number", "is_refused"), [(errno.ENODEV, False), (errno.EIO, True)])
def test_an_automount_without_a_stick_is_no_fault_but_a_broken_stick_is(places, number, is_refused):
    class Automount(type(places.stick)):
        """Fails as the kernel does where no device answers."""

        def is_symlink(self):
            raise OSError(number, os.strerror(number))

    told = boot(replace(places, stick=Automount(places.stick)))
    assert told["is_refused"] is is_refused
    assert settings_of(places).box == "poleside-1a2b3c4d"


def test_a_box_in_service_that_lost_its_data_opens_nothing_to_the_cameras(places):
    places.medium.write_text("data=tmpfs e2fsck=8 disk=mmcblk0\n")
    assert not boot(places)["page_at_cameras"]


def test_a_new_box_s_page_is_let_through_from_the_cameras_socket():
    network = network_files.checked({})
    text = network_files.rendered(network, page_at_cameras=True)[network_files.FIREWALL_FILE]
    assert 'service_ports { "svc0", "cam0" }' in text
    assert "cam0" not in network_files.rendered(network)[network_files.FIREWALL_FILE]


def test_the_stick_says_which_socket_is_the_service_port_until_the_box_is_claimed(places):
    word = places.stick / "service-port.txt"
    word.write_text("00:00:5E:00:53:02\n")
    small_files.write(places.noted / "network.json", {"kept": {"dns": ["10.1.0.53"]}})
    boot(places)
    assert "https://10.77.1.1:8470/claim#" in shown(places).splitlines()[2]
    kept = small_files.read(places.noted / "network.json")["kept"]
    assert [kept["service_socket"], kept["dns"]] == ["00:00:5e:00:53:02", ["10.1.0.53"]]
    word.write_text("the left one")
    assert boot(places)["is_refused"]
    assert small_files.read(places.noted / "network.json")["kept"] == kept
    make_secret(places.agent)
    word.write_text("00:00:5e:00:53:03")
    assert not boot(places)["is_refused"]
    assert small_files.read(places.noted / "network.json")["kept"] == kept


def test_a_service_port_of_a_strange_stick_is_told_or_not_read(places):
    word = places.stick / "service-port.txt"
    word.write_text("00:00:5e:00:53:01", "utf-8-sig")  # as some editors write it
    assert not boot(places)["is_refused"]
    kept = small_files.read(places.noted / "network.json")["kept"]
    assert kept["service_socket"] == "00:00:5e:00:53:01"
    word.write_text("00:00:5e:00:53:02", "utf-16")
    assert "no plain text" in boot(places)["settings"]
    word.unlink()
    os.mkfifo(word)  # whoever reads it waits for ever
    assert not boot(places)["is_refused"]
    word.unlink()
    word.symlink_to("/dev/zero")  # whoever reads it never ends
    assert not boot(places)["is_refused"]
    assert small_files.read(places.noted / "network.json")["kept"] == kept


def test_label_and_agent_agree_on_what_they_leave_each_other(places):
    assert label.OVER_FILE == LABEL_OVER
    assert Places().run / label.TOLD == (Places().run.parent / LABEL_TOLD)
    small_files.write(places.noted / label.KEPT, {"secret": "no secret at all"})
    boot(places)
    assert "no secret" not in shown(places)
