"""What a page that somebody leaves open costs the box: processor time of its core, and bytes.

A whole box with cameras (four, as on a pole), real Chromium at phone size: the CPU seconds of the
core, which serves the page, and of the workers, which make its pictures, with no page open and with
the front page open, by turns, as shares of one core: while somebody has just touched it, and idle,
left alone for a minute; and what the browser fetched for the first paint and a second afterwards.

    python -m tests.bench.open_page --seconds 60 --cameras 4
"""

import argparse
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import psutil

from agent.local.web.view import WORKER
from agent.simulators.footage import prepare
from tests.bench.figures import say
from tests.box_process import HOST, BoxProcess, CameraProcess
from tests.browser.chromium import Browser, driver, open_browser
from tests.browser.finger import SMALL_PHONE
from tests.browser.test_page_first_paint import CAME, PAINTED

BAR_PCT, FIRST_PAINT_BYTES = 1.0, 100_000
_SETTLE_S, _ALONE_S, _TURNS = 5.0, 60.0, 2  # `ALONE_AFTER_MS` of poll.js
_FORGET = "performance.clearResourceTimings();"
_FETCHED = """
    const all = performance.getEntriesByType('resource');
    return [all.length, all.reduce((sum, one) => sum + one.transferSize, 0)];
"""


@dataclass(frozen=True, slots=True)
class Shares:
    """CPU seconds of the box's parts while they are left alone, in percent of one core."""

    core: float
    workers: float


def shares(box: BoxProcess, seconds: float) -> Shares:
    state = box.until(lambda state: any(one["name"] == "core" for one in state["processes"]), 60)
    pids = {one["name"]: one["pid"] for one in state["processes"] if one["pid"]}
    parts = {name: psutil.Process(pid) for name, pid in pids.items()}

    def used(part: str) -> float:
        times = [one.cpu_times() for name, one in parts.items() if name.startswith(part)]
        return float(sum(one.user + one.system for one in times))

    before, began_s = (used("core"), used(WORKER)), time.monotonic()
    time.sleep(seconds)
    took_s = time.monotonic() - began_s
    core, workers = (
        100 * (used(part) - was) / took_s
        for part, was in zip(("core", WORKER), before, strict=True)
    )
    return Shares(core, workers)


def measure(folder: Path, seconds: float, cameras: int) -> None:
    fixed = prepare(folder / "footage", lambda _: None, "drawn").fixed
    loops = Path(fixed.main["fixed"]), Path(fixed.sub["fixed"])
    with CameraProcess(folder, "camera", *loops) as camera:
        told = [camera.settings(f"cam-{number}") for number in range(cameras)]
        settings = {"broker": {"urls": [f"mqtt://{HOST}:1"]}, "cameras": told}
        with BoxProcess(folder, settings) as box:
            box.until(lambda s: all(one["is_recording"] for one in s["cameras"]), 180)
            time.sleep(_SETTLE_S)
            with driver() as port, open_browser(port, folder / "profile") as browser:
                _by_turns(box, browser, seconds / _TURNS)


def _by_turns(box: BoxProcess, browser: Browser, seconds: float) -> None:
    found: dict[str, list[Shares]] = {"closed": [], "looked at": [], "left alone": []}
    for turn in range(_TURNS):
        found["closed"].append(shares(box, seconds))
        fetched = _open(browser, f"http://{HOST}:{box.port}/")
        if turn == 0:
            say("first paint, bytes transferred", f"{fetched}", f"bar {FIRST_PAINT_BYTES}")
        time.sleep(_SETTLE_S)
        found["looked at"].append(shares(box, seconds))
        time.sleep(max(0.0, _ALONE_S - seconds))
        browser.run(_FORGET)
        found["left alone"].append(shares(box, seconds))
        count, carried = browser.run(_FETCHED)
        browser.go("about:blank")
    found["closed"].append(shares(box, seconds))
    core, workers = _mean(found.pop("closed"))
    say("without a page: core, workers", f"{core:.2f}, {workers:.2f} % of a core")
    for how, each in found.items():
        with_core, with_workers = _mean(each)
        bar = f"bar {BAR_PCT} % together" if how == "left alone" else ""
        told = f"{with_core - core:.2f}, {with_workers - workers:.2f} % of a core"
        say(f"a page {how}: core, workers", told, bar)
    say("… asks and fetches a second", f"{count / seconds:.2f}, {carried / seconds:.0f} bytes")


def _mean(found: list[Shares]) -> tuple[float, float]:
    return fmean(one.core for one in found), fmean(one.workers for one in found)


def _open(browser: Browser, url: str) -> int:
    browser.size(*SMALL_PHONE)
    browser.go(url)
    browser.wait(PAINTED)
    browser.wait("return document.querySelector('.light')")
    return int(sum(size for _, size in browser.run(CAME)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="With and without a page.")
    parser.add_argument("--cameras", type=int, default=4)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measure(Path(scratch), asked.seconds, asked.cameras)
