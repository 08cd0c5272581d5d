"""The motor of a simulated PTZ head: velocity over time becomes a position within limits."""

from dataclasses import dataclass, replace

from agent.core.clock import Clock

PAN_TILT_PER_S = 0.25  # full velocity crosses the range -1..1 in eight seconds
ZOOM_PER_S = 0.2


@dataclass(frozen=True, slots=True)
class MotorPosition:
    """Generic ONVIF spaces: pan and tilt -1..1, zoom 0..1."""

    pan: float = 0.0
    tilt: float = 0.0
    zoom: float = 0.0


class PtzMotor:
    """Moves as told until the time is over, a stop, or the end of the range."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._start = MotorPosition()
        self._velocity = MotorPosition()
        self._since_mono_s = clock.monotonic_s()
        self._until_mono_s: float | None = None
        self._goal: MotorPosition | None = None
        self.moves_total = self.stops_total = 0

    def move(
        self,
        pan: float | None = None,
        tilt: float | None = None,
        zoom: float | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """Take velocities -1..1; None leaves an axis as it is. No time-out: for ever."""
        told = {"pan": pan, "tilt": tilt, "zoom": zoom}
        velocity = replace(
            self._velocity if self.is_moving else MotorPosition(),
            **{axis: value for axis, value in told.items() if value is not None},
        )
        self._set(velocity, timeout_s)
        self.moves_total += 1

    def goto(self, goal: MotorPosition) -> None:
        """Go there at full speed, each axis by itself."""
        self._set(MotorPosition(), None)
        self._goal = goal
        self.moves_total += 1

    def stop(self) -> None:
        """Stand still at once."""
        self._set(MotorPosition(), None)
        self.stops_total += 1

    @property
    def is_moving(self) -> bool:
        """Whether a velocity is still in force (also against the end of the range)."""
        if self._goal is not None:
            return self.position() != self._goal
        is_over = self._until_mono_s is not None and self._clock.monotonic_s() >= self._until_mono_s
        return self._velocity != MotorPosition() and not is_over

    def position(self) -> MotorPosition:
        """Return where the head is now."""
        now_s = self._clock.monotonic_s()
        end_s = now_s if self._until_mono_s is None else min(now_s, self._until_mono_s)
        moved_s = end_s - self._since_mono_s
        start, velocity, goal = self._start, self._velocity, self._goal
        if goal is not None:
            far, near = PAN_TILT_PER_S * moved_s, ZOOM_PER_S * moved_s
            return MotorPosition(
                pan=_towards(start.pan, goal.pan, far),
                tilt=_towards(start.tilt, goal.tilt, far),
                zoom=_towards(start.zoom, goal.zoom, near),
            )
        return MotorPosition(
            pan=_within(-1.0, start.pan + velocity.pan * PAN_TILT_PER_S * moved_s),
            tilt=_within(-1.0, start.tilt + velocity.tilt * PAN_TILT_PER_S * moved_s),
            zoom=_within(0.0, start.zoom + velocity.zoom * ZOOM_PER_S * moved_s),
        )

    def _set(self, velocity: MotorPosition, timeout_s: float | None) -> None:
        self._start = self.position()
        self._velocity, self._goal = velocity, None
        self._since_mono_s = self._clock.monotonic_s()
        self._until_mono_s = None if timeout_s is None else self._since_mono_s + timeout_s


def _within(lowest: float, value: float) -> float:
    return min(1.0, max(lowest, value))


def _towards(start: float, goal: float, at_most: float) -> float:
    return goal if abs(goal - start) <= at_most else start + (at_most if goal > start else -at_most)
