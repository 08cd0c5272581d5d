"""All that the box asks of a camera, a row each: the operation, and whose answer it hangs on."""

import asyncio
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field

import agent.cameras
from agent.cameras import (
    care,
    dump,
    event_trees,
    imaging,
    inputs_outputs,
    media,
    overlays,
    ptz_presets,
    restore,
    rotation,
)
from agent.cameras.line import OnvifLine, Service
from agent.cameras.port import CameraControl, Place
from agent.cameras.ptz_head import PtzHead
from agent.cameras.ptz_sectors import Sectors
from agent.cameras.pull_point import PullPoint
from agent.cameras.push_point import PushPoint
from agent.cameras.settings_picture import settings_picture
from agent.cameras.stream_warnings import stream_warnings
from agent.core.clock import SystemClock
from agent.simulators.camera.onvif_device import OnvifDevice
from agent.simulators.camera.onvif_settings import SimulatedPlace
from tests.simulated_onvif import LOGIN, PASSWORD, control_of, running_camera

_CLOCK = SystemClock()
_TRIANGLE = ((0.1, 0.1), (0.5, 0.1), (0.5, 0.4))
_WISH = media.EncoderWish(gop=15)


@dataclass(slots=True)
class Passwords:
    """Where both passwords are kept, here in memory."""

    password: str = PASSWORD
    pending: str = ""

    def begin(self, password: str) -> None:
        self.pending = password

    def settle(self, password: str) -> None:
        self.password, self.pending = password, ""


@dataclass(slots=True)
class Stage:
    """A camera and everything that speaks to it."""

    device: OnvifDevice
    control: CameraControl
    line: OnvifLine = field(init=False)
    head: PtzHead = field(init=False)
    push: PushPoint | None = None

    def __post_init__(self) -> None:
        self.line, self.head = self.control.line, PtzHead(self.control, Sectors())

    def point(self) -> PullPoint:
        return PullPoint.open(self.line, _CLOCK)


@dataclass(frozen=True, slots=True)
class Asked:
    """`does_without` the answer of `action`: it then answers from what else it knows."""

    name: str
    action: str
    ask: Callable[[Stage], object]
    does_without: bool = False
    media2: bool = True
    is_slow: bool = False  # by itself, whatever the camera answers

    def __str__(self) -> str:
        return f"{self.name} by {self.action}{'' if self.media2 else ', Media 1'}"


@asynccontextmanager
async def staged(asked: Asked, *, call_s: float = 30.0) -> Iterator[Stage]:
    place = SimulatedPlace(lat=37.5, lon=127.0)
    async with running_camera(media2=asked.media2, max_pull_points=100_000, place=place) as device:
        device.system._on_reboot = lambda: None  # it answers, and stays
        control = control_of(device, LOGIN, call_s=call_s)
        with closing(control):
            stage = Stage(device, control)
            yield stage
            if stage.push is not None:
                await asyncio.to_thread(stage.push.close)


def _on_control(name: str, ask: Callable[[CameraControl], object], *actions: str, **more: bool):
    return [Asked(f"CameraControl.{name}", a, lambda s: ask(s.control), **more) for a in actions]


def _on_head(name: str, ask: Callable[[PtzHead], object], *actions: str, **more: bool):
    return [Asked(f"PtzHead.{name}", a, lambda s: ask(s.head), **more) for a in actions]


def _on_line(name: str, ask: Callable[[OnvifLine], object], *actions: str, **more: bool):
    return [Asked(name, a, lambda s: ask(s.line), **more) for a in actions]


def _forgotten(stage: Stage) -> object:
    """The head's facts are asked for once; here each time."""
    return PtzHead(stage.control, Sectors()).facts()


def _preset_removed(head: PtzHead) -> None:
    head.remove_preset(head.set_preset("north").token)


def _text_removed(line: OnvifLine) -> None:
    overlays.remove_text(line, overlays.add_text(line, "words").token)


def _mask_removed(line: OnvifLine) -> None:
    overlays.remove_mask(line, overlays.add_mask(line, _TRIANGLE).token)


def _pushed_and_closed(stage: Stage) -> None:
    point = PushPoint.open(stage.line, _CLOCK)
    point.close()


def _push_pulled(stage: Stage) -> object:
    """Nothing comes, so it is renewed."""
    stage.push = stage.push or PushPoint.open(stage.line, _CLOCK)
    return stage.push.pull(0.01)


def _with_first_password(ask: Callable[[OnvifLine], object]) -> Callable[[Stage], object]:
    """Whatever became of the password the last time, both sides know the first one again."""

    def visit(stage: Stage) -> object:
        stage.device.login.password = PASSWORD
        stage.control.change_login(LOGIN)
        return ask(stage.line)

    return visit


