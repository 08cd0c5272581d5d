"""Which of the box's faults the center is told as an event: the red ones nobody else tells.

A lost camera and a picture fault are incidents of their own, a dead link is seen by presence, and
what is yellow goes with the telemetry.
"""

from collections.abc import Iterable, Iterator

from agent.app.watch import Watch
from agent.app.worker_hub import WorkerHub
from agent.events.box_faults import Trouble
from agent.health.fault import Fault, Severity
from agent.messages.worker import CameraState

_TOLD_ELSEWHERE = ("picture.", "link.")


def troubles(watch: Watch, hub: WorkerHub) -> list[Trouble]:
    """Return what is wrong now and worth an event."""
    online = {
        status.camera_id for status in hub.statuses() if status.main.state is CameraState.ONLINE
    }
    lost = {
        f"camera/{camera.camera_id}"
        for camera in watch.settings.cameras
        if camera.camera_id not in online
    }
    return list(worth_an_event(watch.faults, lost))


def worth_an_event(faults: Iterable[Fault], lost: set[str]) -> Iterator[Trouble]:
    """Yield the red faults; of a camera in `lost`, none: its loss is told."""
    for fault in faults:
        is_told = fault.code.startswith(_TOLD_ELSEWHERE) or fault.subject in lost
        if fault.severity is Severity.RED and not is_told:
            yield Trouble(fault.code, fault.subject, fault.sentence_en, fault.since)
