"""A box's voice as a process that can be killed: says events and prints the id of each kept one.

`python -m tests.voice_process FOLDER SETTINGS_JSON BOOT AGED_S PAUSE_S`; AGED_S is how far the
box's clocks stand ahead of this machine's, so that days offline pass in seconds.
"""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import msgspec

from agent.core.clock import SystemClock
from agent.core.ids import new_ulid
from agent.settings.model import BrokerSettings
from tests.spine import A, Box, E

BASE_S = 30 * 86_400.0  # up for so long: no monotonic clock is ever below zero


class AgedClock(SystemClock):
    """The real clock, some seconds on (or back)."""

    def __init__(self, aged_s: float):
        self.aged_s = aged_s

    def utc_now(self):
        return super().utc_now() + timedelta(seconds=self.aged_s)

    def monotonic_s(self):
        return super().monotonic_s() + BASE_S + self.aged_s


async def main(folder: str, settings: str, boot: str, aged_s: str, pause_s: str) -> None:
    broker = msgspec.json.decode(settings, type=BrokerSettings)
    box = Box(Path(folder), broker, clock=AgedClock(float(aged_s)), boot=int(boot))
    await box.open()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(box.run())
        for number in range(1_000_000):
            event_id = new_ulid(box.clock.utc_now())
            await box.say(A if number % 10 == 0 else E, event_id=event_id)
            sys.stdout.write(f"{event_id}\n")
            sys.stdout.flush()
            await asyncio.sleep(float(pause_s))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
