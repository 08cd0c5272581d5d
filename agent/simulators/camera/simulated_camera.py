"""One simulated camera, whole: live streams, RTSP server, ONVIF device and PTZ motor.

Runs in a process of its own (`python -m agent.simulators.camera --config FILE.json`), so that it
can be killed as a camera loses power.
"""

import asyncio
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from agent.core import log
from agent.core.clock import Clock
from agent.simulators.camera.digest import Credentials
from agent.simulators.camera.faults import Faults
from agent.simulators.camera.live_stream import LiveStream
from agent.simulators.camera.media import Media, load_media
from agent.simulators.camera.onvif_device import OnvifDevice
from agent.simulators.camera.onvif_events import DIGITAL_INPUT
from agent.simulators.camera.onvif_settings import OnvifDeviceConfig, OnvifFaults, SimulatedPlace
from agent.simulators.camera.onvif_system import INPUTS
from agent.simulators.camera.ptz_motor import PtzMotor
from agent.simulators.camera.rtsp_server import RtspServer

MAIN, SUB = "main", "sub"

_FAULTS_EVERY_S = 0.3
_LOGINS_EVERY_S = 0.1

Port = Annotated[int, Meta(ge=0, le=65_535)]
Views = Annotated[dict[str, str], Meta(min_length=1)]


class SimulatedCameraConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one camera is. Views are names to MP4 files, for a PTZ camera from left to right.

    Port 0 takes a free one, which the log line "camera ready" names. `faults_file`, if given, is a
    JSON file with `CameraFaults`; it may appear, change and vanish at any time.
    """

    name: str
    host: str = "127.0.0.1"
    rtsp_port: Port = 0
    onvif_port: Port = 0
    username: str = ""
    password: str = ""
    main_views: Views
    sub_views: Views
    ptz: bool = False
    place: SimulatedPlace | None = None
    discovery_port: Port = 0  # 3702: it answers WS-Discovery; 0: it does not
    faults_file: str = ""

    def __post_init__(self) -> None:
        if list(self.main_views) != list(self.sub_views):
            raise ValueError("`main_views` and `sub_views` must have the same names in one order")


class CameraFaults(Struct, forbid_unknown_fields=True):
    """All switches of one camera; `{"rtsp": {"stall": true}}` in the faults file."""

    rtsp: Faults = field(default_factory=Faults)
    onvif: OnvifFaults = field(default_factory=OnvifFaults)


async def serve(config: SimulatedCameraConfig, clock: Clock) -> None:
    """Be this camera until cancelled. Raises PolesideError if footage or ports are unusable."""
    motor, faults = PtzMotor(clock), Faults()
    pick_view = view_picker(tuple(config.main_views), motor)
    main = await asyncio.to_thread(_load, config.main_views)
    sub = await asyncio.to_thread(_load, config.sub_views)
    server = RtspServer(
        {
            MAIN: LiveStream(main, pick_view, clock, faults, name=MAIN),
            SUB: LiveStream(sub, pick_view, clock, faults, name=SUB),
        },
        host=config.host,
        port=config.rtsp_port,
        credentials=Credentials(config.username, config.password),
        clock=clock,
        faults=faults,
    )
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve())
        await server.listening.wait()
        device = OnvifDevice(_device_config(config, server.port, main, sub), motor, clock)
        for token in INPUTS:
            device.events.begin(DIGITAL_INPUT, {"InputToken": token}, {"LogicalState": "false"})
        tasks.create_task(device.serve())
        await device.ready.wait()
        tasks.create_task(_tell_logins(server, device, clock))
        if config.faults_file:
            switches = CameraFaults(rtsp=faults, onvif=device.faults)
            tasks.create_task(_follow_file(Path(config.faults_file), switches, clock))
        log.get("simulated-camera").info(
            "camera ready", name=config.name, rtsp_port=server.port, onvif_url=device.url
        )


async def _tell_logins(server: RtspServer, device: OnvifDevice, clock: Clock) -> None:
    """Say that somebody has shown a login, so that a test can see that nobody has."""
    while not (server.logins_seen or device.logins_seen):
        await clock.sleep_s(_LOGINS_EVERY_S)
    log.get("simulated-camera").info("first login shown")


def view_picker(names: tuple[str, ...], motor: PtzMotor) -> Callable[[], str]:
    """Return a function that names the view the motor points at: the first is pan -1, the last 1.

    With one view it is always that one; a camera without PTZ never moves.
    """

    def pick() -> str:
        share = (motor.position().pan + 1) / 2
        return names[round(share * (len(names) - 1))]

    return pick


def _load(views: Mapping[str, str]) -> dict[str, Media]:
    return {name: load_media(Path(file)) for name, file in views.items()}


def _device_config(
    config: SimulatedCameraConfig, rtsp_port: int, main: dict[str, Media], sub: dict[str, Media]
) -> OnvifDeviceConfig:
    main_media, sub_media = next(iter(main.values())), next(iter(sub.values()))
    mark = sha256(config.name.encode()).hexdigest()[:12]  # each camera is another one
    return OnvifDeviceConfig(
        host=config.host,
        port=config.onvif_port,
        name=config.name,
        serial=f"SIM-{mark[6:].upper()}",
        mac=f"02:00:5e:{mark[0:2]}:{mark[2:4]}:{mark[4:6]}",
        username=config.username,
        password=config.password,
        rtsp_main_url=f"rtsp://{config.host}:{rtsp_port}/{MAIN}",
        rtsp_sub_url=f"rtsp://{config.host}:{rtsp_port}/{SUB}",
        main_size_px=(main_media.width_px, main_media.height_px),
        sub_size_px=(sub_media.width_px, sub_media.height_px),
        fps=round(main_media.fps),
        ptz=config.ptz,
        place=config.place,
        discovery_port=config.discovery_port,
    )


async def _follow_file(path: Path, switches: CameraFaults, clock: Clock) -> None:
    seen = b""
    while True:
        text = await asyncio.to_thread(_read, path)
        if text != seen:
            seen = text
            _apply(text or b"{}", switches)
        await clock.sleep_s(_FAULTS_EVERY_S)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _apply(text: bytes, switches: CameraFaults) -> None:
    try:
        told = msgspec.json.decode(text, type=CameraFaults)
    except msgspec.DecodeError as error:  # half-written: the next look has the rest
        log.get("simulated-camera").warning("faults file not understood", error=str(error))
        return
    for target, source in ((switches.rtsp, told.rtsp), (switches.onvif, told.onvif)):
        for name in source.__struct_fields__:
            setattr(target, name, getattr(source, name))
