"""Health samples come in their rhythm, and soon when what was told is not so any more."""

import asyncio

import msgspec
import pytest

from agent.contract.telemetry import BoardSample, FaultSample, ProcessSample, Telemetry
from agent.core.clock import SystemClock
from agent.uplink.telemetry import TelemetrySender
from tests.spine import ADDRESS


class Clock(SystemClock):
    """Sleeps at once and counts how long it would have slept; ends the run after a while."""

    slept_s = 0.0

    def monotonic_s(self):
        return self.slept_s

    async def sleep_s(self, seconds):
        self.slept_s += seconds
        if self.slept_s > 3000:
            await asyncio.Event().wait()
        await asyncio.sleep(0)


class Link:
    def __init__(self, clock):
        self.clock, self.sent_at, self.told = clock, [], None

    async def connected(self):
        return 1

    async def publish(self, message):
        self.sent_at.append(self.clock.slept_s)
        self.told = msgspec.json.decode(message.payload, type=Telemetry)


async def sent(stretch=1, facts=lambda _: None, **more):
    link, held = await run(stretch, facts, **more)
    return link.sent_at, held


async def run(stretch=1, facts=lambda _: None, **more):
    clock = Clock()
    link, held = Link(clock), []

    async def sample():
        return Telemetry(t=clock.utc_now(), mono=1.0, tq=clock.quality(), **more)

    sender = TelemetrySender(
        *(clock, link, ADDRESS, 300.0, sample),
        stretch=lambda: stretch,
        held=held.append,
        facts=lambda: facts(clock.slept_s),
    )
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(sender.run())
        while clock.slept_s <= 3000:  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
    return link, sum(held)


def of_length(size):
    """Return processes whose JSON is about so many bytes."""
    one = ProcessSample(name="camera-of-a-long-name", pss_bytes=123456789)
    return (one,) * (size // len(msgspec.json.encode(one)))


@pytest.mark.parametrize(
    ("processes", "disk", "kept"),
    [(100, 100, "both"), (5000, 100, "board"), (5000, 5000, "neither")],
)
async def test_a_sample_that_is_too_long_goes_without_what_matters_least(processes, disk, kept):
    board = BoardSample(temperature_c=51.0, contacts={"c" * disk: "idle"})
    fault = FaultSample(code="camera.lost", subject="camera/gate", severity="red")
    told = (await run(processes=of_length(processes), board=board, faults=(fault,)))[0].told
    assert told.faults == (fault,)
    assert bool(told.processes) is (kept == "both")
    assert (told.board is not None) is (kept in {"both", "board"})


async def test_an_idle_box_tells_of_itself_once_a_period():
    at, held = await sent()
    assert at == [300.0 * n for n in range(11)]
    assert held == 0


async def test_a_stretched_rhythm_counts_what_is_left_out():
    at, held = await sent(stretch=4)
    assert at == [0.0, 1200.0, 2400.0]
    assert held == 6


async def test_what_changes_is_told_soon_but_not_each_time():
    at, _ = await sent(facts=lambda now_s: now_s >= 310)
    assert at[:3] == [0.0, 300.0, 315.0]
    at, _ = await sent(facts=lambda now_s: now_s)  # it flaps all the time
    assert at[:3] == [0.0, 15.0, 30.0]


@pytest.mark.parametrize("stretch", [1, 4])
async def test_what_flaps_for_ever_has_a_bound(stretch):
    at, _ = await sent(stretch, facts=lambda now_s: now_s)
    assert len(at) <= 1 + 6 + 3000 / (300 * stretch)


async def test_after_a_flapping_the_next_first_change_is_told_within_a_minute():
    def facts(now_s):
        return now_s if now_s < 600 else now_s >= 2410  # it flaps, rests, and changes once

    at, _ = await sent(facts=facts)
    assert [each for each in at if 2410 <= each <= 2470]
    assert not [each for each in at if 2470 < each < 2700]
