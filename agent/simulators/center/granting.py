"""The stand-in center's grants: what an order needs is issued with it, by the same hand.

A real city asks a person, or a case system, first; here the occasion is what the operator says.
"""

from dataclasses import dataclass

from agent.contract.commands import Actor, Args, Search
from agent.contract.events import CapStatus
from agent.contract.grants import LONGEST_S, Audience, MediaGrant, Reason, Sink, What, Window
from agent.contract.needs import Need, need_of
from agent.contract.scene_args import Playback
from agent.contract.topics import BoxAddress
from agent.core.clock import Clock
from agent.core.ids import new_ulid

LASTS_S = 600
_RENEW_S = 150  # a grant must outlive the longest lease that is asked for under it
_SEES_THE_PAST = frozenset({What.PLAYBACK, What.CLIP})


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why somebody wants to see: the grant's reason and for whom, but for the case."""

    audience: Audience = Audience.OPERATOR
    reason: Reason = Reason.TRAFFIC
    purpose: str = "ordered at the stand-in center"
    trigger: str = ""
    status: CapStatus = CapStatus.ACTUAL
    sink: Sink | None = None


class GrantOffice:
    """Issues a grant an order can rest on; the same one while it lasts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._issued: dict[tuple[BoxAddress, Need, Occasion, str], MediaGrant] = {}

    def grant_for(
        self, address: BoxAddress, args: Args, by: Actor, occasion: Occasion | None = None
    ) -> MediaGrant | None:
        """Return what `args` must carry; None when they need nothing."""
        need, why = need_of(args), occasion or Occasion()
        if need is None:
            return None
        case, now = by.case or "stand-in", self._clock.utc_now()
        at, key = int(now.timestamp()), (address, need, why, case)
        known = self._issued.get(key)
        if known is not None and known.exp - at > _RENEW_S:
            return known
        self._issued = {key: one for key, one in self._issued.items() if one.exp > at}
        window = None
        if need.what in _SEES_THE_PAST and need.start_at and need.end_at:
            window = Window(start_at=need.start_at, end_at=need.end_at)
        self._issued[key] = issued = MediaGrant(
            id=new_ulid(now),
            box=address.box,
            incident=case,
            audience=why.audience,
            purpose=why.purpose,
            reason=why.reason,
            what=(need.what,),
            cameras=(need.camera_id,) if need.camera_id else (),
            nbf=at,
            exp=at + (LONGEST_S if _lasts_long(args) else LASTS_S),
            window=window,
            sink=why.sink,
            status=why.status,
            trigger=why.trigger,
        )
        return issued

    def forget(self, grant_id: str) -> None:
        """A box says that a grant is over: the next order gets a new one."""
        self._issued = {key: one for key, one in self._issued.items() if one.id != grant_id}


def _lasts_long(args: Args) -> bool:
    return isinstance(args, Playback) or (isinstance(args, Search) and args.watch_s > 0)
