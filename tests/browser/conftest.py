"""One chromedriver for all browser tests, one browser a test; skipped where Chromium is missing."""

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import av
import numpy as np
import pytest

from tests.browser.chromium import Browser, driver, missing, open_browser


@pytest.fixture(scope="session")
def driver_port() -> Iterator[int]:
    if reason := missing():
        pytest.skip(f"no browser to test the pages with: {reason}")
    with driver() as port:
        yield port


@pytest.fixture
def browse(driver_port: int, tmp_path: Path) -> Iterator[Callable[..., Browser]]:
    """Open a browser: `browse("ko")` asks for Korean."""
    with ExitStack() as windows:

        def open_one(language: str = "en") -> Browser:
            profile = tmp_path / f"profile-{language}"
            return windows.enter_context(open_browser(driver_port, profile, language))

        yield open_one


def colours_in(png: bytes) -> int:
    """Return how many clearly different colours a picture has: a blank page has one or two."""
    with av.open(io.BytesIO(png)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return len(np.unique((picture[::4, ::4] >> 4).reshape(-1, 3), axis=0))
