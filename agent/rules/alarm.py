"""From "it holds now" to began, continues, ended: the part that all rules share.

The changes of one rule strictly alternate began and ended, whatever the pictures do.
"""

from collections.abc import Mapping, Sequence

from agent.messages.vision import HitState, RuleChange, TrackedObject

CONTINUES_EVERY_S = 5.0
BLIND_S = 5.0  # without any update for so long, nobody knows what happened
UNWATCHED = "unwatched"
CLEAR = "clear"

Measures = Mapping[str, float]


class Alarm:
    """Whether one rule is true. It ends after `clear_s` in which it did not hold."""

    def __init__(self, rule_id: str, clear_s: float) -> None:
        self.rule_id, self.clear_s = rule_id, clear_s
        self.is_active = False
        self._updated_s: float | None = None
        self._told_s = 0.0  # when the last change was told
        self._held_s = 0.0  # when it last held

    def after_blindness(self, at_s: float) -> tuple[bool, list[RuleChange]]:
        """Call first for each update. Say whether what was known is to be forgotten.

        A time must have been seen, not supposed: after a long time without updates all begins anew.
        """
        last_s, self._updated_s = self._updated_s, at_s
        if last_s is None or at_s - last_s <= max(BLIND_S, self.clear_s):
            return False, []
        return True, [self.end(at_s, UNWATCHED)] if self.is_active else []

    def step(
        self,
        at_s: float,
        *,
        begins: bool,
        holds: bool,
        objects: Sequence[TrackedObject] = (),
        measures: Measures | None = None,
        news: bool = False,
    ) -> list[RuleChange]:
        """Take what one update found: whether it is enough to begin, whether it still holds.

        With `news` a rule that holds says so at once, else every few seconds.
        """
        if holds:
            self._held_s = at_s
        if not self.is_active:
            if not begins:
                return []
            self.is_active, self._held_s = True, at_s
            return [self._change(HitState.BEGAN, at_s, objects, measures)]
        if holds:
            if news or at_s - self._told_s >= CONTINUES_EVERY_S:
                return [self._change(HitState.CONTINUES, at_s, objects, measures)]
        elif at_s - self._held_s >= self.clear_s:
            return [self.end(at_s, CLEAR)]
        return []

    def end(self, at_s: float, reason: str) -> RuleChange:
        """End it now."""
        self.is_active, self._told_s = False, at_s
        return RuleChange(rule_id=self.rule_id, state=HitState.ENDED, reason=reason)

    def _change(
        self,
        state: HitState,
        at_s: float,
        objects: Sequence[TrackedObject],
        measures: Measures | None,
    ) -> RuleChange:
        self._told_s = at_s
        return RuleChange(
            rule_id=self.rule_id,
            state=state,
            objects=tuple(objects),
            measures=dict(measures or {}),
        )
