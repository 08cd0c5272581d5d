"""Gives detections an identity that lasts: ByteTrack's two stages on a small Kalman filter.

After Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box" (2022),
with noise weights for 5 to 10 updates a second, and time in seconds, because the motion gate makes
frames come irregularly. Added for meetings: the colours must fit, and who was hidden is known again
by them near where he is expected, overlapping or not, or soon after he was taken for somebody new.
A box that the detector doubts, or of another size than before, moves its track less (after "NSA",
Du et al., "GIAOTracker", 2021); who went out of the picture is not looked for. Runs in the camera
worker. Identities still get lost in crowds (about once per person and minute):
rules must bear it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from agent.contract.events import Region
from agent.detect.assignment import best_pairs
from agent.detect.letterbox import Letterboxed
from agent.detect.looks import SIZE, looks_of
from agent.detect.manifest import Thresholds
from agent.detect.nanodet import overlaps, region_of
from agent.detect.recognition import recognised
from agent.messages.vision import Detection, TrackedObject

LABEL_GROUPS: Mapping[str, str] = {
    "car": "vehicle",
    "bus": "vehicle",
    "truck": "vehicle",
    "bicycle": "two-wheeler",
    "motorcycle": "two-wheeler",
}
"""Labels the detector takes for one another: an object may change its label within a group."""

_STEP_S = 0.1  # the update interval the noise weights below were tuned for
_POSITION_NOISE, _SPEED_NOISE = 0.073, 0.037  # per step, relative to the object's size
_START_POSITION_NOISE, _START_SPEED_NOISE = 2 / 10, 10 / 40
_DOUBT_NOISE, _ODD_SIZE_NOISE = 4.0, 5.0  # of a box: more by its doubt, and by odd sides
_COMMON_SIDE = 0.2  # natural log of the ratio of sides that is nothing odd: a stride
_SIZE_SPEED_KEPT = 0.5  # per step: sizes don't go on growing
_HIDDEN_SPEED_KEPT = 0.8  # per second: who is hidden may stand still there

_MIN_FIT, _FAINT_MIN_FIT, _HIDDEN_MIN_FIT = 0.15, 0.45, 0.31
_HILL = 1.0  # how wide: of half the object's size, and more with the doubt about its place
_SAME_COLOUR = 0.5  # what colours of one object differ by from look to look
_STRANGE = 0.05  # how alike are those that share no colour: half hidden people do not, at times
_COLOUR_KEPT, _MIXED_COLOUR_KEPT = 0.91, 0.97  # per step; while another one overlaps it
_MIXED_IOU = 0.15
_HIDDEN_AFTER_S = 0.6
_DOUBLE = 0.6  # a box so far inside one that is followed is no new object
_CONFIRMING_SIGHTINGS = 2
_KNOWN_AGAIN_FROM, _KNOWN_AGAIN_UNTIL = 3, 5  # sightings of a new track
_LOST_AFTER_S = 3.0
_LEFT_BELOW = 0.5  # who is expected to be visible by less of him has left the picture

Floats = NDArray[np.float64]
Pairs = list[tuple[int, int]]


class Tracker:
    """Tracks all objects of one camera. Needs updates in the order of time.

    Its tracks lie in arrays with one row each; only labels of one group can be one object.
    """

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        self._thresholds = thresholds or Thresholds()
        self._next_ids = count(1)
        self._last_s: float | None = None
        self._labels: dict[str, tuple[int, float, float]] = {}
        self._place = np.zeros((0, 4))  # center x, y, width, height
        self._speed = np.zeros((0, 4))  # of the same, per second
        self._spread = np.zeros((0, 3))  # variances: place, place with speed, speed
        self._unseen_s = np.zeros(0)
        self._sightings = np.zeros(0, int)
        self._ids = np.zeros(0, int)
        self._kinds = np.zeros(0, int)
        self._looks = np.zeros((0, SIZE))
        self._best: list[Detection] = []  # names the track

    def update(
        self, detections: Sequence[Detection], at_s: float, picture: Letterboxed | None = None
    ) -> list[TrackedObject]:
        """Take what one frame at `at_s` (monotonic seconds) showed; return the tracks seen in it.

        A track is told from its second sighting on, where the filter has it: boxes tremble. One
        not seen in this frame is not returned, but remembered for three seconds. `picture`, the
        detector's input, lends it colours.
        """
        passed_s = _STEP_S if self._last_s is None else max(0.0, at_s - self._last_s)
        self._last_s = at_s
        seen = self._of_use(detections)
        if not (seen.of or len(self._ids)):
            return []
        self._predict(passed_s)
        iou = overlaps(_boxes(self._place), seen.boxes).astype(np.float64)
        iou *= self._kinds[:, None] == seen.kinds[None, :]
        if picture is not None:
            worth = np.flatnonzero(seen.sure | (iou >= _FAINT_MIN_FIT).any(axis=0)).tolist()
            seen.looks[worth] = looks_of(picture, [seen.of[k] for k in worth])
        pairs = self._match(iou, seen)
        self._correct(pairs, seen, passed_s)
        self._remember_looks(pairs, seen, passed_s)
        self._know_again()
        told = self._told(pairs, seen)
        self._forget()
        self._begin(seen, [column for _, column in pairs])
        return told

    def _told(self, pairs: Pairs, seen: "_Seen") -> list[TrackedObject]:
        told = []
        places = _boxes(self._place).clip(0.0, 1.0).tolist()
        for row, column in pairs:
            detection = seen.of[column]
            if detection.score > self._best[row].score:
                self._best[row] = detection
            if self._sightings[row] >= _CONFIRMING_SIGHTINGS:
                label, track_id = self._best[row].label, int(self._ids[row])
                region = region_of(places[row])
                told.append(TrackedObject(track_id, label, detection.score, region))
        return told

    @property
    def follows_any(self) -> bool:
        """Whether there is anybody, be it somebody seen only once."""
        return bool(len(self._ids))

    @property
    def remembers_any(self) -> bool:
        """Whether somebody is known, perhaps missed in the last frame: reason to look again."""
        return bool((self._sightings >= _CONFIRMING_SIGHTINGS).any())

    def _of_label(self, label: str) -> tuple[int, float, float]:
        """Return a number for the label's group; the scores from which it is believed, and new."""
        if label not in self._labels:
            kind = hash(LABEL_GROUPS.get(label, label))
            own = (kind, self._thresholds.of(label), self._thresholds.of_new(label))
            self._labels[label] = own
        return self._labels[label]

    def _of_use(self, detections: Sequence[Detection]) -> "_Seen":
        """Leave out faint detections of kinds that nobody is followed of."""
        known = set(self._kinds.tolist())
        of, sure, new, kinds = [], [], [], []
        for one in detections:
            kind, least, least_new = self._of_label(one.label)
            is_sure = one.score >= least
            if is_sure or kind in known:
                of.append(one)
                sure.append(is_sure)
                new.append(one.score >= least_new)
                kinds.append(kind)
        boxes = np.array([_corners(one.region) for one in of]).reshape(-1, 4)
        looks = np.zeros((len(of), SIZE))
        bools = (np.array(sure, bool), np.array(new, bool))
        return _Seen(of, boxes, *bools, np.array(kinds, int), looks)

    def _match(self, iou: Floats, seen: "_Seen") -> Pairs:
        """Pair tracks with detections: seen ones, faint sightings, hidden ones, new ones."""
        alike = np.exp(-0.5 * self._unlikeness(seen.looks) / _SAME_COLOUR**2)
        alike = _STRANGE + (1 - _STRANGE) * alike
        fit = iou * alike
        known = self._sightings >= _CONFIRMING_SIGHTINGS
        hidden = known & (self._unseen_s > _HIDDEN_AFTER_S)
        near = fit
        if hidden.any():
            near = self._hill(seen.boxes) * alike**0.7
            near = near * (self._kinds[:, None] == seen.kinds[None, :])
        free_tracks, free_boxes = np.ones(len(known), bool), np.ones(len(seen.of), bool)
        sure = seen.sure
        pairs: Pairs = []
        for values, tracks, wanted, least in (
            (fit, known & ~hidden, sure, _MIN_FIT),
            (iou * np.sqrt(alike), known & ~hidden, ~sure, _FAINT_MIN_FIT),
            (near, hidden, sure, _HIDDEN_MIN_FIT),
            (fit, ~known, sure, _MIN_FIT),
        ):
            rows = (tracks & free_tracks).nonzero()[0]
            columns = (wanted & free_boxes).nonzero()[0]
            if not (len(rows) and len(columns)):
                continue
            for one, other in best_pairs(values[rows[:, None], columns], least):
                row, column = int(rows[one]), int(columns[other])
                free_tracks[row] = free_boxes[column] = False
                pairs.append((row, column))
        return pairs

    def _hill(self, boxes: Floats) -> Floats:
        """Return how near each box is to where each track is expected, and of its size: 0..1."""
        places = _places(boxes)
        size = np.maximum((self._place[:, None, 2:] + places[None, :, 2:]) / 2, 1e-6)
        off = (places[None, :, :2] - self._place[:, None, :2]) / size
        apart = 0.5 * off[..., 0] ** 2 + 2 * off[..., 1] ** 2
        wide = _HILL * (0.5 + 2 * np.sqrt(self._spread[:, :1] + _POSITION_NOISE**2))
        heights = [np.maximum(side, 1e-6) for side in (self._place[:, 3], places[:, 3])]
        grown = np.abs(np.log(heights[1][None, :] / heights[0][:, None]))
        result: Floats = np.exp(-0.5 * apart / wide**2 - grown)
        return result

    def _unlikeness(self, looks: Floats) -> Floats:
        """Return the squared distance of each track's looks to those of each detection."""
        squares = [(rows**2).sum(axis=1) for rows in (self._looks, looks)]
        result: Floats = squares[0][:, None] + squares[1][None] - 2 * self._looks @ looks.T
        return np.maximum(result, 0.0)

    def _predict(self, passed_s: float) -> None:
        steps = passed_s / _STEP_S
        self._place = self._place + self._speed * passed_s
        self._speed[:, 2:] *= _SIZE_SPEED_KEPT**steps
        self._speed[self._unseen_s > 0, :2] *= _HIDDEN_SPEED_KEPT**passed_s
        place, both, speed = self._spread.T
        self._spread = np.stack(
            [
                place + 2 * passed_s * both + passed_s**2 * speed + steps * _POSITION_NOISE**2,
                both + passed_s * speed,
                speed + steps * (_SPEED_NOISE / _STEP_S) ** 2,
            ],
            axis=1,
        )

    def _correct(self, pairs: Pairs, seen: "_Seen", passed_s: float) -> None:
        """Kalman update. All noise is relative to size, so one gain serves all four values."""
        self._unseen_s += max(passed_s, 1e-6)
        if not pairs:
            return
        rows, columns = (list(side) for side in zip(*pairs, strict=True))
        place, both, speed = self._spread[rows].T
        there = _places(seen.boxes[columns])
        grown = np.maximum(*np.abs(np.log(_sides(there) / _sides(self._place[rows]))).T)
        doubt = np.array([1 - seen.of[column].score for column in columns])
        odd = np.maximum(grown - _COMMON_SIDE, 0.0)
        noise = (1 + _DOUBT_NOISE * doubt) * (1 + _ODD_SIZE_NOISE * odd)
        total = place + noise * _POSITION_NOISE**2
        gain, speed_gain = (place / total)[:, None], (both / total)[:, None]
        surprise = there - self._place[rows]
        self._place[rows] += gain * surprise
        self._speed[rows] += speed_gain * surprise
        kept = 1 - gain[:, 0]
        self._spread[rows] = np.stack(
            [place * kept, both * kept, speed - speed_gain[:, 0] * both], axis=1
        )
        self._unseen_s[rows] = 0.0
        self._sightings[rows] += 1

    def _remember_looks(self, pairs: Pairs, seen: "_Seen", passed_s: float) -> None:
        """Follow slow changes of the light; hardly while somebody else is in the box as well."""
        if not pairs:
            return
        rows, columns = (
            np.array([pair for pair in pairs if seen.sure[pair[1]]], int).reshape(-1, 2).T
        )
        others = seen.kinds[columns][:, None] == seen.kinds[None, :]
        others[np.arange(len(columns)), columns] = False
        mixed = ((overlaps(seen.boxes[columns], seen.boxes) >= _MIXED_IOU) & others).any(axis=1)
        kept = np.where(mixed, _MIXED_COLOUR_KEPT, _COLOUR_KEPT) ** (passed_s / _STEP_S)
        self._looks[rows] += (1 - kept)[:, None] * (seen.looks[columns] - self._looks[rows])

    def _know_again(self) -> None:
        """Give a new track the identity of the lost one that it is."""
        old = self._sightings >= _KNOWN_AGAIN_FROM
        new = np.flatnonzero(old & (self._unseen_s == 0) & (self._sightings <= _KNOWN_AGAIN_UNTIL))
        lost = np.flatnonzero(old & (self._unseen_s > 0))
        for kind in set(self._kinds[new].tolist()) & set(self._kinds[lost].tolist()):
            self._go_on(new[self._kinds[new] == kind], lost[self._kinds[lost] == kind])

    def _go_on(self, new: NDArray[np.intp], lost: NDArray[np.intp]) -> None:
        for one, other in recognised(
            self._place[new],
            self._looks[new],
            self._place[lost],
            self._looks[lost],
            self._unseen_s[lost],
        ):
            row, former = new[one], lost[other]
            self._ids[row] = self._ids[former]
            self._sightings[row] += self._sightings[former]
            self._looks[row] = (self._looks[row] + self._looks[former]) / 2
            self._best[row] = max(self._best[row], self._best[former], key=lambda best: best.score)
            self._unseen_s[former] = np.inf  # it goes on in the new one

    def _forget(self) -> None:
        """Drop tracks lost for long or out of the picture, and new ones not seen again at once."""
        known = self._sightings >= _CONFIRMING_SIGHTINGS
        boxes = _boxes(self._place)
        inside = np.minimum(np.maximum(boxes, 0.0), 1.0)
        stays = _areas(inside) >= _LEFT_BELOW * _areas(boxes)
        kept = (self._unseen_s == 0) | (known & stays & (self._unseen_s <= _LOST_AFTER_S))
        if kept.all():
            return
        self._place, self._speed = self._place[kept], self._speed[kept]
        self._spread, self._unseen_s = self._spread[kept], self._unseen_s[kept]
        self._sightings, self._ids = self._sightings[kept], self._ids[kept]
        self._kinds = self._kinds[kept]
        self._looks = self._looks[kept]
        self._best = [best for best, keep in zip(self._best, kept, strict=True) if keep]

    def _begin(self, seen: "_Seen", taken: list[int]) -> None:
        """Follow who is surely there and nobody yet, unless it is a part of somebody."""
        free = seen.new.copy()
        free[taken] = False
        if taken and free.any():
            within = _inside(seen.boxes, seen.boxes[taken])
            within *= seen.kinds[:, None] == seen.kinds[taken][None, :]
            free &= within.max(axis=1) <= _DOUBLE
        new = int(np.count_nonzero(free))
        if not new:
            return
        spread = (_START_POSITION_NOISE**2, 0.0, (_START_SPEED_NOISE / _STEP_S) ** 2)
        self._place = np.concatenate([self._place, _places(seen.boxes[free])])
        self._speed = np.concatenate([self._speed, np.zeros((new, 4))])
        self._spread = np.concatenate([self._spread, np.tile(spread, (new, 1))])
        self._unseen_s = np.concatenate([self._unseen_s, np.zeros(new)])
        self._sightings = np.concatenate([self._sightings, np.ones(new, int)])
        own_ids = [next(self._next_ids) for _ in range(new)]
        self._ids = np.concatenate([self._ids, np.array(own_ids, int)])
        self._kinds = np.concatenate([self._kinds, seen.kinds[free]])
        self._looks = np.concatenate([self._looks, seen.looks[free]])
        self._best += [one for k, one in enumerate(seen.of) if free[k]]


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one frame showed, as arrays with one row per detection."""

    of: list[Detection]
    boxes: Floats
    sure: NDArray[np.bool_]
    new: NDArray[np.bool_]  # may be somebody not followed yet
    kinds: NDArray[np.intp]
    looks: Floats


def _inside(some: Floats, others: Floats) -> Floats:
    """Return how much of the smaller box of each pair lies in the other one: 0..1."""
    top_left = np.maximum(some[:, None, :2], others[None, :, :2])
    bottom_right = np.minimum(some[:, None, 2:], others[None, :, 2:])
    shared = np.clip(bottom_right - top_left, 0.0, None).prod(axis=2)
    areas = [_areas(boxes) for boxes in (some, others)]
    result: Floats = shared / np.maximum(np.minimum(areas[0][:, None], areas[1][None, :]), 1e-9)
    return result


def _areas(boxes: Floats) -> Floats:
    left, top, right, bottom = boxes.T
    result: Floats = (right - left) * (bottom - top)
    return result


def _sides(places: Floats) -> Floats:
    """Return width and height, never nothing."""
    return np.maximum(places[:, 2:], 1e-6)


def _corners(region: Region) -> tuple[float, float, float, float]:
    return (region.x, region.y, region.x + region.width, region.y + region.height)


def _places(boxes: Floats) -> Floats:
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def _boxes(places: Floats) -> Floats:
    half = places[:, 2:] / 2
    return np.concatenate([places[:, :2] - half, places[:, :2] + half], axis=1)
