"""Once a day each bell with a test output is pressed electrically, to see it ring and let go.

A box that was off at the hour, or whose bell was in use, makes up for it; what the last test showed
is kept over restarts. A real press during the test is not lost: what is still active when the
test's own press is over is told like any other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

import msgspec

from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.errors import CommandError, StorageError
from agent.core.whole_file import write_whole
from agent.messages.pole import ContactState
from agent.pole.inputs import Inputs, InputWatch
from agent.pole.outputs import Outputs
from agent.settings.pole import InputSettings

PRESS_S, ANSWER_S, LOOK_S = 1.0, 2.0, 0.02
AT_HOUR_UTC = 19  # 04:00 in Korea
SETTLE_S, AGAIN_S = 30.0, 600.0  # after the start; and while one could not be tested
FILE = "bell-tests.json"
DAY = timedelta(days=1)


class BellVerdict(StrEnum):
    """What a test showed. `untested`: no test output, or the bell was in use."""

    WELL = "well"
    SILENT = "silent"
    HANGS = "hangs"
    UNTESTED = "untested"


OnVerdict = Callable[[InputSettings, BellVerdict], Awaitable[None]]


class BellTest(Service):
    """Tests the bells each day at `AT_HOUR_UTC`; `test` does it at once."""

    name = "pole.bell_test"

    def __init__(
        self, clock: Clock, inputs: Inputs, outputs: Outputs, data_dir: Path, on_verdict: OnVerdict
    ) -> None:
        super().__init__(clock)
        self._inputs, self._outputs, self._on_verdict = inputs, outputs, on_verdict
        self._file = data_dir / FILE
        self._log = log.get(self.name)
        self.verdicts: dict[str, tuple[datetime, BellVerdict]] = {}

    async def run(self) -> None:
        """Test what has not been tested since the hour, and look again."""
        if not self._inputs.testable:
            return
        bells = {watch.settings.input_id for watch in self._inputs.testable}
        kept = await asyncio.to_thread(self._kept)
        self.verdicts = {bell: kept[bell] for bell in bells & kept.keys()} | self.verdicts
        await self._clock.sleep_s(SETTLE_S)
        while True:
            for watch in self._inputs.testable:
                if self._is_due(watch):
                    await self.test(watch)
            now = self._clock.utc_now()
            await self._clock.sleep_s(min(AGAIN_S, (_last_hour(now) + DAY - now).total_seconds()))

    async def test(self, watch: InputWatch) -> BellVerdict:
        """Press one bell electrically and say what became of it."""
        verdict, bell = await self._press(watch), watch.settings.input_id
        if verdict is BellVerdict.UNTESTED:  # what is known of it holds until it is tested again
            self.verdicts.setdefault(bell, (self._clock.utc_now(), verdict))
            return verdict
        self.verdicts[bell] = (self._clock.utc_now(), verdict)
        self._log.info("bell tested", bell=bell, verdict=verdict.value)
        await asyncio.to_thread(self._keep)
        await self._on_verdict(watch.settings, verdict)
        return verdict

    def _is_due(self, watch: InputWatch) -> bool:
        now = self._clock.utc_now()
        at, verdict = self.verdicts.get(watch.settings.input_id, (None, BellVerdict.UNTESTED))
        return at is None or verdict is BellVerdict.UNTESTED or not _last_hour(now) <= at <= now

    def _kept(self) -> dict[str, tuple[datetime, BellVerdict]]:
        with suppress(OSError, msgspec.MsgspecError):
            kept = dict[str, tuple[datetime, BellVerdict]]
            return msgspec.json.decode(self._file.read_bytes(), type=kept)
        return {}

    def _keep(self) -> None:
        with suppress(OSError, StorageError):  # it is told all the same, and tested again
            write_whole(self._file, msgspec.json.encode(self.verdicts))

    async def _press(self, watch: InputWatch) -> BellVerdict:
        entry = watch.settings
        if not entry.test_output or not _is(watch, ContactState.IDLE):
            return BellVerdict.UNTESTED
        watch.is_tested = True
        try:
            self._outputs.switch(entry.test_output, PRESS_S, on=True)
            rang = await self._becomes(watch, ContactState.ACTIVE)
            self._outputs.switch(entry.test_output, None, on=False)
            let_go = await self._becomes(watch, ContactState.IDLE)
        except CommandError as error:
            self._log.warning("bell can't be tested", reason=error.message)
            return BellVerdict.UNTESTED
        finally:
            watch.is_tested = False
            await watch.tell_again()
        if not rang:
            return BellVerdict.SILENT
        return BellVerdict.WELL if let_go else BellVerdict.HANGS

    async def _becomes(self, watch: InputWatch, state: ContactState) -> bool:
        until_s = self._clock.monotonic_s() + ANSWER_S
        while not _is(watch, state):
            if self._clock.monotonic_s() >= until_s:
                return False
            await self._clock.sleep_s(LOOK_S)
        return True


def _is(watch: InputWatch, state: ContactState) -> bool:
    return watch.signal is not None and watch.signal.state is state


def _last_hour(now: datetime) -> datetime:
    """Return when the bells were to be tested last."""
    hour = now.replace(hour=AT_HOUR_UTC, minute=0, second=0, microsecond=0)
    return hour if hour <= now else hour - DAY
