"""One thread for each input line: blocks for its edges and hands them to the event loop."""

import asyncio
import threading
from collections.abc import Callable

from agent.core.clock import Clock, wait_s
from hardware.lines import InputLine, LineError

_WAIT_S = 1.0
HANGS_AFTER_S = 5.0  # of waits of `_WAIT_S`


class LineReader:
    """Reads one line. `on_edge(is_active, mono_s)` and `on_lost(reason)` run in the loop."""

    def __init__(
        self,
        line: InputLine,
        clock: Clock,
        on_edge: Callable[[bool, float], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._line, self._clock = line, clock
        self._on_edge, self._on_lost = on_edge, on_lost
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._alive_s = clock.monotonic_s()
        self._thread = threading.Thread(target=self._read, name="pole-line", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def hangs(self) -> bool:
        """Whether the line neither tells an edge nor that there was none: nobody hears it."""
        return self._clock.monotonic_s() - self._alive_s > HANGS_AFTER_S

    def close(self) -> None:
        """Stop reading; the line is given back when the present wait ends, a second at most.

        That of a reader which never began is given back at once.
        """
        self._stop.set()
        if self._thread.ident is None:
            self._line.close()

    def _read(self) -> None:
        try:
            while not wait_s(self._stop, 0.0):
                self._alive_s = self._clock.monotonic_s()
                for edge in self._line.wait(_WAIT_S):
                    at_s = self._clock.monotonic_s() - edge.age_s
                    self._hand_over(self._on_edge, edge.is_active, at_s)
        except LineError as error:
            self._hand_over(self._on_lost, str(error))
        finally:
            self._line.close()

    def _hand_over(self, call: Callable[..., None], *arguments: object) -> None:
        if not self._stop.is_set() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)
