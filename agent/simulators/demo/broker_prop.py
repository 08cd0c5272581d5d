"""The embedded broker on the demo's stage, with the same plug to pull as every other prop."""

import contextlib
import os
import signal

from agent.core import log
from agent.core.clock import Clock
from agent.simulators.broker import BrokerError, EmbeddedBroker
from agent.simulators.demo.props import WATCH_EVERY_S


class BrokerProp:
    """Keeps the broker up unless its plug was pulled."""

    name = "broker"

    def __init__(self, broker: EmbeddedBroker, clock: Clock) -> None:
        self._broker, self._clock = broker, clock
        self._off_until_s = 0.0
        self._is_wanted = False
        self.starts = 0

    @property
    def pid(self) -> int | None:
        return self._broker.pid if self._is_running() else None

    async def start(self) -> None:
        self._is_wanted = True
        await self._broker.start()
        self.starts += 1

    def pull_plug(self, off_s: float) -> None:
        """Kill it at once and keep it off for `off_s`."""
        self._off_until_s = self._clock.monotonic_s() + off_s
        if (pid := self.pid) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def keep(self) -> None:
        """Start it again whenever it is down and not kept off. Runs until cancelled."""
        while True:
            await self._clock.sleep_s(WATCH_EVERY_S)
            is_off = self._clock.monotonic_s() < self._off_until_s
            if not self._is_wanted or is_off or self._is_running():
                continue
            log.get("demo").warning("started again", what=self.name)
            with contextlib.suppress(BrokerError):  # its port may still be held: next turn
                await self._broker.stop()
                await self._broker.start()
                self.starts += 1

    async def stop(self) -> None:
        self._is_wanted = False
        await self._broker.stop()

    def _is_running(self) -> bool:
        pid = self._broker.pid
        if pid is None:
            return False
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123
                return file.read().rsplit(") ", 1)[1][0] != "Z"
        except OSError:
            return False
