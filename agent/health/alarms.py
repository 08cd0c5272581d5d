"""What is wrong with the alarms themselves, as faults. Pure, like `checks`."""

from collections.abc import Iterable, Iterator, Mapping

from agent.health.catalogue import fault_of
from agent.health.fault import Fault


def alarm_faults(
    judged_false: Mapping[str, int], budget: float, limited: Iterable[str], *, is_weather: bool
) -> Iterator[Fault]:
    """Tell of cameras over their day's budget of false alarms, and of what is limited."""
    for camera_id, count in judged_false.items():
        if count > budget:
            subject = f"camera/{camera_id}"
            yield fault_of("alarms.over_budget", subject, camera=camera_id, count=count)
    for camera_id in sorted(limited):
        yield fault_of("alarms.limited", f"camera/{camera_id}", camera=camera_id)
    if is_weather:
        yield fault_of("alarms.weather", "alarms")
