"""What a technician tries at the pole, and what the box has seen of it: walk, bell, pulled cable.

Page -> here -> `BoxView`, as the person may see it. In memory: a restart ends what is tried.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct

from agent.contract.events import EventKind, UtcTime
from agent.local.web.view import BoxState, BoxView, CameraState, CameraView, EventView

_MOST_EVENTS: Final = 200
_MOST_TESTS: Final = 64
_BACK: Final = timedelta(seconds=5)  # what began a moment before the button was pressed counts
# Said of the camera and its line, not of who walks by.
_NO_ALARMS: Final = frozenset(
    {
        *(EventKind.CAMERA_LOST, EventKind.CAMERA_BACK, EventKind.NOT_RECORDED),
        *(EventKind.PICTURE_FAULT, EventKind.EMERGENCY_BELL),
    }
)


class SiteTest(StrEnum):
    """The kinds of tests; only the bell needs no camera."""

    WALK = "walk"
    BELL = "bell"
    CABLE = "cable"


class Seen(Struct, frozen=True, kw_only=True):
    """What was seen since `since`. `step` of a cable: waiting, cut, back."""

    kind: SiteTest
    camera_id: str
    since: UtcTime
    is_passed: bool
    detections: int = 0
    alarms: tuple[str, ...] = ()  # kinds, oldest first
    step: str = ""
    cause: str = ""
    lasted_s: float | None = None

    @property
    def told(self) -> str:
        """For the audit chain."""
        what = f"{self.kind} {self.camera_id}".strip()
        seen = f"{self.detections} detections, alarms: {', '.join(self.alarms) or 'none'}"
        return f"{what}: {f'{self.step} {self.cause}'.strip() if self.step else seen}"


@dataclass(frozen=True, slots=True)
class _Begun:
    since: UtcTime
    detections: int


class SiteTests:
    """The tests under way, by kind and camera."""

    def __init__(self) -> None:
        self._begun: dict[tuple[SiteTest, str], _Begun] = {}

    async def begin(self, box: BoxView, kind: str, camera_id: str) -> bool:
        """Begin anew. False: there is no such test or camera."""
        state = await box.state()
        camera = _camera(state, camera_id)
        if kind not in set(SiteTest) or (camera is None) != (kind == SiteTest.BELL):
            return False
        key = (SiteTest(kind), camera.camera_id if camera else "")
        if key not in self._begun and len(self._begun) >= _MOST_TESTS:
            return False
        self._begun[key] = _Begun(state.utc_now, (camera.detections or 0) if camera else 0)
        return True

    async def end(self, box: BoxView, kind: str, camera_id: str) -> Seen | None:
        """Return what was seen, and forget the test; None: it was not under way."""
        found = [
            result
            for result in await self.results(box)
            if (result.kind.value, result.camera_id) == (kind, camera_id)
        ]
        if not found:
            return None
        del self._begun[found[0].kind, camera_id]
        return found[0]

    async def results(self, box: BoxView) -> list[Seen]:
        """Return what was seen so far of each test whose camera `box` shows."""
        if not self._begun:
            return []
        state, events = await box.state(), await box.events(_MOST_EVENTS)
        results = []
        for (kind, camera_id), begun in self._begun.items():
            camera = _camera(state, camera_id)
            if kind is SiteTest.BELL:
                results.append(_bell(begun, events))
            elif camera is not None and kind is SiteTest.WALK:
                results.append(_walk(camera, begun, events))
            elif camera is not None:
                results.append(await _cable(box, state, camera, begun))
        return results


def _camera(state: BoxState, camera_id: str) -> CameraView | None:
    return next((one for one in state.cameras if one.camera_id == camera_id), None)


def _bell(begun: _Begun, events: tuple[EventView, ...]) -> Seen:
    presses = [
        one.kind
        for one in events
        if one.kind == EventKind.EMERGENCY_BELL and one.began >= begun.since - _BACK
    ]
    return Seen(
        kind=SiteTest.BELL,
        camera_id="",
        since=begun.since,
        is_passed=bool(presses),
        alarms=tuple(presses),
    )


def _walk(camera: CameraView, begun: _Begun, events: tuple[EventView, ...]) -> Seen:
    alarms = [
        one.kind
        for one in reversed(events)
        if one.camera_id == camera.camera_id
        and one.kind not in _NO_ALARMS
        and one.began >= begun.since
    ]
    seen = camera.detections or 0
    detections = seen - begun.detections if seen >= begun.detections else seen  # a new worker
    return Seen(
        kind=SiteTest.WALK,
        camera_id=camera.camera_id,
        since=begun.since,
        is_passed=bool(detections and alarms),
        detections=detections,
        alarms=tuple(alarms),
    )


async def _cable(box: BoxView, state: BoxState, camera: CameraView, begun: _Begun) -> Seen:
    last_s = (state.utc_now - begun.since + 2 * _BACK).total_seconds()
    timeline = await box.timeline(camera.camera_id, last_s)
    gaps = [gap for gap in timeline.gaps if gap.began >= begun.since - _BACK] if timeline else []
    gap = gaps[-1] if gaps else None
    is_back = gap is not None and gap.until is not None and camera.state is CameraState.ONLINE
    until = (gap.until or state.utc_now) if gap else None
    is_cut = gap is not None or camera.state is CameraState.LOST
    return Seen(
        kind=SiteTest.CABLE,
        camera_id=camera.camera_id,
        since=begun.since,
        is_passed=is_back,
        step="back" if is_back else "cut" if is_cut else "waiting",
        cause=gap.cause if gap else "",
        lasted_s=(until - gap.began).total_seconds() if gap and until else None,
    )
