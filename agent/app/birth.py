"""The box's birth document: gathered from what the core knows, sent at each connection."""

from pathlib import Path

from agent import __version__
from agent.app.camera_desk import CameraDesk
from agent.contract.info import SCHEMAS, CameraInfo, DetectorInfo, DetectorShape, Info
from agent.contract.updates import UpdateInfo
from agent.evidence.box_key import BoxKey
from agent.messages.capacity import DetectorCapacity
from agent.settings.model import CameraSettings, Settings
from agent.uplink import coding
from hardware.pick import pick_board


def birth_document(
    settings: Settings,
    desk: CameraDesk,
    capacity: DetectorCapacity | None,
    *,
    boot: int,
    epoch: str,
    commands: tuple[str, ...],
    settings_hash: str,
    key: BoxKey | None,
    update: UpdateInfo | None = None,
) -> Info:
    """Return what this box is, what runs on it, what stands beside it, what it can do."""
    return Info(
        box=settings.box,
        site=settings.site,
        model=pick_board(kind=settings.board.kind).identity.model or "unknown",
        version=__version__,
        os=_os_name(),
        simulated=settings.board.kind == "simulated",
        boot=boot,
        epoch=epoch,
        cameras=tuple(_camera_info(camera, desk) for camera in settings.cameras),
        detector=_detector_info(capacity),
        commands=commands,
        settings_hash=settings_hash,
        key_id=key.public.fingerprint if key else "",
        key_kind=key.kind if key else "",
        update=update,
        schemas=(*SCHEMAS, coding.CODING)
        if settings.broker.telemetry_coding == "zstd"
        else SCHEMAS,
    )


def _detector_info(capacity: DetectorCapacity | None) -> DetectorInfo | None:
    if capacity is None:
        return None
    shapes = tuple(
        DetectorShape(
            width_px=one.width_px,
            height_px=one.height_px,
            sha256=one.sha256,
            look_ms=one.inference_ms,
        )
        for one in capacity.shapes
    )
    return DetectorInfo(name=capacity.model, sha256=capacity.sha256, shapes=shapes)


def _camera_info(camera: CameraSettings, desk: CameraDesk) -> CameraInfo:
    facts = desk.facts(camera.camera_id)
    device = facts.device if facts else None
    if device is None:
        return CameraInfo(camera_id=camera.camera_id, name=camera.name)
    return CameraInfo(
        camera_id=camera.camera_id,
        name=camera.name,
        maker=device.manufacturer,
        model=device.model,
        firmware=device.firmware,
        can=_abilities(camera, desk, has_ptz=device.has_ptz),
        calibration="check" if facts is not None and facts.is_exchanged else "",
    )


def _abilities(camera: CameraSettings, desk: CameraDesk, *, has_ptz: bool) -> tuple[str, ...]:
    ears = desk.ears(camera.camera_id)
    known = {
        "ptz": has_ptz,
        "relay": bool(camera.relays),
        "events": ears is not None and ears.status.opened_total > 0,
    }
    return tuple(name for name, can in known.items() if can)


def _os_name() -> str:
    try:
        lines = Path("/etc/os-release").read_text("utf-8").splitlines()
    except OSError:
        return ""
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    return fields.get("PRETTY_NAME", "").strip('"')
