"""What a page that somebody leaves open costs the box: processor time of its core, and bytes.

A whole box without cameras, real Chromium at phone size: the core's CPU seconds with no page
open, then with the front page open and idle, as shares of one core; and what the browser fetched
for the first paint and a second afterwards.

    python -m tests.bench.open_page --seconds 60
"""

import argparse
import tempfile
import time
from pathlib import Path

import psutil

from tests.bench.figures import say
from tests.box_process import HOST, BoxProcess
from tests.browser.chromium import Browser, driver, open_browser
from tests.browser.finger import SMALL_PHONE
from tests.browser.test_page_first_paint import CAME, PAINTED

BAR_PCT, FIRST_PAINT_BYTES = 1.0, 100_000
_SETTLE_S = 10.0
_FETCHED = """
    const all = performance.getEntriesByType('resource');
    return [all.length, all.reduce((sum, one) => sum + one.transferSize, 0)];
"""


def core_of(box: BoxProcess) -> psutil.Process:
    state = box.until(lambda state: any(one["name"] == "core" for one in state["processes"]), 60)
    return psutil.Process(next(p["pid"] for p in state["processes"] if p["name"] == "core"))


def share_pct(process: psutil.Process, seconds: float) -> float:
    """Return the CPU seconds of a process while it is left alone, as a share of one core."""

    def used() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    before_s, began_s = used(), time.monotonic()
    time.sleep(seconds)
    return 100 * (used() - before_s) / (time.monotonic() - began_s)


def measure(folder: Path, seconds: float) -> None:
    with BoxProcess(folder, {"broker": {"urls": [f"mqtt://{HOST}:1"]}}) as box:
        core = core_of(box)
        time.sleep(_SETTLE_S)
        with driver() as port, open_browser(port, folder / "profile") as browser:
            closed = [share_pct(core, seconds / 2)]
            fetched = _open(browser, f"http://{HOST}:{box.port}/")
            say("first paint, bytes transferred", f"{fetched}", f"bar {FIRST_PAINT_BYTES}")
            time.sleep(_SETTLE_S)
            count, before = browser.run(_FETCHED)
            opened = share_pct(core, seconds)
            last_count, after = browser.run(_FETCHED)
            browser.go("about:blank")
            closed.append(share_pct(core, seconds / 2))
    without = sum(closed) / 2
    say("core without a page", f"{without:.2f} % of a core")
    say("core with an idle page open", f"{opened:.2f} % of a core")
    say("the page's cost", f"{opened - without:.2f} % of a core", f"bar {BAR_PCT} %")
    asked, carried = (last_count - count) / seconds, (after - before) / seconds
    say("questions and bytes a second", f"{asked:.2f}, {carried:.0f} bytes")


def _open(browser: Browser, url: str) -> int:
    browser.size(*SMALL_PHONE)
    browser.go(url)
    browser.wait(PAINTED)
    browser.wait("return document.querySelector('.light')")
    return int(sum(size for _, size in browser.run(CAME)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    with tempfile.TemporaryDirectory() as scratch:
        measure(Path(scratch), parser.parse_args().seconds)
