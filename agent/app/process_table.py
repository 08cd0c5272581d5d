"""THE PROCESS TABLE: every process of a box, in the order video flows, and what starts it.

One row a process. Camera workers and the detector are forked from the supervisor, which has PyAV
and numpy loaded but runs none of it: a worker starts in milliseconds and shares those pages. The
core is a fresh interpreter, because the voice must never have libav or TFLite in its memory.
"""

from collections.abc import Callable
from dataclasses import dataclass

from agent.app.child import SupervisorLink
from agent.settings.model import CameraSettings, Settings

OPENING_S = 15.0  # a camera may take so long to open, and then its own stall time to send

Body = Callable[[Settings, SupervisorLink], int]


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One row: `body` is forked; without one, `module` is run by a fresh interpreter.

    `sections` names the settings whose change restarts it. A process that sends no beat for
    `silent_s`, or has a part without progress for that long, is killed and started anew. Only one
    that is not `needed` may be quarantined; systemd is told all is well only while the needed live.
    """

    name: str
    sections: frozenset[str]
    body: Body | None = None
    module: str = ""
    silent_s: float = 20.0
    needed: bool = False


def process_table(settings: Settings) -> list[ProcessSpec]:
    """Return the rows for these settings."""
    return [
        *(_camera(camera) for camera in settings.cameras),
        *([_DETECT] if any(camera.detect for camera in settings.cameras) else []),
        _CORE,
    ]


def _run_detect(settings: Settings, link: SupervisorLink) -> int:
    from agent.app.detect_process import run  # noqa: PLC0415 - TFLite only where it is used

    return run(settings, link)


def _camera(camera: CameraSettings) -> ProcessSpec:
    camera_id = camera.camera_id

    def run_camera(settings: Settings, link: SupervisorLink) -> int:
        from agent.app.camera_process import run  # noqa: PLC0415 - loaded before the fork

        return run(settings, camera_id, link)

    return ProcessSpec(
        name=f"camera-{camera_id}",
        silent_s=OPENING_S + camera.stall_s,
        body=run_camera,
        sections=frozenset(
            {"buffer", "timelapse", "sightings", "data_dir", "log_level", "time_zone"}
        ),
    )


_DETECT = ProcessSpec(
    name="detect", body=_run_detect, sections=frozenset({"detector", "log_level"})
)
_CORE = ProcessSpec(
    name="core",
    module="agent.app.core_process",
    sections=frozenset({"data", "outbox", "log_level", "status", "pole"}),
    needed=True,
)
