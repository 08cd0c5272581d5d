"""What is amiss with the cameras' control side. Pure, as `agent.health.checks`."""

from collections.abc import Iterator, Sequence

from agent.health.catalogue import fault_of
from agent.health.fault import Fault


def place_faults(
    camera_id: str,
    *,
    is_exchanged: bool,
    candidates: Sequence[str],
    drift: Sequence[str],
    twins: str = "",
) -> Iterator[Fault]:
    """Tell of another camera in a place, of one that may have moved, and of changed settings.

    `twins`: where two devices are that have its MAC address.
    """
    subject = f"camera/{camera_id}"
    if is_exchanged:
        yield fault_of("camera.exchanged", subject, camera=camera_id)
    if candidates:
        yield fault_of("camera.candidate", subject, camera=camera_id, where=candidates[0])
    if twins:
        yield fault_of("camera.shared_mac", subject, camera=camera_id, where=twins)
    if drift:
        what = drift[0].rpartition("/")[2]
        yield fault_of("camera.set_up_otherwise", subject, camera=camera_id, what=what)


def stream_faults(
    camera_id: str, warnings: Sequence[tuple[str, str]], *, audio_allowed: bool
) -> Iterator[Fault]:
    """Tell what makes a camera's streams hard to record, to look at, or to keep lawfully."""
    for code, streams in warnings:
        if not (code == "camera.sends_audio" and audio_allowed):
            yield fault_of(code, f"camera/{camera_id}", camera=camera_id, streams=streams)


def event_faults(camera_id: str, code: str | None, *, has_bells: bool) -> Iterator[Fault]:
    """Tell when a camera that carries a bell is not heard; an absent one is told of already."""
    silent = code not in (None, "camera.unreachable", "camera.events_starting")
    if has_bells and silent:
        yield fault_of("camera.no_events", f"camera/{camera_id}", camera=camera_id)
