"""Whether a grant may be given at all, and for how long: refused with a code of its own."""

from collections.abc import Collection

from agent.contract.commands import Command
from agent.contract.events import TimeQuality
from agent.contract.grants import LONGEST_S, AnkletTrigger, Audience, MediaGrant, Reason, What
from agent.core.clock import Clock
from agent.core.errors import CommandError

_EARLY_S = 5  # how far the center's clock may be ahead of the box's
_VEHICLE = frozenset({What.LIVE, What.SNAPSHOT})
_MAY = {
    Audience.POLICE_ROOM: frozenset(What),
    Audience.FIRE_ROOM: frozenset(What),
    Audience.OPERATOR: frozenset(What),
    Audience.PATROL_CAR: _VEHICLE,
    Audience.FIRE_ENGINE: _VEHICLE,
    Audience.COURT: frozenset({What.PLAYBACK, What.CLIP, What.SEARCH}),  # what was, not what is
}


def lasting_s(grant: MediaGrant, command: Command, cameras: Collection[str], clock: Clock) -> float:
    """Return how long the grant holds from now.

    Raises `CommandError` grant.wrong_box, unknown_audience, wrong_audience, unknown_reason,
    no_trigger, unknown_camera, not_yet or expired.
    """
    if grant.box != command.box:
        raise _no("wrong_box", f"The grant is for {grant.box}, the order for {command.box}.")
    check_audience(grant.audience, grant.what)
    _check_reason(grant)
    strange = sorted(set(grant.cameras) - set(cameras))
    if strange:
        raise _no("unknown_camera", f"This box has no camera {', '.join(strange)}.")
    # A center's own clock dates the order, and a box's clock may be wrong: the shorter counts.
    nows_s = [float(command.iat)]
    if clock.quality() is not TimeQuality.UNSYNCED:
        nows_s.append(clock.utc_now().timestamp())
    if min(nows_s) < grant.nbf - _EARLY_S:
        raise _no("not_yet", "The grant is not valid yet.", retryable=True)
    left_s = min(grant.exp - max(nows_s), LONGEST_S)
    if left_s <= 0:
        raise _no("expired", "The grant is over already.")
    return left_s


def check_audience(audience: str, what: Collection[What]) -> None:
    """Raise `CommandError` grant.unknown_audience, or wrong_audience: it may not have that."""
    if audience not in tuple(Audience):
        raise _no("unknown_audience", f"The box knows no audience `{audience}`.")
    beyond = set(what) - _MAY[Audience(audience)]
    if beyond:
        words = ", ".join(sorted(beyond))
        raise _no("wrong_audience", f"{audience} may not have: {words}.")


def _check_reason(grant: MediaGrant) -> None:
    if grant.reason not in tuple(Reason):
        raise _no("unknown_reason", f"The box knows no reason `{grant.reason}`.")
    if grant.reason == Reason.ANKLET and grant.trigger not in tuple(AnkletTrigger):
        raise _no("no_trigger", "A grant for an anklet needs one of its four triggers.")


def _no(what: str, message: str, *, retryable: bool = False) -> CommandError:
    return CommandError(
        f"grant.{what}",
        message,
        hint="Issue a grant that fits; `agent/contract/grants.py` lists the words.",
        retryable=retryable,
    )
