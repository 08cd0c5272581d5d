"""Whether a grant allows an order: pure, refused with a code of its own."""

from agent.contract.commands import Command
from agent.contract.grants import MediaGrant, What
from agent.contract.needs import Need
from agent.core.errors import CommandError

_SEES_THE_PAST = frozenset({What.PLAYBACK, What.CLIP, What.SEARCH})


def check_covers(command: Command, need: Need) -> MediaGrant:
    """Return the order's grant when it allows what is needed.

    Raises `CommandError` grant.none, other_use, other_camera or outside_window.
    """
    grant = command.grant
    if grant is None:
        raise CommandError(
            "grant.none",
            f"`{command.op}` needs a grant for {need.what.value}, and the order carries none.",
            hint="Put one into the order (`grant`); it says for whom, why and until when.",
        )
    if need.what not in grant.what:
        words = ", ".join(grant.what)
        raise _no("other_use", f"The grant is for {words}, not for {need.what.value}.")
    if grant.cameras and need.camera_id not in grant.cameras:
        wanted = f"camera {need.camera_id}" if need.camera_id else "the whole box"
        raise _no("other_camera", f"The grant is not for {wanted}.")
    window = grant.window
    if window is not None and need.start_at is not None and need.end_at is not None:
        is_inside = window.start_at <= need.start_at and need.end_at <= window.end_at
    else:
        is_inside = window is None
    if need.what in _SEES_THE_PAST and not is_inside:
        raise _no("outside_window", "The grant is for another time: keep inside its `window`.")
    return grant


def _no(what: str, message: str) -> CommandError:
    return CommandError(f"grant.{what}", message, hint="Issue a grant that covers the order.")
