"""What tests of several kinds share: the footage of the demo, prepared once and kept."""

from pathlib import Path

import pytest

from agent.simulators.footage import prepare


@pytest.fixture(scope="session")
def demo_cache(request: pytest.FixtureRequest) -> Path:
    """Return a cache folder (XDG_CACHE_HOME) that holds the drawn footage; needs no network."""
    cache = request.config.cache.mkdir("demo").absolute()
    prepare(cache / "poleside" / "footage", lambda _: None, "drawn")
    return cache
