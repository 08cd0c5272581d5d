"""Once a day each bell with a test output is pressed electrically, to see it ring and let go.

A real press during the test is not lost: what is still active when the test's own press is over is
told like any other.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from enum import StrEnum

from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.errors import CommandError
from agent.messages.pole import ContactState
from agent.pole.inputs import Inputs, InputWatch
from agent.pole.outputs import Outputs
from agent.settings.pole import InputSettings

PRESS_S, ANSWER_S, LOOK_S = 1.0, 2.0, 0.02
AT_HOUR_UTC = 19  # 04:00 in Korea


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
        self, clock: Clock, inputs: Inputs, outputs: Outputs, on_verdict: OnVerdict
    ) -> None:
        super().__init__(clock)
        self._inputs, self._outputs, self._on_verdict = inputs, outputs, on_verdict
        self._log = log.get(self.name)
        self.verdicts: dict[str, tuple[datetime, BellVerdict]] = {}

    async def run(self) -> None:
        """Wait for the hour, test, wait for the next day's."""
        while True:
            await self._clock.sleep_s(_until_hour_s(self._clock.utc_now()))
            for watch in self._inputs.testable:
                await self.test(watch)

    async def test(self, watch: InputWatch) -> BellVerdict:
        """Press one bell electrically and say what became of it."""
        verdict = await self._press(watch)
        self.verdicts[watch.settings.input_id] = (self._clock.utc_now(), verdict)
        if verdict is not BellVerdict.UNTESTED:
            self._log.info("bell tested", bell=watch.settings.input_id, verdict=verdict.value)
            await self._on_verdict(watch.settings, verdict)
        return verdict

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


def _until_hour_s(now: datetime) -> float:
    next_time = now.replace(hour=AT_HOUR_UTC, minute=0, second=0, microsecond=0)
    if next_time <= now:
        next_time += timedelta(days=1)
    return (next_time - now).total_seconds()
