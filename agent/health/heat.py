"""How much looking the box can afford at its temperature: bands with hysteresis, as data.

Detection gives way before anything else; recording never does. Degrees are counted down from the
sensor's limit, where the board slows or stops itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hardware.interface import Temperature

# Processors slow themselves from 80 to 90 °C on, and tell a critical point far above: a Raspberry
# Pi's firmware slows it at 80 and 85, its kernel's critical point is 110.
ASSUMED_LIMIT_C = 90.0
CRITICAL_C = (60.0, 150.0)  # what a sensor tells outside of this is no critical point
COOLER_BY_C = 5.0  # a band is left only when it is this much cooler than where it began


@dataclass(frozen=True, slots=True)
class Band:
    """From `below_limit_c` under the limit on: what is left of detection.

    `rate` multiplies every camera's questions a second; `cameras` is the share that still asks, by
    their priority.
    """

    name: str
    below_limit_c: float
    rate: float
    cameras: float


BANDS = (
    Band("normal", float("inf"), 1.0, 1.0),
    Band("warm", 15.0, 0.5, 1.0),
    Band("hot", 10.0, 0.25, 1.0),
    Band("very-hot", 7.0, 0.25, 0.5),
    Band("critical", 4.0, 0.0, 0.0),
)


def limit_c(reading: Temperature) -> float:
    """Return what a sensor is to be kept below, in degrees Celsius."""
    limit = ASSUMED_LIMIT_C if reading.slows_c is None else reading.slows_c
    critical = reading.critical_c
    if critical is None or not CRITICAL_C[0] <= critical <= CRITICAL_C[1]:
        return limit
    return min(limit, critical)


class HeatJudge:
    """Remembers the band it is in; a sensor that falls silent keeps it where it was."""

    def __init__(self, bands: Sequence[Band] = BANDS, begin: str = "") -> None:
        """`begin`: the name of the band it was in before, if that is known."""
        names = [band.name for band in bands]
        self._bands, self._at = bands, names.index(begin) if begin in names else 0

    @property
    def band(self) -> Band:
        """The band the box is in."""
        return self._bands[self._at]

    def judge(self, readings: Sequence[Temperature]) -> Band:
        """Take the latest readings; return the band, by the sensor nearest to its limit."""
        margins = [
            limit_c(reading) - reading.celsius
            for reading in readings
            if reading.celsius is not None
        ]
        if not margins:
            return self.band
        margin_c = min(margins)
        hotter = max(i for i, band in enumerate(self._bands) if margin_c <= band.below_limit_c)
        while self._at > hotter and margin_c > self.band.below_limit_c + COOLER_BY_C:
            self._at -= 1
        self._at = max(self._at, hotter)
        return self.band
