"""Ask a part of the board with a limit of time: a driver that hangs costs that answer only.

A read from /sys can block for ever (a dying bus, a hung USB bridge), and no time-out reaches a
blocked read. It is left behind in its thread, and the part is not asked again until it comes back.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from agent.core import log

PATIENCE_S = 1.0

Answer = TypeVar("Answer")


class Patience:
    """Asks parts by name. Not thread-safe: one owner."""

    def __init__(self, patience_s: float = PATIENCE_S, *, logs: bool = True) -> None:
        """`logs`: off where the answer itself names what hangs, as on the command line."""
        self._patience_s, self._logs = patience_s, logs
        self._hanging: dict[str, threading.Thread] = {}
        self._log = log.get("patience")

    @property
    def silent(self) -> tuple[str, ...]:
        """The parts whose last question still waits for its answer."""
        return tuple(sorted(self._hanging))

    def ask(self, part: str, question: Callable[[], Answer], unknown: Answer) -> Answer:
        """Return the part's answer, or `unknown` when it takes too long or fails."""
        before = self._hanging.get(part)
        if before is not None and before.is_alive():
            return unknown
        answers: list[Answer] = []

        def ask() -> None:
            with suppress(OSError):
                answers.append(question())

        asking = threading.Thread(target=ask, name=f"ask-{part}", daemon=True)
        asking.start()
        asking.join(self._patience_s)
        if asking.is_alive():
            if before is None and self._logs:
                self._log.error("part of the board does not answer", part=part)
            self._hanging[part] = asking
            return unknown
        self._hanging.pop(part, None)
        return answers[0] if answers else unknown
