"""Ask a part of the board with a limit of time: a driver that hangs costs that answer only.

A read from /sys can block for ever (a dying bus, a hung USB bridge), and no time-out reaches a
blocked read. It is left behind in its thread, and the part is not asked again until it comes back.
"""

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from agent.core import log

PATIENCE_S = 1.0

Answer = TypeVar("Answer")


class Patience:
    """Asks parts by name. Not thread-safe: one owner."""

    def __init__(self, patience_s: float = PATIENCE_S, *, logs: bool = True) -> None:
        """`logs`: off where the answer itself names what hangs, as on the command line."""
        self._patience_s, self._logs = patience_s, logs
        self._asker: _Asker | None = None
        self._hanging: dict[str, _Asker] = {}
        self._failing: set[str] = set()
        self._log = log.get("patience")

    @property
    def silent(self) -> tuple[str, ...]:
        """The parts whose last question still waits for its answer."""
        return tuple(sorted(self._hanging))

    def ask(self, part: str, question: Callable[[], Answer], unknown: Answer) -> Answer:
        """Return the part's answer, or `unknown` when it takes too long or fails."""
        before = self._hanging.get(part)
        if before is not None and before.is_alive:
            return unknown
        answers: list[Answer] = []
        errors: list[Exception] = []

        def ask() -> None:
            try:
                answers.append(question())
            except Exception as error:  # noqa: BLE001 - it would end the thread that asks the others
                errors.append(error)

        if self._asker is None or not self._asker.is_alive:
            self._asker = _Asker()
        if not self._asker.ask(ask, self._patience_s):
            if before is None and self._logs:
                self._log.error("part of the board does not answer", part=part)
            self._hanging[part], self._asker = self._asker, None
            return unknown
        self._hanging.pop(part, None)
        for error in errors:
            self._note_failure(part, error)
        return answers[0] if answers else unknown

    def _note_failure(self, part: str, error: Exception) -> None:
        """Log, once a part, what is more than a file that refuses to be read."""
        if self._logs and not isinstance(error, OSError) and part not in self._failing:
            self._failing.add(part)
            self._log.error("part of the board can't be asked", part=part, exc_info=error)


class _Asker:
    """A thread that puts one question after the other: a new one for each costs ten times that.

    It ends with whoever owns it, and after a question that was not answered in time.
    """

    def __init__(self) -> None:
        self._questions: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._is_answered = threading.Semaphore(0)
        what = self._questions, self._is_answered
        self._thread = threading.Thread(target=_put_questions, args=what, name="ask", daemon=True)
        self._thread.start()
        weakref.finalize(self, self._questions.put, None).atexit = False

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def ask(self, question: Callable[[], None], patience_s: float) -> bool:
        """Return whether the question was answered in time."""
        self._questions.put(question)
        if self._is_answered.acquire(timeout=patience_s):
            return True
        self._questions.put(None)
        return False


def _put_questions(
    questions: SimpleQueue[Callable[[], None] | None], is_answered: threading.Semaphore
) -> None:
    while (question := questions.get()) is not None:
        try:
            question()
        finally:
            is_answered.release()
        del question  # what it knows may go while the next is waited for
