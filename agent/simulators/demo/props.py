"""Everything on the demo's stage that runs as a process: started, watched, killed, started again.

A prop that dies is started again after a moment, as systemd would do on a box; one whose plug was
pulled stays off for as long as was asked.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from agent.core import log
from agent.core.clock import Clock

RESTART_S = 0.5
STOP_S = 15.0
WATCH_EVERY_S = 0.2


class Prop:
    """One process of the demo, with its output in a file of its own."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        folder: Path,
        clock: Clock,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self._command, self._clock = name, tuple(command), clock
        self._log_path = folder / f"{name}.log"
        self._environment = {**os.environ, **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None
        self._off_until_s = 0.0
        self._is_wanted = False
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start it; from now on it is wanted."""
        self._is_wanted = True
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for the demo, which stops all in order
            )
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
            if not self._is_wanted or self.pid is not None:
                continue
            if self._clock.monotonic_s() < self._off_until_s:
                continue
            log.get("demo").warning("started again", what=self.name)
            await self.start()
            await self._clock.sleep_s(RESTART_S)

    async def stop(self) -> None:
        """Ask it to end, kill it when it does not."""
        self._is_wanted = False
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            log.get("demo").error("did not stop, killed", what=self.name)
            process.kill()
            await process.wait()

    def last_words(self, lines: int = 5) -> str:
        """Return the end of its output, for a plain error message."""
        try:
            text = self._log_path.read_text("utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])
