"""Network and firewall on the page, against the image's own service in folders of the test."""

import contextlib
import json
import threading
from collections.abc import Callable

import pytest

from tests.browser.chromium import Browser
from tests.browser.finger import open_page
from tests.browser.shown_box import ShownBox
from tests.browser.test_page_accessible import serious_of
from tests.browser.test_page_first_paint import looks_good
from tests.claimed_box import claimed_box, cookie_of
from tests.integration.network_trial import Networks, folders_in
from tests.simulated_onvif import ShiftedClock

Browse = Callable[..., Browser]

CONFIRM_IS = "return Boolean(document.querySelector('#net-confirm').getClientRects().length)"
TOLD = "return document.querySelector(`[data-net='${arguments[0]}']`)"
STATIC = {"method": "static", "address": "10.1.2.3/24", "gateway": "10.1.2.1", "ntp": "ntp.city"}
SOCKET = "00:00:5e:00:53:01"


@contextlib.contextmanager
def service(folder, clock):
    """Run the image's network service until the block ends."""
    folders, ended = folders_in(folder), threading.Event()
    networks = Networks(
        type(folders)(folder / "network", folders.kept, folder / "network/run", folders.net),
        (),
        clock.monotonic_s,
    )
    networks.start()

    def run():
        while not ended.wait(0.05):
            networks.look()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def box(tmp_path):
    shown = ShownBox()
    shown.clock = ShiftedClock()
    with claimed_box(tmp_path, shown=shown) as box:
        yield box


def fill(browser, **values):
    script = """
        const field = document.querySelector(`#net-form [name=${arguments[0]}]`);
        field.value = arguments[1]; field.dispatchEvent(new Event('change'));
    """
    for name, value in values.items():
        browser.run(script, name, value)
    browser.click("#net-form button")


def in_force(box):
    return (box.folder / "network/run/systemd/network/75-poleside-uplink.network").read_text()


def open_network(browser, box):
    shown = "return document.querySelector('#net-form [name=cameras]')?.value === '10.77.0.1/24'"
    open_page(browser, box, "/setup/network", shown)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_another_address_is_tried_and_confirmed(box, browse: Browse, tmp_path, language):
    with service(box.folder, box.shown.clock):
        browser = browse(language)
        open_network(browser, box)
        fill(browser, **STATIC, service_socket=SOCKET)
        browser.wait(CONFIRM_IS)
        looks_good(browser, tmp_path / f"network-{language}.png")
        assert serious_of(browser) == []
        assert "Address=10.1.2.3/24" in in_force(box)
        browser.click("#confirm")
        browser.wait(TOLD, "way-kept")
        assert [one.op for one in box.entries()][-2:] == ["page.network", "page.confirm"]
        box.shown.clock.shift_s = 1000
        browser.wait(f"return !({CONFIRM_IS.removeprefix('return ')})")
        assert "Address=10.1.2.3/24" in in_force(box)
        link = box.folder / "network/run/systemd/network/15-poleside-svc0.link"
        assert f"MACAddress={SOCKET}" in link.read_text()
        assert browser.complaints() == []


def test_what_nobody_confirms_is_taken_back(box, browse: Browse):
    with service(box.folder, box.shown.clock):
        browser = browse()
        open_network(browser, box)
        fill(browser, **STATIC)
        browser.wait(CONFIRM_IS)
        box.shown.clock.shift_s = 301
        browser.wait(TOLD, "net-back")
        assert "DHCP=yes" in in_force(box)
        fill(browser, method="static", address="10.77.0.7/24", gateway="10.77.0.1")
        browser.wait("return document.querySelector('[data-code=\"network.refused\"]')")
        assert "DHCP=yes" in in_force(box)


def test_what_is_being_typed_is_not_taken_away(box, browse: Browse):
    """Somebody else changes the network meanwhile: the other fields follow when one has done."""
    with service(box.folder, box.shown.clock):
        browser = browse()
        open_network(browser, box)
        browser.run(
            "const field = document.querySelector('#net-form [name=dns]');"
            "field.focus(); field.value = '10.1.'"
        )
        cookie = cookie_of(box.sign_in("kim"))
        answer = box.send(
            "/setup/network", cookie, csrf=box.csrf(cookie), cameras="10.77.0.1/24", **STATIC
        )
        assert answer.status == 200
        browser.wait(CONFIRM_IS)
        typed = "const {name, value} = document.activeElement; return [name, value]"
        assert browser.run(typed) == ["dns", "10.1."]
        browser.run("document.activeElement.blur()")
        shown = "return document.querySelector('#net-form [name=address]').value === arguments[0]"
        browser.wait(shown, STATIC["address"])


def test_where_it_is_not_managed_the_page_says_so(box, browse: Browse):
    browser = browse()
    open_page(browser, box, "/setup/network", "return document.querySelector('#not-managed')")
    cookie = cookie_of(box.sign_in("kim"))
    answer = box.send("/setup/network", cookie, csrf=box.csrf(cookie), method="dhcp")
    assert (answer.status, json.loads(answer.body)["error"]) == (409, "network.not_managed")
