"""A finger on the page's picture, and a technician who has signed in at a phone."""

from tests.browser.chromium import Browser
from tests.claimed_box import ClaimedBox, cookie_of

SMALL_PHONE = (360, 740)
_PLACE = """
    const {left, top, width, height} = document.querySelector('.picture').getBoundingClientRect();
    return [left, top, width, height];
"""


class Finger:
    """Touches the picture of the page at fractions of it."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        browser.cdp("Emulation.setTouchEmulationEnabled", enabled=True)

    def tap(self, *points: tuple[float, float]) -> None:
        for point in points:
            self._send("touchStart", point)
            self._send("touchEnd", None)

    def drag(self, *points: tuple[float, float]) -> None:
        self._send("touchStart", points[0])
        for point in points[1:]:
            self._send("touchMove", point)

    def lift(self) -> None:
        self._send("touchEnd", None)

    def _send(self, kind: str, point: tuple[float, float] | None) -> None:
        points = []
        if point is not None:
            left, top, width, height = self._browser.run(_PLACE)
            points = [{"x": left + point[0] * width, "y": top + point[1] * height}]
        self._browser.cdp("Input.dispatchTouchEvent", type=kind, touchPoints=points)


def open_page(browser: Browser, box: ClaimedBox, path: str, shown: str) -> None:
    """Claim the box, and open one of its pages at phone size; wait for what must be `shown`."""
    name, _, value = cookie_of(box.take_over()).partition("=")
    browser.size(*SMALL_PHONE)
    browser.cdp("Network.setCookie", name=name, value=value, url=box.page.url)
    browser.go(f"{box.page.url}{path}")
    browser.wait(shown)


def open_picture(browser: Browser, box: ClaimedBox, path: str) -> Finger:
    """Open a page with a live picture, and put a finger over it."""
    open_page(browser, box, path, "return document.querySelector('.picture img')?.naturalWidth > 0")
    browser.run("document.querySelector('#picture').scrollIntoView()")
    return Finger(browser)
