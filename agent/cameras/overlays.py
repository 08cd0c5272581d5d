"""Text in the picture and privacy masks, where the camera has them. Threads of the core.

What was written is read back: a mask that a camera only says it has protects nobody.
"""

from dataclasses import dataclass

from lxml import etree

from agent.cameras import media
from agent.cameras.line import OnvifLine, Service
from agent.cameras.port import CameraBadResponse
from agent.cameras.xml_text import attribute, child, children, everywhere, filled, text

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Overlay:
    """A text in the picture."""

    token: str
    text: str


@dataclass(frozen=True, slots=True)
class Mask:
    """A privacy mask: a polygon in fractions of the picture, x right and y down."""

    token: str
    polygon: tuple[Point, ...]


def overlays(line: OnvifLine) -> tuple[Overlay, ...]:
    """List the texts."""
    answer = line.ask(*_media(line, "GetOSDs", ""))
    return tuple(
        Overlay(attribute(osd, "token"), text(osd, "TextString/PlainText"))
        for osd in children(answer, "OSDs")
        if attribute(osd, "token")
    )


def set_text(line: OnvifLine, token: str, words: str) -> str:
    """Change a text and return what the camera shows now."""
    answer = line.ask(*_media(line, "GetOSDs", ""))
    found = next((o for o in children(answer, "OSDs") if attribute(o, "token") == token), None)
    plain = child(found, "TextString/PlainText")
    if found is None or plain is None:
        raise CameraBadResponse(f"the camera has no text {token}")
    plain.text = words
    service, _ = _media(line, "SetOSD", "")
    told = etree.Element(f"{{{service}}}OSD", dict(found.attrib))
    told.extend(list(found))
    line.ask(*_media(line, "SetOSD", etree.tostring(told).decode()))
    return next((o.text for o in overlays(line) if o.token == token), "")


def add_text(line: OnvifLine, words: str, corner: str = "UpperLeft") -> Overlay:
    """Show a further text in a corner, and return it as the camera has it now."""
    body = filled(
        '<{{p}}:OSD token="" xmlns:tt="http://www.onvif.org/ver10/schema">'
        "<tt:VideoSourceConfigurationToken>{source}</tt:VideoSourceConfigurationToken>"
        "<tt:Type>Text</tt:Type><tt:Position><tt:Type>{corner}</tt:Type></tt:Position>"
        "<tt:TextString><tt:Type>Plain</tt:Type><tt:PlainText>{words}</tt:PlainText>"
        "</tt:TextString></{{p}}:OSD>",
        source=media.source_configuration(line),
        corner=corner,
        words=words,
    )
    prefix = "tr2" if line.has(Service.MEDIA2) else "trt"
    answer = line.ask(*_media(line, "CreateOSD", body.replace("{p}", prefix)))
    token = text(answer, "OSDToken")
    found = next((shown for shown in overlays(line) if shown.token == token), None)
    if found is None:
        raise CameraBadResponse("the camera took the text and does not show it")
    return found


def remove_text(line: OnvifLine, token: str) -> None:
    """Take a text away, and look whether it is gone."""
    inner = filled("<{{p}}:OSDToken>{token}</{{p}}:OSDToken>", token=token)
    prefix = "tr2" if line.has(Service.MEDIA2) else "trt"
    line.ask(*_media(line, "DeleteOSD", inner.replace("{p}", prefix)))
    if any(shown.token == token for shown in overlays(line)):
        raise CameraBadResponse("the camera took the order and still shows the text")


def masks(line: OnvifLine) -> tuple[Mask, ...]:
    """List the privacy masks (Media 2)."""
    answer = line.ask(Service.MEDIA2, "<tr2:GetMasks/>")
    return tuple(_mask(found) for found in children(answer, "Masks"))


def add_mask(line: OnvifLine, polygon: tuple[Point, ...]) -> Mask:
    """Cover a polygon, and return it as the camera has it now."""
    source_token = media.source_configuration(line)
    corners = "".join(f'<tt:Point x="{2 * x - 1:.4f}" y="{1 - 2 * y:.4f}"/>' for x, y in polygon)
    body = filled(
        "<tr2:CreateMask><tr2:Mask><tr2:ConfigurationToken>{source}</tr2:ConfigurationToken>"
        "<tr2:Polygon>{{corners}}</tr2:Polygon><tr2:Type>Color</tr2:Type>"
        "<tr2:Enabled>true</tr2:Enabled></tr2:Mask></tr2:CreateMask>",
        source=source_token,
    ).replace("{corners}", corners)
    token = text(line.ask(Service.MEDIA2, body), "Token")
    found = next((mask for mask in masks(line) if mask.token == token), None)
    if found is None or len(found.polygon) != len(polygon):
        raise CameraBadResponse("the camera took the mask and does not show it")
    return found


def remove_mask(line: OnvifLine, token: str) -> None:
    """Take a mask away, and look whether it is gone."""
    template = "<tr2:DeleteMask><tr2:Token>{token}</tr2:Token></tr2:DeleteMask>"
    line.ask(Service.MEDIA2, filled(template, token=token))
    if any(mask.token == token for mask in masks(line)):
        raise CameraBadResponse("the camera took the order and still has the mask")


def _media(line: OnvifLine, name: str, inner: str) -> tuple[Service, str]:
    is_new = line.has(Service.MEDIA2)
    service, prefix = (Service.MEDIA2, "tr2") if is_new else (Service.MEDIA, "trt")
    return service, f"<{prefix}:{name}>{inner}</{prefix}:{name}>"


def _mask(found: etree._Element) -> Mask:
    corners = []
    for point in everywhere(found, "Point"):
        try:
            x, y = float(attribute(point, "x")), float(attribute(point, "y"))
        except ValueError:
            continue
        corners.append(((x + 1) / 2, (1 - y) / 2))
    return Mask(attribute(found, "token"), tuple(corners))
