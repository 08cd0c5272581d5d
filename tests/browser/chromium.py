"""A real headless Chromium, driven over plain W3C WebDriver by the standard library alone."""

import base64
import contextlib
import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_ELEMENT_KEY = "element-6066-11e4-a52e-4f735466cecf"  # W3C WebDriver, "web element identifier"
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


class Browser:
    """One window. `size` sets the size of the page itself, however small."""

    def __init__(self, port: int, session: str) -> None:
        self._port, self._session = port, session

    def go(self, url: str) -> None:
        self._call("POST", "url", {"url": url})

    def forget(self) -> None:
        """Leave the page; drop cookies, cache, window size and what the console said."""
        self.go("about:blank")
        self.cdp("Network.clearBrowserCookies")
        self.cdp("Network.clearBrowserCache")
        self.cdp("Emulation.clearDeviceMetricsOverride")
        self.complaints()

    def size(self, width_px: int, height_px: int, scale: float = 1.0) -> None:
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            width=width_px,
            height=height_px,
            deviceScaleFactor=scale,
            mobile=width_px < 700,
        )

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript as the driver (the page's own policy does not apply to it)."""
        return self._call("POST", "execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script: str, *arguments: Any, within_s: float = 20.0) -> Any:
        """Return the first truthy result of `script`."""
        deadline = time.monotonic() + within_s
        while not (result := self.run(script, *arguments)):
            assert time.monotonic() < deadline, f"never true: {script}\n{self.text()}"
            time.sleep(0.05)
        return result

    def text(self) -> str:
        return self.run("return document.body.innerText")

    def click(self, selector: str) -> None:
        self._call("POST", f"element/{self._find(selector)}/click", {})

    def hold(self, selector: str, for_s: float) -> None:
        """Press the main button on an element, keep it down for a while, let go."""
        moves = [
            {"type": "pointerMove", "origin": {_ELEMENT_KEY: self._find(selector)}, "x": 0, "y": 0},
            {"type": "pointerDown", "button": 0},
            {"type": "pause", "duration": int(for_s * 1000)},
            {"type": "pointerUp", "button": 0},
        ]
        self.run("document.querySelector(arguments[0]).scrollIntoView({block: 'center'})", selector)
        pointer = {"type": "pointer", "id": "finger", "actions": moves}
        self._call("POST", "actions", {"actions": [pointer]})

    def screenshot(self, path: Path, *, whole: bool = False) -> bytes:
        """Save a PNG of the window, or of the whole page, and return it."""
        answer = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        picture = base64.b64decode(answer["data"])
        path.write_bytes(picture)
        return picture

    def complaints(self) -> list[str]:
        """Return errors and policy violations on the console since the last call."""
        lines = self._call("POST", "se/log", {"type": "browser"})
        return [line["message"] for line in lines if line["level"] in ("SEVERE", "WARNING")]

    def cdp(self, command: str, **parameters: Any) -> Any:
        return self._call("POST", "goog/cdp/execute", {"cmd": command, "params": parameters})

    def _find(self, selector: str) -> str:
        using = {"using": "css selector", "value": selector}
        return self._call("POST", "element", using)[_ELEMENT_KEY]

    def _call(self, method: str, path: str, body: dict[str, Any]) -> Any:
        return call(self._port, method, f"/session/{self._session}/{path}", body)


def call(port: int, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Ask chromedriver; its error becomes ours."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, None if body is None else json.dumps(body))
        value = json.loads(connection.getresponse().read())["value"]
    if isinstance(value, dict) and "error" in value:
        raise AssertionError(f"{value['error']}: {value['message']}")
    return value


@contextlib.contextmanager
def driver() -> Iterator[int]:
    """Run chromedriver; yield its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        ["chromedriver", f"--port={port}", "--silent"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                if call(port, "GET", "/status")["ready"]:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def open_browser(port: int, profile: Path, language: str = "en") -> Iterator[Browser]:
    """Open a window with a fresh profile that asks for `language`."""
    options = {
        "args": [*_ARGUMENTS, f"--user-data-dir={profile}"],
        "prefs": {"intl.accept_languages": language},
    }
    wanted = {
        "alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
    }
    session = call(port, "POST", "/session", {"capabilities": wanted})["sessionId"]
    try:
        yield Browser(port, session)
    finally:
        call(port, "DELETE", f"/session/{session}")
