"""How long something may be switched, however often it is asked for: pure arithmetic, no clock."""


class OnTime:
    """How long an output may still be off its safe state: one allowance for a whole period.

    A period ends when the output has been safe for `rest_s` without a break.
    """

    def __init__(self, most_s: float, rest_s: float) -> None:
        self._most_s, self._rest_s = most_s, rest_s
        self._used_s, self._since_s, self._safe_s = 0.0, 0.0, float("-inf")
        self._is_switched = False

    def note(self, now_s: float, *, is_switched: bool) -> None:
        """Take what the output is now; tell it of every change."""
        if is_switched and not self._is_switched:
            self._used_s = self._most_s - self.left_s(now_s)
            self._since_s = now_s
        elif self._is_switched and not is_switched:
            self._used_s += now_s - self._since_s
            self._safe_s = now_s
        self._is_switched = is_switched

    def left_s(self, now_s: float) -> float:
        """Return what is left of the period's allowance, all of it after a rest."""
        if self._is_switched:
            return self._most_s - self._used_s - (now_s - self._since_s)
        return self._most_s - (0.0 if self.rests_s(now_s) <= 0 else self._used_s)

    def rests_s(self, now_s: float) -> float:
        """Return how long it must still be safe for a new period."""
        return self._rest_s if self._is_switched else self._safe_s + self._rest_s - now_s
