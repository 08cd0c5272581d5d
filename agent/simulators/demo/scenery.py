"""The demo's settings: two simulated cameras, one box, one site, all on the loopback."""

import json
import math
import secrets
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import structs

from agent.pointing.geodesy import Place, enu_m, moved
from agent.pointing.mount import Axes, Mount
from agent.settings.model import BrokerSettings
from agent.settings.stand import LandmarkSettings, StandSettings
from agent.simulators.broker import free_port
from agent.simulators.camera.simulated_camera import SimulatedCameraConfig
from agent.simulators.drawn_scene import ROAD_ZONE
from agent.simulators.footage import Footage, Origin

SITE, BOX = "demo", "bx-demo"
CAMERA_USER = "poleside"
POLE = (37.5665, 126.9780)  # Seoul's city hall
_GROUND_M = 40.0

Zone = tuple[tuple[float, float], ...]

# Where people walk in and out: fractions of the frame, foot points decide.
_CROSSING: Zone = ((0.65, 0.48), (0.82, 0.48), (0.84, 0.82), (0.63, 0.82))
_PATH: Zone = ((0.48, 0.48), (0.76, 0.48), (0.78, 0.82), (0.46, 0.82))
_ZONES: dict[Origin, tuple[Zone, Zone]] = {
    "debian": (_CROSSING, _PATH),
    "drawn": (ROAD_ZONE, ROAD_ZONE),
}


@dataclass(frozen=True, slots=True)
class DemoCamera:
    """One simulated camera and how the box is told of it."""

    camera_id: str
    name: str
    rule_id: str
    zone: Zone
    config: SimulatedCameraConfig
    stand: StandSettings


def cameras(footage: Footage) -> list[DemoCamera]:
    """Return the demo's two cameras: a fixed one and one with PTZ, each with its own password."""
    crossing, path = _ZONES[footage.origin]
    stands = _stands()
    fixed = ("cam-1", "Crossing", "crossing", crossing, footage.fixed, False)
    moving = ("cam-2", "Path", "path", path, footage.ptz, True)
    return [
        DemoCamera(
            camera_id=camera_id,
            name=name,
            rule_id=rule_id,
            zone=zone,
            stand=stands[camera_id],
            config=SimulatedCameraConfig(
                name=camera_id,
                rtsp_port=free_port(),
                onvif_port=free_port(),
                username=CAMERA_USER,
                password=secrets.token_urlsafe(9),
                main_views=views.main,
                sub_views=views.sub,
                ptz=ptz,
            ),
        )
        for camera_id, name, rule_id, zone, views, ptz in (fixed, moving)
    ]


def write_camera(camera: DemoCamera, folder: Path) -> Path:
    """Write the simulated camera's own configuration; return the file."""
    path = folder / f"{camera.camera_id}.json"
    _write_secret(path, msgspec.json.encode(camera.config))
    return path


def write_box_settings(
    path: Path,
    data_dir: Path,
    all_cameras: list[DemoCamera],
    broker: BrokerSettings,
    keys_file: Path,
    page_port: int,
) -> None:
    """Write the box's settings file, as a technician would; TOML strings are JSON strings."""
    lines = [
        "# Made by `poleside demo`.",
        f"site = {_text(SITE)}",
        f"box = {_text(BOX)}",
        f"data_dir = {_text(str(data_dir))}",
        'status = "Test"  # every event of the demo says that it is a test',
        "",
        "[broker]",
        f"urls = {json.dumps(list(broker.urls))}",
        f"username = {_text(broker.username)}",
        f"password = {_text(broker.password)}",
        "keepalive_s = 10",
        "",
        "[center]",
        f"keys_file = {_text(str(keys_file))}",
        "telemetry_s = 5.0",
        "",
        "[buffer]",
        "min_free_bytes = 134217728",
        "",
        "[board]",
        'kind = "simulated"',
        "",
        "[page]",
        f'listen = "127.0.0.1:{page_port}"',
    ]
    for camera in all_cameras:
        lines += _camera_lines(camera)
    _write_secret(path, "\n".join(lines).encode() + b"\n")


def _camera_lines(camera: DemoCamera) -> list[str]:
    config = camera.config
    return [
        "",
        "[[cameras]]",
        f"camera_id = {_text(camera.camera_id)}",
        f"name = {_text(camera.name)}",
        f'onvif_url = "http://{config.host}:{config.onvif_port}/onvif/device_service"',
        f"username = {_text(config.username)}",
        f"password = {_text(config.password)}",
        *_stand_lines(camera.stand),
        "",
        "[[cameras.rules]]",
        'kind = "intrusion"',
        f"rule_id = {_text(camera.rule_id)}",
        f"zone = {json.dumps(camera.zone)}",
        'labels = ["person"]',
        "dwell_s = 0.6",
        "clear_s = 1.5",
    ]


def _stands() -> dict[str, StandSettings]:
    """Return where the cameras hang; the moving one was calibrated by four landmarks."""
    pole, mount = Place(*POLE, 46.0), Mount("true", Axes(180.0, 90.0), 0.0, 0.0, 0.0, 0.0)
    landmarks = []
    for bearing_deg, far_m in ((20, 30), (110, 50), (200, 40), (290, 60)):
        angle = math.radians(bearing_deg)
        mark = moved(pole, far_m * math.sin(angle), far_m * math.cos(angle), _GROUND_M)
        pan, tilt = mount.position(enu_m(mark, pole))
        seen = LandmarkSettings(
            lat=mark.lat_deg, lon=mark.lon_deg, height_m=_GROUND_M, pan=pan, tilt=tilt
        )
        landmarks.append(seen)
    lat, lon = POLE
    fixed = StandSettings(lat=lat, lon=lon, height_m=46.0, above_ground_m=6.0)
    return {"cam-1": fixed, "cam-2": structs.replace(fixed, landmarks=tuple(landmarks))}


def fire_place() -> tuple[float, float]:
    """Return where the fire is: well to the right of where the moving camera looks."""
    place = moved(Place(*POLE, 46.0), 30.0, -12.0, _GROUND_M)
    return place.lat_deg, place.lon_deg


def _stand_lines(stand: StandSettings) -> list[str]:
    told = msgspec.to_builtins(stand)
    landmarks = told.pop("landmarks")
    given = {key: value for key, value in told.items() if value != ()}
    lines = ["", "[cameras.stand]", *(f"{key} = {value}" for key, value in given.items())]
    for mark in landmarks:
        lines += ["", "[[cameras.stand.landmarks]]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in mark.items()]
    return lines


def _text(value: str) -> str:
    return json.dumps(value)


def _write_secret(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_bytes(content)
