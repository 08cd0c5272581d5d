"""A technician with a phone leads a whole box from its first page to being seen by the center.

Real Chromium at 360 px, the real agent, a simulated camera that turns, a broker and a center; each
step's page is kept as a picture, and looked at for what a thumb and a screen reader need.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.cameras.discovery import PORT as DISCOVERY_PORT
from agent.cameras.port import Login
from agent.cameras.zeep_backend import ZeepCamera
from agent.core.clock import SystemClock
from agent.pointing.geodesy import Place, moved
from agent.simulators.broker import CENTER
from agent.simulators.camera.onvif_settings import SimulatedPlace
from agent.simulators.camera.ptz_geo import mount_of
from tests.box_process import HOST, CameraProcess
from tests.brokers import make_broker
from tests.browser.chromium import Browser
from tests.browser.finger import SMALL_PHONE, Finger
from tests.browser.test_page_accessible import serious_of
from tests.browser.test_page_first_paint import looks_good
from tests.claimed_box import PASSWORD
from tests.integration.test_setup_of_running_box import SetUpBox, pids
from tests.spine import ADDRESS, make_center, running

Browse = Callable[..., Browser]

NAME = "<img src=x onerror=alert(1)>북문"
STANDS = SimulatedPlace(lat=37.5665, lon=126.978, height_m=46.0, yaw_deg=30.0)
GROUND_M = 40.0
WHOLE = ((0.03, 0.03), (0.97, 0.03), (0.97, 0.97), (0.03, 0.97))
CORNER = ((0.02, 0.02), (0.2, 0.02), (0.2, 0.2))
CORNERS = "return document.querySelectorAll('.corner').length === arguments[0]"
PICTURE = "return document.querySelector('.picture img')?.naturalWidth > 0"
VERDICT = (
    "return document.querySelector(`[data-site-test=${arguments[0]}] [data-verdict]`)"
    "?.dataset.verdict === 'passed'"
)
PATIENCE_S = 90.0


class Wizard:
    """The technician: every step is one on the page, none an order behind its back."""

    def __init__(self, browser: Browser, box: SetUpBox, camera: CameraProcess, folder: Path):
        self.browser, self.box, self.camera, self._folder = browser, box, camera, folder
        self._steps = 0
        browser.size(*SMALL_PHONE)

    def keep(self, name: str) -> None:
        """Keep the page as a picture, after a look at it."""
        self._steps += 1
        looks_good(self.browser, self._folder / f"{self._steps:02}-{name}.png")
        assert serious_of(self.browser) == [], name

    def go(self, path: str, shown: str) -> None:
        self.browser.go(f"{self.box.page.url}{path}")
        self.wait(shown)

    def wait(self, script: str, *arguments) -> None:
        self.browser.wait(script, *arguments, within_s=PATIENCE_S)

    def fill(self, form: str, **values: object) -> None:
        """Type into a form, and press its button."""
        script = "document.querySelector(arguments[0]).value = arguments[1]"
        for name, value in values.items():
            self.browser.run(script, f"{form} [name={name}]", str(value))
        self.press(f"{form} button:last-of-type")

    def press(self, selector: str) -> None:
        middle = "document.querySelector(arguments[0]).scrollIntoView({block: 'center'})"
        self.browser.run(middle, selector)
        self.browser.click(selector)

    def claim(self) -> None:
        secret, code = self.box.at_console("secret"), self.box.at_console("code")
        self.go(f"/claim#{secret}", "return document.querySelector('#secret').value")
        self.keep("claim")
        self.fill("form.fields", code=code, name="kim", password=PASSWORD)
        self.wait("return document.querySelector('.light')")
        self.keep("front")

    def look_at_the_box(self) -> None:
        self.go("/setup", "return document.querySelectorAll('[data-test]').length === 5")
        self.keep("self-test")

    def take_the_camera(self) -> None:
        ours = (
            "return [...document.querySelectorAll('[data-found]')]"
            ".find(one => one.innerText.includes(arguments[0]))?.dataset.found"
        )
        while not (epr := self.browser.run(ours, NAME)):  # it may still be starting
            self.press("#find")
            self.wait("return !document.querySelector('#find').disabled")
        assert self.browser.run("return document.querySelectorAll('[data-found] img').length") == 0
        self.keep("found")
        login = {"username": self.camera.username, "password": self.camera.password}
        self.fill(f"[data-found='{epr}'] form", **login)
        self.wait("return document.querySelector('[data-accept]')")
        assert self.browser.run("return document.querySelectorAll('[data-stream]').length") == 2
        self.keep("verified")
        self.fill("[data-accept]", camera_id="gate")
        self.wait("return document.querySelector('[data-accepted=gate] .pill.rec')")
        self.keep("recording")

    def aim(self) -> None:
        self.go("/setup/cameras/gate", "return document.querySelector('a[href$=\"/aim\"]')")
        self.press("a[href$='/aim']")
        self.wait("return document.querySelector('#begin')")
        self.press("#begin button")
        self.wait("return parseFloat(document.querySelector('#focus').innerText) > 0")
        self.wait("return document.querySelector('#detail').naturalWidth === 480")
        self.wait(PICTURE)
        self.keep("aim")
        self.press("#end")
        self.wait("return document.querySelector('[data-aim=aim-ended]')")

    def draw(self, kind: str, corners, name: str, drawn: str) -> None:
        self.wait(PICTURE)
        self.browser.run("document.querySelector('#kind').value = arguments[0]", kind)
        self.press("#new")
        self.browser.run("document.querySelector('#picture').scrollIntoView()")
        Finger(self.browser).tap(*corners)
        self.wait(CORNERS, len(corners))
        self.press("#save")
        self.wait(drawn)
        self.keep(name)

    def zones_and_masks(self) -> None:
        self.go("/setup/cameras/gate", PICTURE)
        self.draw("intrusion", WHOLE, "zone", "return document.querySelector('[data-rule]')")
        self.draw("mask", CORNER, "mask", "return document.querySelector('[data-mask]')")

    def landmarks(self, looks_at: Callable[[], Place]) -> None:
        link = "a[href$='/landmarks']"
        while not self.browser.run("return document.querySelector(arguments[0])", link):
            self.go("/setup/cameras/gate", PICTURE)  # the box has not asked it yet
        self.press(link)
        self.wait("return document.querySelector('#stand')")
        stand = {"lat": STANDS.lat, "lon": STANDS.lon, "height_m": STANDS.height_m}
        self.fill("#stand", **stand, above_ground_m=STANDS.height_m - GROUND_M)
        self.wait("return document.querySelector('#marking:not([hidden])')")
        self.wait(PICTURE)
        finger = Finger(self.browser)
        for n, tapped in enumerate(((0.9, 0.95), (0.95, 0.6), (0.95, 0.4))):
            self.browser.run("document.querySelector('#picture').scrollIntoView()")
            finger.tap(tapped)
            self.wait("return document.querySelector(`[data-turned='${arguments[0]}']`)", n + 1)
            place = looks_at()
            self.fill(
                "#mark", name=f"<b>{n}</b>", lat=place.lat_deg, lon=place.lon_deg, height_m=GROUND_M
            )
            self.wait(
                "return document.querySelectorAll('[data-mark]').length === arguments[0]", n + 1
            )
        self.wait("return parseFloat(document.querySelector('#fit').dataset.residual) < 0.5")
        self.keep("landmarks")

    def walk(self) -> None:
        self.go("/setup/cameras/gate", "return document.querySelector('[data-site-test=walk]')")
        self.press("[data-site-test=walk] button")
        self.wait(VERDICT, "walk")  # somebody walks past again and again
        self.keep("walk")
        self.press("[data-site-test=walk] button")

    def cable(self) -> None:
        self.press("[data-site-test=cable] button")
        self.wait("return document.querySelector('[data-site-test=cable] [data-verdict=running]')")
        self.camera.stop()
        word = "plug it in" if self._language == "en" else "다시 꽂으세요"
        step = "[data-site-test=cable] [role=status]"
        script = "return document.querySelector(arguments[0]).innerText.includes(arguments[1])"
        self.wait(script, step, word)
        self.camera.start()
        self.wait(VERDICT, "cable")
        self.keep("cable")

    def bell(self) -> None:
        self.go("/setup", "return document.querySelector('[data-site-test=bell]')")
        self.press("[data-site-test=bell] button")
        self.wait("return document.querySelector('[data-site-test=bell] [data-verdict=running]')")
        (self.box.data_dir / "run" / "lines" / "bell").write_text("1")
        self.wait(VERDICT, "bell")
        self.keep("bell")

    def center(self, way, read_back: Callable[[], str]) -> None:
        self.browser.run("document.querySelector('#way-form').closest('details').open = true")
        self.fill("#way-form", url=way.urls[0], username=way.username, password=way.password)
        self.wait("return document.querySelector('#way-confirm').getClientRects().length")
        self.wait("return document.querySelector('[data-test=uplink][data-result=good]')")
        self.press("#confirm")
        self.wait("return document.querySelector('[data-way=way-kept]')")
        self.press("#code-send")
        self.wait("return document.querySelector('[data-code-said=code-sent]')")
        self.fill("#code-form", code=read_back())
        self.wait("return document.querySelector('[data-code-said=\"code.right\"]')")
        self.keep("center")

    def report(self) -> None:
        self.press("#report")
        self.wait("return document.querySelector('form[action=\"/service/report\"]')")
        self.keep("report")

    @property
    def _language(self) -> str:
        return self.browser.run("return document.documentElement.lang")


@pytest.fixture
def camera(tmp_path, drawn_loops) -> Iterator[CameraProcess]:
    main, sub = drawn_loops
    place = {name: getattr(STANDS, name) for name in ("lat", "lon", "height_m", "yaw_deg")}
    told = {"ptz": True, "place": place, "discovery_port": DISCOVERY_PORT}
    camera = CameraProcess(tmp_path, "gate", main, sub, **told)
    config = tmp_path / "gate.json"
    config.write_text(json.dumps(json.loads(config.read_bytes()) | {"name": NAME}))
    with camera:
        camera.until_said("camera ready")
        yield camera


@pytest.fixture
def box(tmp_path) -> Iterator[SetUpBox]:
    bell = {"input_id": "bell", "meaning": "bell", "line": "bell", "active_low": False}
    with SetUpBox(tmp_path, pole={"inputs": [bell]}, center={"telemetry_s": 5.0}) as box:
        box.until(lambda state: "core" in pids(state), 60)
        yield box


def centred(camera: CameraProcess) -> Place:
    """Return what place on the ground the camera looks at now."""
    url = f"http://{HOST}:{camera.onvif_port}/onvif/device_service"
    control = ZeepCamera(url, Login(camera.username, camera.password), SystemClock())
    try:
        at = control.position()
    finally:
        control.close()
    east, north, up = mount_of(STANDS).toward(at.pan, at.tilt)
    times = (GROUND_M - STANDS.height_m) / up
    eye = Place(STANDS.lat, STANDS.lon, STANDS.height_m)
    return moved(eye, east * times, north * times, GROUND_M)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("language", ["ko", pytest.param("en", marks=pytest.mark.long)])
async def test_from_the_label_to_the_center_in_one_go(box, camera, browse, tmp_path, language):
    broker = make_broker("mosquitto", tmp_path / "broker", [ADDRESS])
    await broker.start()
    loop = asyncio.get_running_loop()
    try:
        async with running(make_center(tmp_path, broker.settings(CENTER))) as center:

            async def told() -> str:
                while True:
                    boxes = await center.boxes()
                    codes = [one.telemetry.read_back for one in boxes if one.telemetry]
                    if any(codes):
                        return codes[0]
                    await asyncio.sleep(0.1)

            def read_back() -> str:
                return asyncio.run_coroutine_threadsafe(told(), loop).result(PATIENCE_S)

            def lead() -> None:
                wizard = Wizard(browse(language), box, camera, tmp_path)
                wizard.claim()
                core = pids(box.state())["core"]
                wizard.look_at_the_box()
                wizard.take_the_camera()
                worker = pids(box.state())["camera-gate"]
                wizard.aim()
                wizard.zones_and_masks()
                wizard.landmarks(lambda: centred(camera))
                wizard.walk()
                wizard.cable()
                wizard.bell()
                wizard.center(broker.settings("box-1"), read_back)
                wizard.report()
                now = pids(box.state())
                assert (now["core"], now["camera-gate"]) == (core, worker)  # nothing was restarted
                assert wizard.browser.complaints() == []

            await asyncio.to_thread(lead)
    finally:
        await broker.stop()
    assert camera.password not in box.said()
    gate = json.loads((box.data_dir / "local.json").read_bytes())["cameras"][0]
    assert gate["name"] == NAME
    assert (len(gate["rules"]), len(gate["masks"]), len(gate["stand"]["landmarks"])) == (1, 1, 3)
