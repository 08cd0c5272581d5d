"""What a camera's rules may be told: one type a kind, with its limits and defaults.

Points are fractions of the frame (x right, y down). A track stands where its foot point is: the
middle of its region's lower edge.
"""

from itertools import combinations
from typing import Annotated, Literal

from msgspec import Meta, Struct

from agent.contract.events import EventKind, Fraction, Grade, Slug
from agent.contract.grades import GRADES
from agent.settings.labels import VEHICLES
from agent.settings.schedule import window
from agent.settings.shapes import check_line, check_zone, side

Point = tuple[Fraction, Fraction]
Zone = Annotated[tuple[Point, ...], Meta(min_length=3, max_length=64)]
Labels = Annotated[tuple[str, ...], Meta(min_length=1)]
Dwell = Annotated[float, Meta(ge=0, le=3600)]
Clear = Annotated[float, Meta(ge=0.5, le=600)]
Way = Annotated[tuple[float, float], Meta(description="a direction in the picture: right, down")]
Levels = tuple[float, ...]
PositiveFloat = Annotated[float, Meta(gt=0)]


class RuleBase(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every rule has.

    `enabled` left out means on, except for what is graded experimental. `schedule` holds windows of
    the site's local time (`agent.settings.schedule`); none means always. For the first
    `shadow_days` after the box has learned of it, a rule raises nothing: what it would have
    raised is only counted and listed.
    """

    rule_id: Slug
    enabled: bool | None = None
    schedule: tuple[str, ...] = ()
    shadow_days: Annotated[float, Meta(ge=0, le=90)] = 0.0

    def __post_init__(self) -> None:
        for text in self.schedule:
            window(text)
        if zone := getattr(self, "zone", ()):
            check_zone(zone)
        if line := getattr(self, "line", None):
            check_line(line)
        for name in ("toward", "way"):
            if getattr(self, name, None) == (0.0, 0.0):
                raise ValueError(f"`{name}` must point somewhere")

    @property
    def kind(self) -> EventKind:
        """Return what it raises."""
        return EventKind(str(type(self).__struct_config__.tag))

    @property
    def grade(self) -> Grade:
        """How far its alarms were proven."""
        return GRADES[self.kind]

    @property
    def outline(self) -> tuple[Point, ...]:
        """Return its corners as they are drawn on the picture: a zone, a line, or nothing."""
        for name in ("zone", "line", "gauge"):
            if points := getattr(self, name, ()):
                return tuple(points)
        return ()

    @property
    def in_metres(self) -> str | None:
        """Name what it was told in metres: without a calibration that could never be known."""
        names = ("min_speed_mps", "within_m")
        return next((name for name in names if getattr(self, name, None) is not None), None)

    @property
    def is_on(self) -> bool:
        """Whether it is to run."""
        return self.grade is not Grade.EXPERIMENTAL if self.enabled is None else self.enabled


class IntrusionRule(RuleBase, frozen=True, kw_only=True, tag="intrusion"):
    """Someone of these classes stands in the zone for at least `dwell_s`.

    With `toward`, only who has moved that way inside the zone counts. With `min_speed_mps`, only
    who goes so fast (runs, drives too fast).
    """

    zone: Zone
    labels: Labels = ("person",)
    dwell_s: Dwell = 1.0
    clear_s: Clear = 3.0
    min_score: Fraction = 0.4
    toward: Way | None = None
    min_speed_mps: PositiveFloat | None = None


class LoiteringRule(RuleBase, frozen=True, kw_only=True, tag="loitering"):
    """Someone stays in the zone for `dwell_s`, leaving it for less than `break_s` at a time.

    With `within_m`, only who has stayed so near (metres) to where that time began: a long zone
    is not loitered in by who walks along it.
    """

    zone: Zone
    labels: Labels = ("person",)
    dwell_s: Dwell = 30.0
    break_s: Clear = 5.0
    clear_s: Clear = 5.0
    min_score: Fraction = 0.4
    within_m: PositiveFloat | None = None


class LineCrossingRule(RuleBase, frozen=True, kw_only=True, tag="line-crossing"):
    """Counts who crosses the line from its first to its second point, both ways.

    `forward` is from the left to the right of one who looks along the line. `alarm` says which
    way raises one; `none` only counts.
    """

    line: tuple[Point, Point]
    labels: Labels = ("person",)
    alarm: Literal["both", "forward", "back", "none"] = "both"
    clear_s: Clear = 3.0
    min_score: Fraction = 0.4


class AbandonedObjectRule(RuleBase, frozen=True, kw_only=True, tag="abandoned-object"):
    """Something new lies still in the zone for `still_s`, with nobody near it all that time.

    `near` is how far from it somebody still counts as its owner, in body heights of that person.
    """

    zone: Zone
    still_s: Annotated[float, Meta(ge=3, le=3600)] = 10.0
    near: Annotated[float, Meta(ge=0, le=10)] = 0.5
    max_area: Fraction = 0.05
    clear_s: Clear = 5.0


class RemovedObjectRule(RuleBase, frozen=True, kw_only=True, tag="removed-object"):
    """Something that always lay in the zone has been gone for `still_s`, with nobody near."""

    zone: Zone
    still_s: Annotated[float, Meta(ge=3, le=3600)] = 10.0
    near: Annotated[float, Meta(ge=0, le=10)] = 0.5
    max_area: Fraction = 0.05
    clear_s: Clear = 5.0


class CrowdRule(RuleBase, frozen=True, kw_only=True, tag="crowd"):
    """Persons per square metre in the zone reach the first of three levels for `hold_s`.

    The ground's size comes from the camera's `calibration`, or from `area_m2`. A level is left
    when the density is `hysteresis` below it.
    """

    zone: Zone
    area_m2: PositiveFloat | None = None
    levels: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (2.0, 3.5, 5.0)
    hysteresis: Annotated[float, Meta(ge=0, le=0.5)] = 0.15
    hold_s: Dwell = 5.0
    clear_s: Clear = 10.0
    min_score: Fraction = 0.4

    @property
    def in_metres(self) -> str | None:
        """See `RuleBase.in_metres`."""
        return None if self.area_m2 else "levels"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.levels[0] < self.levels[1] < self.levels[2]:
            raise ValueError("`levels` must rise")


class WrongWayRule(RuleBase, frozen=True, kw_only=True, tag="wrong-way"):
    """Someone of these classes moves against `way` in the zone for `dwell_s`.

    With `min_speed_mps`, only who goes so fast: who is pushed back a little does not.
    """

    zone: Zone
    way: Way
    labels: Labels = VEHICLES
    dwell_s: Dwell = 1.0
    clear_s: Clear = 3.0
    min_score: Fraction = 0.4
    min_speed_mps: PositiveFloat | None = None


class StoppedVehicleRule(RuleBase, frozen=True, kw_only=True, tag="stopped-vehicle"):
    """A vehicle stands still in the zone for `still_s`."""

    zone: Zone
    labels: Labels = VEHICLES
    still_s: Annotated[float, Meta(ge=3, le=86_400)] = 60.0
    clear_s: Clear = 10.0
    min_score: Fraction = 0.4


class TamperRule(RuleBase, frozen=True, kw_only=True, tag="tamper"):
    """The picture health finds one of these for `hold_s`: an alarm, and sooner than its fault."""

    codes: tuple[Literal["covered", "defocused", "moved", "dark", "glare"], ...] = (
        "covered",
        "defocused",
        "moved",
    )
    hold_s: Annotated[float, Meta(ge=0, le=600)] = 5.0
    clear_s: Clear = 3.0


class FloodRule(RuleBase, frozen=True, kw_only=True, tag="flood"):
    """Water has reached one of four marks on a virtual staff gauge.

    `gauge` goes from its foot to its top along something with a texture that stays dry: a pier, a
    wall, a painted staff. `marks` are shares of its length, one for each level 1 to 4. What the
    gauge looks like when dry is learned when the rule is first used: begin on a dry day.
    """

    gauge: tuple[Point, Point]
    marks: tuple[Fraction, Fraction, Fraction, Fraction] = (0.2, 0.4, 0.6, 0.8)
    width: Annotated[float, Meta(gt=0, le=0.2)] = 0.03
    length_m: PositiveFloat | None = None
    hold_s: Annotated[float, Meta(ge=1, le=600)] = 5.0
    clear_s: Clear = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_line(self.gauge)
        if list(self.marks) != sorted(set(self.marks)) or self.marks[0] == 0:
            raise ValueError("`marks` must rise from above 0")


class PersonDownRule(RuleBase, frozen=True, kw_only=True, tag="person-down"):
    """Someone who was upright lies wide and still in the zone for `still_s`. Possible, not sure."""

    zone: Zone
    still_s: Annotated[float, Meta(ge=1, le=600)] = 4.0
    clear_s: Clear = 5.0
    min_score: Fraction = 0.3


Rule = (
    IntrusionRule
    | LoiteringRule
    | LineCrossingRule
    | AbandonedObjectRule
    | RemovedObjectRule
    | CrowdRule
    | WrongWayRule
    | StoppedVehicleRule
    | TamperRule
    | FloodRule
    | PersonDownRule
)


class Landmark(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place on the ground that can be told in the picture: where, and where really (metres)."""

    at: Point
    ground_m: tuple[float, float]


class Calibration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the picture lies on the ground: four or more landmarks, not on one line.

    A camera that looks straight down may instead say what its picture measures, `size_m`.
    """

    landmarks: tuple[Landmark, ...] = ()
    size_m: tuple[PositiveFloat, PositiveFloat] | None = None

    def __post_init__(self) -> None:
        if (self.size_m is None) == (not self.landmarks):
            raise ValueError("a calibration needs `landmarks` or `size_m`, not both")
        if self.landmarks and len(self.landmarks) < 4:
            raise ValueError("a calibration needs four landmarks or more")
        for points in ([mark.at for mark in self.landmarks], self._on_ground()):
            if points and not _spread(points):
                raise ValueError("the landmarks lie on one line, or three of them do")

    def _on_ground(self) -> list[tuple[float, float]]:
        return [mark.ground_m for mark in self.landmarks]


def _spread(points: list[tuple[float, float]]) -> bool:
    """Say whether four of the points stand so that no three of them lie on one line."""
    width = max(abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in combinations(points, 2))
    return any(
        all(abs(side(*three)) > 1e-4 * width * width for three in combinations(four, 3))
        for four in combinations(points[:12], 4)
    )
