"""Two never enrol into one box's files at once: the page waits a moment, then says so."""

from agent.app import service_tools
from agent.core.clock import SystemClock
from agent.core.lock import FileLock
from agent.local.service.place import PlaceTaking


async def test_while_a_terminal_enrols_the_page_does_not_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(service_tools, "_LOCK_S", 0.2)
    (tmp_path / "keys").mkdir()

    async def enrol(*_):
        async with service_tools._alone(tmp_path, SystemClock()):
            return "site-1/bx-pole"

    async def ended():
        place.begin("https://center", "code", "")
        await place._task
        return place.state

    place = PlaceTaking(enrol)
    terminal = FileLock(tmp_path / "keys" / "enrol.lock", SystemClock())
    with terminal:
        assert (await ended()).code == "storage.in_use"
    assert (await ended()).place == "site-1/bx-pole"
    terminal.acquire(0.0)  # the page has let go
    terminal.__exit__(None, None, None)