_change_password = _with_first_password(
    lambda line: care.change_password(line, LOGIN, "another", _CLOCK)
)
_rotate = _with_first_password(lambda line: rotation.rotate(line, Passwords(), _CLOCK))


OPERATIONS: tuple[Asked, ...] = (
    *_on_control("facts", lambda c: c.facts(), "GetServices", "GetCapabilities", does_without=True),
    *_on_control("facts", lambda c: c.facts(), "GetDeviceInformation", "GetProfiles"),
    *_on_control("profiles", lambda c: c.profiles(), "GetProfiles"),
    *_on_control("profiles", lambda c: c.profiles(), "GetProfiles", media2=False),
    *_on_control("stream_url", lambda c: c.stream_url("main"), "GetStreamUri"),
    *_on_control("stream_url", lambda c: c.stream_url("main"), "GetStreamUri", media2=False),
    *_on_control("move", lambda c: c.move(0.1, 0.0, 0.0, 1.0), "ContinuousMove"),
    *_on_control("stop", lambda c: c.stop(), "Stop", does_without=True),
    *_on_control("position", lambda c: c.position(), "GetStatus"),
    *_on_control(
        "clock_ahead_s", lambda c: c.clock_ahead_s(), "GetSystemDateAndTime", does_without=True
    ),
    *_on_line("care.identity", care.identity, "GetDeviceInformation"),
    *_on_line(
        *("care.identity", care.identity, "GetEndpointReference", "GetNetworkInterfaces"),
        does_without=True,
    ),
    *_on_line(
        *("care.set_clock", lambda line: care.set_clock(line, _CLOCK)),
        *("GetSystemDateAndTime", "SetSystemDateAndTime"),
    ),
    *_on_line("care.prove", care.prove, "GetDeviceInformation"),
    Asked("care.change_password", "GetUsers", _change_password),
    Asked("care.change_password", "SetUser", _change_password, does_without=True),
    *_on_line("care.reboot", care.reboot, "SystemReboot"),
    Asked("rotation.rotate", "GetUsers", _rotate),
    Asked("rotation.rotate", "SetUser", _rotate, does_without=True),
    *_on_line(
        *("rotation.settle", lambda line: rotation.settle(line, Passwords())),
        "GetDeviceInformation",
    ),
    *_on_line(
        *("dump.dump", lambda line: dump.dump(line, PASSWORD)),
        *("GetDeviceInformation", "GetScopes"),
        does_without=True,
    ),
    *_on_line("settings_picture.settings_picture", settings_picture, "GetNTP", does_without=True),
    *_on_line(
        *("settings_picture.settings_picture", settings_picture, "GetVideoEncoderConfigurations"),
        does_without=True,
    ),
    *_on_line(
        *("restore.restore", lambda line: restore.restore(line, {"OSDs[9]": "words"})),
        *("CreateOSD", "GetOSDs"),
    ),
    *_on_line("stream_warnings.stream_warnings", stream_warnings, "GetProfiles"),
    *_on_line("media.profiles", media.profiles, "GetProfiles"),
    *_on_line("media.stream_url", lambda line: media.stream_url(line, "sub"), "GetStreamUri"),
    *_on_line("media.source_configuration", media.source_configuration, "GetProfiles"),
    *_on_line(
        *("media.snapshot", lambda line: media.snapshot(line, "main")), *("GetSnapshotUri", "GET")
    ),
    *_on_line(
        *("media.set_stream", lambda line: media.set_stream(line, "main", _WISH)),
        *("GetProfiles", "GetVideoEncoderConfigurations", "SetVideoEncoderConfiguration"),
    ),
    *_on_line(
        *("media.set_stream", lambda line: media.set_stream(line, "main", _WISH)),
        *("GetVideoEncoderConfiguration", "SetVideoEncoderConfiguration"),
        media2=False,
    ),
    *_on_line(
        "media.set_encoder",
        lambda line: media.set_encoder(line, media.profiles(line)[0], _WISH),
        "SetVideoEncoderConfiguration",
    ),
    *_on_line("imaging.settings", imaging.settings, "GetImagingSettings"),
    *_on_line(
        *("imaging.change", lambda line: imaging.change(line, imaging.ImagingWish(ir_cut="off"))),
        "SetImagingSettings",
    ),
    *_on_line("imaging.focus", lambda line: imaging.focus(line, 0.5), "Move"),
    *_on_line("imaging.focus", lambda line: imaging.focus(line, 0.0), "Stop"),
    *_on_line("inputs_outputs.relays", inputs_outputs.relays, "GetRelayOutputs", does_without=True),
    *_on_line(
        *("inputs_outputs.digital_inputs", inputs_outputs.digital_inputs, "GetDigitalInputs"),
        does_without=True,
    ),
    *_on_line(
        "inputs_outputs.set_relay",
        lambda line: inputs_outputs.set_relay(line, "relay-1", active=True),
        "SetRelayOutputState",
    ),
    *_on_line("overlays.overlays", overlays.overlays, "GetOSDs"),
    *_on_line("overlays.overlays", overlays.overlays, "GetOSDs", media2=False),
    *_on_line(
        *("overlays.set_text", lambda line: overlays.set_text(line, "osd-1", "words"), "SetOSD"),
    ),
    *_on_line("overlays.add_text", lambda line: overlays.add_text(line, "words"), "CreateOSD"),
    *_on_line("overlays.remove_text", _text_removed, "DeleteOSD"),
    *_on_line("overlays.masks", overlays.masks, "GetMasks"),
    *_on_line("overlays.add_mask", lambda line: overlays.add_mask(line, _TRIANGLE), "CreateMask"),
    *_on_line("overlays.remove_mask", _mask_removed, "DeleteMask"),
    *_on_line("ptz_presets.ptz_profile", ptz_presets.ptz_profile, "GetProfiles"),
    *_on_line("ptz_presets.presets_of", ptz_presets.presets_of, "GetPresets"),
    Asked("PtzHead.facts", "GetNodes", _forgotten),
    *_on_head("goto", lambda head: head.goto(Place(0.1, 0.1)), "AbsoluteMove"),
    *_on_head("turn", lambda head: head.turn(Place(0.1, 0.1)), "GetStatus"),
    Asked(
        "PtzHead.turn",
        "RelativeMove",
        lambda s: (setattr(s.device.faults, "tells_no_position", True), s.head.turn(Place(0.1))),
    ),
    *_on_head("geo_move", lambda head: head.geo_move(37.5001, 127.0, 0.0, 20.0), "GeoMove"),
    *_on_head("presets", lambda head: head.presets(), "GetPresets"),
    *_on_head("goto_preset", lambda head: head.goto_preset("1"), "GotoPreset", "GetPresets"),
    *_on_head("set_preset", lambda head: head.set_preset("north"), "SetPreset"),
    *_on_head("remove_preset", _preset_removed, "RemovePreset"),
    *_on_head("goto_home", lambda head: head.goto_home(), "GotoHomePosition"),
    *_on_head("set_home", lambda head: head.set_home(), "SetHomePosition"),
    *_on_head("auxiliary", lambda head: head.auxiliary("Wiper", "On"), "SendAuxiliaryCommand"),
    *_on_line("event_trees.wanted_trees", event_trees.wanted_trees, "GetEventProperties"),
    Asked("PullPoint.open", "CreatePullPointSubscription", lambda s: s.point()),
    Asked("PullPoint.open", "SetSynchronizationPoint", lambda s: s.point(), does_without=True),
    Asked("PullPoint.pull", "PullMessages", lambda s: s.point().pull(0.01)),
    Asked("PullPoint.renew", "Renew", lambda s: s.point().renew()),
    Asked("PullPoint.synchronise", "SetSynchronizationPoint", lambda s: s.point().synchronise()),
    Asked("PullPoint.close", "Unsubscribe", lambda s: s.point().close()),
    Asked("PushPoint.open", "Subscribe", _pushed_and_closed, is_slow=True),
    Asked("PushPoint.close", "Unsubscribe", _pushed_and_closed, is_slow=True),
    Asked("PushPoint.pull", "Renew", _push_pulled),
    *_on_line(
        "OnvifLine.ask",
        lambda line: line.ask(Service.EVENTS, "<tev:GetEventProperties/>"),
        "GetEventProperties",
    ),
)

