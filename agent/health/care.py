"""From what no longer answers the box to faults."""

from collections.abc import Iterator, Sequence

from agent.health.catalogue import fault_of
from agent.health.fault import Fault


def board_faults(
    silent: Sequence[str], lost_sensors: Sequence[str], lost_parts: Sequence[str] = ()
) -> Iterator[Fault]:
    """Tell which parts of the board hang, and what it told before and no longer does."""
    if silent:
        yield fault_of("board.part_silent", "board", part=", ".join(silent))
    if lost_sensors:
        yield fault_of("board.sensor_lost", "board", sensor=", ".join(lost_sensors))
    if lost_parts:
        yield fault_of("board.part_lost", "board", part=", ".join(lost_parts))
