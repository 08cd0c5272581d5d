"""How a camera takes its picture: exposure, IR-cut filter, wide dynamic range, focus.

What was written is read back and told as asked and got. Threads of the core process.
"""

from dataclasses import dataclass
from typing import Literal

from lxml import etree

from agent.cameras import media
from agent.cameras.line import OnvifLine, Service
from agent.cameras.media import AskedGot
from agent.cameras.port import CameraNotSupported
from agent.cameras.xml_text import as_number, child, filled, text

_NAMESPACE = f'xmlns:timg="{Service.IMAGING}"'
_SOURCE = "<timg:VideoSourceToken>{source}</timg:VideoSourceToken>"
_PATHS = {  # in the order of the schema's ImagingSettings20, which some cameras insist on
    "exposure": "Exposure/Mode",
    "exposure_us": "Exposure/ExposureTime",
    "gain_db": "Exposure/Gain",
    "focus": "Focus/AutoFocusMode",
    "ir_cut": "IrCutFilter",
    "wdr": "WideDynamicRange/Mode",
}


@dataclass(frozen=True, slots=True)
class ImagingWish:
    """What to change; empty or None stays. `exposure_us` and `gain_db` make exposure manual."""

    exposure: Literal["", "auto", "manual"] = ""
    exposure_us: float | None = None
    gain_db: float | None = None
    focus: Literal["", "auto", "manual"] = ""
    ir_cut: Literal["", "on", "off", "auto"] = ""
    wdr: Literal["", "on", "off"] = ""


def settings(line: OnvifLine) -> dict[str, str]:
    """Return what the camera tells of exposure, focus, IR-cut and WDR, as it writes it."""
    answer = line.ask(Service.IMAGING, _body("GetImagingSettings", _source_of(line)))
    told = child(answer, "ImagingSettings")
    found = {name: text(told, path) for name, path in _PATHS.items()}
    return {name: value for name, value in found.items() if value}


def change(line: OnvifLine, wish: ImagingWish) -> tuple[AskedGot, ...]:
    """Set what is wished for; a setting that the camera doesn't have is refused before."""
    asked = _asked(wish)
    missing = sorted(set(asked) - set(settings(line)))
    if missing:
        raise CameraNotSupported(f"the camera has no {', '.join(missing)} to set")
    root = etree.Element("root")
    for name, path in _PATHS.items():
        if name in asked:
            _leaf(root, path).text = asked[name]
    inner = "".join(etree.tostring(part).decode() for part in root)
    body = _body("SetImagingSettings", _source_of(line)).replace(
        "</timg:VideoSourceToken>",
        f"</timg:VideoSourceToken><timg:ImagingSettings>{inner}</timg:ImagingSettings>"
        "<timg:ForcePersistence>true</timg:ForcePersistence>",
    )
    line.ask(Service.IMAGING, body)
    now = settings(line)
    return tuple(
        AskedGot(name, want, _like(want, now.get(name, ""))) for name, want in asked.items()
    )


def focus(line: OnvifLine, speed: float) -> None:
    """Focus nearer (below 0) or farther until told otherwise; 0 stops."""
    source = _source_of(line)
    if speed == 0.0:
        line.ask(Service.IMAGING, _body("Stop", source))
        return
    move = (
        "</timg:VideoSourceToken><timg:Focus><tt:Continuous>"
        f"<tt:Speed>{speed:.3g}</tt:Speed></tt:Continuous></timg:Focus>"
    )
    line.ask(Service.IMAGING, _body("Move", source).replace("</timg:VideoSourceToken>", move))


def _source_of(line: OnvifLine) -> str:
    found = next((p.source_token for p in media.profiles(line) if p.source_token), "")
    if not found:
        raise CameraNotSupported("the camera names no video source")
    return found


def _body(name: str, source: str) -> str:
    return f"<timg:{name} {_NAMESPACE}>{filled(_SOURCE, source=source)}</timg:{name}>"


def _asked(wish: ImagingWish) -> dict[str, str]:
    asked = {
        name: value.upper()
        for name in ("exposure", "focus", "ir_cut", "wdr")
        if (value := getattr(wish, name))
    }
    for name in ("exposure_us", "gain_db"):
        if (number := getattr(wish, name)) is not None:
            asked[name] = f"{number:g}"
            asked["exposure"] = "MANUAL"
    return asked


def _leaf(root: etree._Element, path: str) -> etree._Element:
    at = root
    for name in path.split("/"):
        tag = f"{{http://www.onvif.org/ver10/schema}}{name}"
        found = child(at, name)
        at = etree.SubElement(at, tag) if found is None else found
    return at


def _like(asked: str, got: str) -> str:
    """Return what was got, written as it was asked when it is the same number."""
    number = as_number(got)
    return asked if number is not None and number == as_number(asked) else got.upper()