# What asks the camera nothing by itself.
_SILENT = {
    "CameraControl.change_login",
    "CameraControl.close",
    "PtzHead.check_place",
    "PullPoint.keep",
}
_CLASSES = (CameraControl, PtzHead, PullPoint, PushPoint)


def offered() -> set[str]:
    """Return all that `agent.cameras` offers to ask a camera: the port, and what takes a line.

    What is new there wants a row above, with the action whose answer it hangs on.
    """
    names = {
        f"{owner.__name__}.{name}"
        for owner in _CLASSES
        for name, value in vars(owner).items()
        if not name.startswith("_") and (inspect.isfunction(value) or inspect.ismethod(value))
    }
    for found in pkgutil.iter_modules(agent.cameras.__path__):
        module = importlib.import_module(f"agent.cameras.{found.name}")
        for name, value in vars(module).items():
            is_own = inspect.isfunction(value) and value.__module__ == module.__name__
            if is_own and not name.startswith("_") and _takes_a_line(value):
                names.add(f"{found.name}.{name}")
    return (names | {"PullPoint.open", "PushPoint.open", "OnvifLine.ask"}) - _SILENT


def _takes_a_line(function: Callable[..., object]) -> bool:
    kinds = (parameter.annotation for parameter in inspect.signature(function).parameters.values())
    return any(kind is OnvifLine or kind == "OnvifLine" for kind in kinds)
