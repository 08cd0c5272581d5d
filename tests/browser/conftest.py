"""One chromedriver for all browser tests, one window a language."""

import functools
import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import av
import numpy as np
import pytest

from tests.browser.chromium import Browser, driver, open_browser


@pytest.fixture(scope="session")
def driver_port() -> Iterator[int]:
    with driver() as port:
        yield port


@pytest.fixture(scope="session")
def windows(driver_port: int, tmp_path_factory) -> Iterator[Callable[[str], Browser]]:
    """One window for each language: starting a browser takes longer than most tests."""
    with ExitStack() as opened:

        @functools.cache
        def window(language: str) -> Browser:
            profile = tmp_path_factory.mktemp(f"profile-{language}")
            return opened.enter_context(open_browser(driver_port, profile, language))

        yield window


@pytest.fixture
def browse(windows: Callable[[str], Browser]) -> Callable[..., Browser]:
    """Give a browser as good as new: `browse("ko")` asks for Korean."""

    def fresh(language: str = "en") -> Browser:
        browser = windows(language)
        browser.forget()
        return browser

    return fresh


def colours_in(png: bytes) -> int:
    """Return how many clearly different colours a picture has: a blank page has one or two."""
    with av.open(io.BytesIO(png)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return len(np.unique((picture[::4, ::4] >> 4).reshape(-1, 3), axis=0))
