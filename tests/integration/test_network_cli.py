"""A technician at a terminal changes the networks as at the page: on trial until confirmed."""

import json
import threading

import pytest
from click.testing import CliRunner

from agent.core.errors import SettingsError
from agent.local.cli.network import network
from agent.outbox.spool import read_spool
from tests.integration.network_trial import Folders, Networks


class Box:
    """A box's folder, and the image's own trial of networks beside it."""

    def __init__(self, folder):
        self.folder, self.ended = folder, threading.Event()
        wishes = folder / "network"
        wishes.mkdir()
        folders = Folders(wishes, folder / "network.json", wishes / "run", folder / "net")
        self.networks = Networks(folders, ())
        self.networks.start()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while not self.ended.wait(0.02):
            self.networks.look()

    def close(self):
        self.ended.set()
        self.thread.join()

    def say(self, *words):
        arguments = [words[0], "--data-dir", str(self.folder), *words[1:]]
        return CliRunner().invoke(network, arguments, catch_exceptions=False)

    def told(self, *words):
        done = self.say(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture
def box(tmp_path):
    box = Box(tmp_path)
    yield box
    box.close()


STATIC = ("--method", "static", "--address", "10.1.2.3/24", "--gateway", "10.1.2.1")


def test_it_is_on_trial_until_it_is_confirmed(box):
    assert box.told("show")["network"]["method"] == "dhcp"
    tried = box.told(
        "set",
        *STATIC,
        "--dns",
        "10.1.0.53",
        "--no-service-port",
        "--service-socket",
        "00:00:5E:00:53:01",
    )
    assert tried["confirm_within_s"] > 0
    assert "poleside network confirm" in box.say("show").output
    assert box.told("confirm") == {"confirmed": True}
    kept = box.told("show")
    assert kept["confirm_within_s"] is None
    assert kept["outcome"] == "kept"
    assert kept["network"]["address"] == "10.1.2.3/24"
    assert not kept["network"]["service_port"]
    assert kept["network"]["service_socket"] == "00:00:5e:00:53:01"
    ops = [line.entry.op for line in read_spool(box.folder).entries]
    assert ops == ["network.set", "network.confirm"]


def test_what_is_not_given_stays_and_nothing_takes_a_word_away(box):
    box.told("set", *STATIC, "--dns", "10.1.0.53", "--page-from", "10.1.0.0/16")
    box.told("confirm")
    kept = box.told("set", "--ntp", "ntp.city.example", "--page-from", "")["network"]
    assert kept["dns"] == ["10.1.0.53"]
    assert kept["ntp"] == ["ntp.city.example"]
    assert kept["page_from"] == []
    assert box.told("set", "--method", "dhcp")["network"]["method"] == "dhcp"


def test_a_wrong_wish_changes_nothing_and_says_why(box):
    with pytest.raises(SettingsError, match="gateway"):
        box.say("set", "--method", "static", "--address", "10.1.2.3/24", "--gateway", "10.9.9.9")
    assert box.told("show")["network"]["method"] == "dhcp"
    with pytest.raises(SettingsError, match="Nothing waits"):
        box.say("confirm")


def test_a_box_without_our_image_says_that_it_does_not_manage_them(tmp_path):
    with pytest.raises(SettingsError, match="does not manage"):
        CliRunner().invoke(network, ["show", "--data-dir", str(tmp_path)], catch_exceptions=False)
