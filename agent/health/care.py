"""From what no longer answers the box to faults."""

from collections.abc import Iterator, Sequence

from agent.health.catalogue import fault_of
from agent.health.fault import Fault


def board_faults(silent: Sequence[str], lost_sensors: Sequence[str]) -> Iterator[Fault]:
    """Tell which parts of the board hang, and which thermometers are gone though others answer."""
    if silent:
        yield fault_of("board.part_silent", "board", part=", ".join(silent))
    if lost_sensors and "thermometers" not in silent:
        yield fault_of("board.sensor_lost", "board", sensor=", ".join(lost_sensors))
