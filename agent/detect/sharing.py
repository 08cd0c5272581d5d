"""Who may ask the detector how often: by need, and never more than it can answer.

The detect process measures what a look costs and knows who asks; it deals the looks it can make in
a second out among the cameras and tells each, with its answer, how long to wait before asking
again. So questions don't pile up: what is too much is left unasked. A camera gets at most what
it wishes; what it leaves over goes to the others in proportion to their need (weighted max-min
fairness), and each gets a least share, so that no need of others starves it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

BUSY_SHARE = 0.85  # of the time; the rest keeps the queue short
LEAST_SHARE = 0.25  # of an equal share is everybody's, whatever the need of others
FORGOTTEN_AFTER_S = 15.0  # a camera that is quiet asks every ten seconds
_MET = 0.999  # of a wish: rounding aside
_COST_KEPT = 0.9  # per look: a cost that is felt over some ten of them


@dataclass(frozen=True, slots=True)
class Wish:
    """What one camera would like: looks a second, and its need relative to the others'."""

    rate: float = 5.0
    need: float = 1.0


def shares(wishes: Sequence[Wish], capacity: float) -> list[float]:
    """Deal `capacity` looks a second out; return what each gets, none more than it wishes.

    All of the capacity is used, or every wish is met.
    """
    if not wishes:
        return []
    least = LEAST_SHARE * capacity / len(wishes)
    given = [min(wish.rate, least) for wish in wishes]
    left = capacity - sum(given)
    hungry = {k for k, wish in enumerate(wishes) if wish.rate > given[k]}
    while hungry and left > 1e-9:
        needs = sum(wishes[k].need for k in hungry)
        full = {k for k in hungry if wishes[k].rate - given[k] <= left * wishes[k].need / needs}
        if not full:
            for k in hungry:
                given[k] += left * wishes[k].need / needs
            break
        left -= sum(wishes[k].rate - given[k] for k in full)
        for k in full:
            given[k] = wishes[k].rate
        hungry -= full
    return given


class Sharing:
    """Remembers who asks and what a look costs. Owned by the detect process's one thread."""

    def __init__(self, look_s: float) -> None:
        """`look_s`: what one look is thought to cost until the first was measured."""
        self._look_s = max(look_s, 1e-4)
        self._wishes: dict[str, tuple[Wish, float]] = {}

    @property
    def capacity(self) -> float:
        """Looks a second that it can promise."""
        return BUSY_SHARE / self._look_s

    @property
    def has_spare(self) -> bool:
        """Whether all could ask twice as often as they wish: second looks crowd nobody out."""
        return 2 * sum(wish.rate for wish, _ in self._wishes.values()) <= self.capacity

    def looked(self, took_s: float) -> None:
        """Learn from one look what looks cost, on a box that others load as well."""
        self._look_s += (1 - _COST_KEPT) * (max(took_s, 1e-4) - self._look_s)

    def every_s(self, camera_id: str, wish: Wish, now_s: float) -> float:
        """Return how long this camera is to wait from one question to the next; 0: as it wishes."""
        self._wishes[camera_id] = (wish, now_s)
        self._wishes = {
            name: one for name, one in self._wishes.items() if now_s - one[1] <= FORGOTTEN_AFTER_S
        }
        names = list(self._wishes)
        given = shares([self._wishes[name][0] for name in names], self.capacity)
        rate = given[names.index(camera_id)]
        return 0.0 if rate >= wish.rate * _MET else 1.0 / max(rate, 1e-3)
