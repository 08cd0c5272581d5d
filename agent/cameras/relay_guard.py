"""What a relay may do: only those on the list, never longer than allowed, safe when we go.

A relay may be a siren, a lamp or a door. Whoever switches one on gives an end, which is kept by a
timer of ours even where the camera has none, and at our start and stop each is put into its
declared safe state. Threads of the core process.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from agent.cameras.port import CameraUnreachable
from agent.cameras.surprises import typed
from agent.core.clock import Clock, wait_s
from agent.core.errors import CommandError, PolesideError
from agent.core.log import get
from agent.core.on_time import OnTime

_AGAIN_S = 2.0
REST_S = 10.0  # so long safe, and the time that is allowed counts anew


@dataclass(frozen=True, slots=True)
class RelayRule:
    """One relay we may switch. `safe_active`: the state it is left in when nobody wants it."""

    token: str
    max_on_s: float
    safe_active: bool = False


class RelayGuard:
    """The relays of one camera. `switch` sends to the camera and raises `CameraError`."""

    def __init__(
        self,
        rules: tuple[RelayRule, ...],
        switch: Callable[[str, bool], None],
        clock: Clock,
    ) -> None:
        self._rules = {rule.token: rule for rule in rules}
        self._switch, self._clock = switch, clock
        self._leaving: dict[str, RelayRule] = {}  # off the list, and not safe yet
        self._due: dict[str, float] = {}
        self._periods = _periods(rules)
        self._changed = threading.Condition()
        self._is_closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._log = get("cameras.relay")

    @property
    def on_for_s(self) -> dict[str, float]:
        """Return the relays we hold away from their safe state, and for how much longer."""
        now_s = self._clock.monotonic_s()
        return {token: max(0.0, due - now_s) for token, due in self._due.copy().items()}

    def pulse(self, token: str, seconds: float) -> float:
        """Switch a relay out of its safe state for `seconds`, cut to what is allowed; return it.

        Pulses one after another share what is allowed until the relay has rested for `REST_S`.
        """
        rule = self._rule(token)
        if not 0 < seconds <= rule.max_on_s:
            raise CommandError(
                "relay.too_long",
                f"Relay {token} may be on for at most {rule.max_on_s:g} s.",
                hint="Ask for a shorter time, or raise `max_on_s` in the settings of the camera.",
            )
        # The end is set first: should the answer get lost, it is switched back all the same.
        with self._changed:
            now_s, period = self._clock.monotonic_s(), self._periods[token]
            seconds = min(seconds, period.left_s(now_s))
            if seconds <= 0:
                raise _resting(rule, period.rests_s(now_s))
            period.note(now_s, is_switched=True)
            self._due[token] = now_s + seconds
            self._wake()
        self._switch(token, not rule.safe_active)
        return seconds

    def release(self, token: str) -> None:
        """Put a relay back into its safe state now."""
        rule = self._rule(token)
        with self._changed:
            began = self._due[token] = self._clock.monotonic_s()
        try:
            self._switch(token, rule.safe_active)
        except Exception:
            with self._changed:
                self._wake()  # tried again at once, not at the old end
            raise
        self._settled(token, began)

    def end(self, token: str) -> None:
        """Let a relay that is on be made safe by the timer at once; this takes no time itself."""
        with self._changed:
            if token in self._due:
                self._due[token] = self._clock.monotonic_s()
                self._wake()

    def use(self, rules: tuple[RelayRule, ...]) -> None:
        """Take other rules; what was on is made safe before, and all that are listed now after.

        One that is taken off the list while it is on is tried until it is safe, by its old rule.
        """
        if self._due:
            self.make_safe()
        with self._changed:
            before, self._rules = self._rules | self._leaving, {rule.token: rule for rule in rules}
            off = [token for token in self._due if token not in self._rules]
            self._periods = _periods(rules)
            self._leaving = {token: before[token] for token in off}
            self._due |= dict.fromkeys(off, self._clock.monotonic_s())
            if off:
                self._wake()
        self.make_safe()

    def make_safe(self) -> None:
        """Put all into their safe state: at the start, and before the agent ends."""
        for rule in (*self._rules.values(), *self._leaving.copy().values()):
            began = self._due.get(rule.token)
            try:
                self._make_safe(rule)
            except PolesideError as error:
                self._log.warning("relay not made safe", token=rule.token, code=error.code)
            else:
                self._settled(rule.token, began)

    def close(self) -> None:
        """Make what we switched safe, and end the timer."""
        self._is_closing.set()
        with self._changed:
            self._changed.notify_all()
        if self._due:
            self.make_safe()

    def _rule(self, token: str) -> RelayRule:
        if token not in self._rules:
            raise CommandError(
                "relay.not_allowed",
                f"Relay {token} is not on the list of this camera.",
                hint="List it under `relays` of the camera in the settings file at the box.",
            )
        return self._rules[token]

    def _make_safe(self, rule: RelayRule) -> None:
        """Switch; raises `PolesideError` and nothing else: no odd answer may end the timer."""
        typed(lambda: self._switch(rule.token, rule.safe_active))

    def _settled(self, token: str, began: float | None) -> None:
        """Forget when it was to end, unless it was wanted again, or longer, meanwhile."""
        with self._changed:
            if self._due.get(token) == began:
                self._due.pop(token, None)
                if (period := self._periods.get(token)) is not None:
                    period.note(self._clock.monotonic_s(), is_switched=False)
                self._leaving.pop(token, None)

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="relay-guard", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        while not self._is_closing.is_set():
            with self._changed:
                now_s = self._clock.monotonic_s()
                over = [token for token, due in self._due.items() if due <= now_s]
                if not over:
                    next_s = min(self._due.values(), default=None)
                    self._changed.wait(None if next_s is None else next_s - now_s)
                    continue
            for token in over:
                self._end(token)

    def _end(self, token: str) -> None:
        began = self._due.get(token)
        try:
            if (rule := self._rules.get(token) or self._leaving.get(token)) is not None:
                self._make_safe(rule)
        except PolesideError as error:
            level = self._log.info if isinstance(error, CameraUnreachable) else self._log.warning
            level("relay not switched back", token=token, code=error.code)
            wait_s(self._is_closing, _AGAIN_S)
            return
        self._settled(token, began)


def _periods(rules: tuple[RelayRule, ...]) -> dict[str, OnTime]:
    return {rule.token: OnTime(rule.max_on_s, REST_S) for rule in rules}


def _resting(rule: RelayRule, rests_s: float) -> CommandError:
    return CommandError(
        "relay.resting",
        f"Relay {rule.token} has been on for its {rule.max_on_s:g} s.",
        hint=f"It may be switched again after {rests_s:.0f} s of rest.",
        retryable=True,
    )
