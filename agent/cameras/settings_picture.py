"""A picture of a camera's settings as path to value: to keep, to compare, to set back.

Only what stays as it was set is in it: no clocks, no counters, no exposure that the camera chooses.
Blocking; called in threads of the core or by the command line.
"""

from collections.abc import Callable

from lxml import etree

from agent.cameras import imaging, overlays
from agent.cameras.line import OnvifLine, Service
from agent.cameras.overlays import Mask
from agent.cameras.port import CameraBadResponse, CameraNotSupported
from agent.cameras.ptz_presets import Preset, presets_of
from agent.cameras.xml_text import local, text

ENCODERS, IMAGING, TEXTS, MASKS, PRESETS = "VideoEncoder", "Imaging", "OSDs", "Masks", "Presets"
_MOST = 2000
_PICTURED = (
    (Service.MEDIA2, "tr2", "GetVideoEncoderConfigurations"),
    (Service.MEDIA, "trt", "GetVideoEncoderConfigurations"),
    (Service.DEVICE, "tds", "GetNetworkInterfaces"),
    (Service.DEVICE, "tds", "GetNTP"),
    (Service.DEVICE, "tds", "GetUsers"),
    (Service.DEVICE, "tds", "GetRelayOutputs"),
)
_CHANGES_BY_ITSELF = {"UseCount", "UTCDateTime", "LocalDateTime", "Password"}
_CHOSEN_BY_CAMERA = {"exposure_us", "gain_db"}  # while its exposure is automatic


def settings_picture(line: OnvifLine) -> dict[str, str]:
    """Ask for encoders, imaging, texts, masks, presets, network, time and users.

    What a camera does not have or tell is left out; an unreachable one raises `CameraFailure`.
    """
    picture: dict[str, str] = {}
    for service, prefix, name in _PICTURED:
        if not line.has(service):
            continue
        try:
            answer = line.ask(service, f"<{prefix}:{name}/>")
        except (CameraNotSupported, CameraBadResponse):
            continue
        _flatten(answer, name.removeprefix("Get"), picture)
    for part in (_imaging, _texts, _masks, _presets):
        picture |= _told(part, line)
    return dict(sorted(picture.items())[:_MOST])


def polygon_in_words(mask: Mask) -> str:
    """Write a mask's corners to a hundredth, as cameras round them."""
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in mask.polygon)


def preset_in_words(preset: Preset) -> str:
    """Write a preset's name and place, to a hundredth as in a picture."""
    at = preset.place
    axes = ("-" if value is None else f"{value:.2f}" for value in (at.pan, at.tilt, at.zoom))
    return f"{preset.name} at {', '.join(axes)}"


def _told(part: Callable[[OnvifLine], dict[str, str]], line: OnvifLine) -> dict[str, str]:
    try:
        return part(line)
    except (CameraNotSupported, CameraBadResponse):
        return {}


def _imaging(line: OnvifLine) -> dict[str, str]:
    if not line.has(Service.IMAGING):
        return {}
    told = imaging.settings(line)
    left_out = _CHOSEN_BY_CAMERA if told.get("exposure", "").upper() != "MANUAL" else set()
    return {f"{IMAGING}/{name}": value for name, value in told.items() if name not in left_out}


def _texts(line: OnvifLine) -> dict[str, str]:
    return {f"{TEXTS}[{shown.token}]": shown.text for shown in overlays.overlays(line)}


def _masks(line: OnvifLine) -> dict[str, str]:
    if not line.has(Service.MEDIA2):
        return {}
    return {f"{MASKS}[{mask.token}]": polygon_in_words(mask) for mask in overlays.masks(line)}


def _presets(line: OnvifLine) -> dict[str, str]:
    picture = {}
    for preset in presets_of(line) if line.has(Service.PTZ) else ():
        picture[f"{PRESETS}[{preset.token}]/name"] = preset.name
        for axis in ("pan", "tilt", "zoom"):
            value = getattr(preset.place, axis)
            if value is not None:
                picture[f"{PRESETS}[{preset.token}]/{axis}"] = f"{value:.2f}"
    return picture


def _flatten(element: etree._Element, path: str, picture: dict[str, str]) -> None:
    """Write leaves as `path`; what has a token or a name is told apart by it."""
    for name, value in element.attrib.items():
        plain = str(name).rpartition("}")[2]
        if plain != "token":
            picture[f"{path}@{plain}"] = str(value)
    parts = [part for part in element if isinstance(part.tag, str)]
    if not parts:
        picture[path] = text(element)
    for part in parts:
        name = local(part)
        if name in _CHANGES_BY_ITSELF:
            continue
        token = part.get("token") or text(part, "Username")
        _flatten(part, f"{path}/{name}[{token}]" if token else f"{path}/{name}", picture)
