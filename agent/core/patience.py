"""Ask a part of the board with a limit of time: a driver that hangs costs that answer only.

A read from /sys can block for ever (a dying bus, a hung USB bridge), and no time-out reaches a
blocked read. It is left behind in its thread, and the part is not asked again until it comes back.
"""

import threading
import weakref
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any, TypeVar

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
        told: Answer = self.ask_all({part: question}).get(part, unknown)
        return told

    def ask_all(self, questions: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
        """Return the answers of all parts that gave one, each within its time.

        In one way to the asking thread and back, however many they are.
        """
        answers: dict[str, Any] = {}
        left = {part: each for part, each in questions.items() if not self._still_hangs(part)}
        while left:
            if self._asker is None or not self._asker.is_alive:
                self._asker = _Asker()
            asked, asker = _Asked(left), self._asker
            if not asker.ask(asked, self._patience_s):
                self._asker = None
            answers |= asked.answers
            for part in asked.done:
                self._hanging.pop(part, None)
                del left[part]
            for part, error in asked.errors.items():
                self._note_failure(part, error)
            if left:
                hanging = next(iter(left))
                self._say_it_hangs(hanging)
                self._hanging[hanging] = asker
                del left[hanging]
        return answers

    def _still_hangs(self, part: str) -> bool:
        before = self._hanging.get(part)
        return before is not None and before.is_alive

    def _say_it_hangs(self, part: str) -> None:
        if part not in self._hanging and self._logs:
            self._log.error("part of the board does not answer", part=part)

    def _note_failure(self, part: str, error: Exception) -> None:
        """Log, once a part, what is more than a file that refuses to be read."""
        if self._logs and not isinstance(error, OSError) and part not in self._failing:
            self._failing.add(part)
            self._log.error("part of the board can't be asked", part=part, exc_info=error)


class _Asked:
    """Questions put one after the other, until one hangs: then its thread is left alone."""

    def __init__(self, questions: Mapping[str, Callable[[], Any]]) -> None:
        self._questions = dict(questions)
        self._lock, self._is_over = threading.Lock(), False
        self.answers: dict[str, Any] = {}
        self.errors: dict[str, Exception] = {}
        self.done: list[str] = []

    def put(self) -> None:
        """In the asking thread."""
        for part, question in self._questions.items():
            answers, errors = self.answers, self.errors
            try:
                told = {part: question()}
                failed = {}
            except Exception as error:  # noqa: BLE001 - it would end the thread that asks the others
                told, failed = {}, {part: error}
            with self._lock:
                if self._is_over:
                    return  # nobody waits for it any more
                answers.update(told)
                errors.update(failed)
                self.done.append(part)

    def end(self) -> None:
        """Take no more answers."""
        with self._lock:
            self._is_over = True


class _Asker:
    """A thread that puts the questions: a new one for each time costs ten times that.

    It ends with whoever owns it, and after a question that was not answered in time.
    """

    def __init__(self) -> None:
        self._questions: SimpleQueue[_Asked | None] = SimpleQueue()
        self._is_answered = threading.Semaphore(0)
        what = self._questions, self._is_answered
        self._thread = threading.Thread(target=_put_questions, args=what, name="ask", daemon=True)
        self._thread.start()
        weakref.finalize(self, self._questions.put, None).atexit = False

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def ask(self, asked: _Asked, patience_s: float) -> bool:
        """Put the questions; return whether each was answered within `patience_s`."""
        self._questions.put(asked)
        seen = -1
        while seen < len(asked.done):  # one was answered meanwhile: the next has its own time
            seen = len(asked.done)
            if self._is_answered.acquire(timeout=patience_s):
                return True
        asked.end()
        self._questions.put(None)
        return False


def _put_questions(questions: SimpleQueue[_Asked | None], is_answered: threading.Semaphore) -> None:
    while (asked := questions.get()) is not None:
        try:
            asked.put()
        finally:
            is_answered.release()
        del asked  # what it knows may go while the next is waited for
