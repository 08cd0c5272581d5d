"""The places a PTZ camera keeps under a token, as it lists them."""

from dataclasses import dataclass

from lxml import etree

from agent.cameras import media
from agent.cameras.line import OnvifLine, Service
from agent.cameras.port import CameraNotSupported, Place
from agent.cameras.xml_text import as_number, attribute, child, children, filled, text


@dataclass(frozen=True, slots=True)
class Preset:
    """A kept place. `place` is empty when the camera does not say where it is."""

    token: str
    name: str
    place: Place


def ptz_profile(line: OnvifLine) -> str:
    """Return the token of a profile that can be moved; raises `CameraNotSupported`."""
    found = next((p for p in media.profiles(line) if p.ptz_token), None)
    if found is None:
        raise CameraNotSupported("the camera cannot be moved")
    return found.stream.token


def presets_of(line: OnvifLine, profile: str = "") -> tuple[Preset, ...]:
    """List the kept places."""
    question = "<tptz:GetPresets><tptz:ProfileToken>{profile}</tptz:ProfileToken></tptz:GetPresets>"
    answer = line.ask(Service.PTZ, filled(question, profile=profile or ptz_profile(line)))
    found = (_preset(element) for element in children(answer, "Preset"))
    return tuple(preset for preset in found if preset.token)


def _preset(found: etree._Element) -> Preset:
    at = child(found, "PTZPosition")
    pan_tilt, zoom = child(at, "PanTilt"), child(at, "Zoom")
    place = Place(
        as_number(attribute(pan_tilt, "x")),
        as_number(attribute(pan_tilt, "y")),
        as_number(attribute(zoom, "x")),
    )
    return Preset(attribute(found, "token"), text(found, "Name"), place)
