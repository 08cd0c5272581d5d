"""A PTZ head's places: absolute, relative, presets, home; and its auxiliaries (wiper, IR lamp).

Built by the camera's gate, in its thread. What moves returns whether the goal is known and
allowed: a move with an unknown goal is watched by the gate where sectors are forbidden.
"""

from dataclasses import dataclass, replace

from lxml import etree

from agent.cameras.line import Service
from agent.cameras.port import (
    CameraBadResponse,
    CameraControl,
    CameraNotSupported,
    Place,
    PtzPosition,
)
from agent.cameras.ptz_presets import Preset, presets_of, ptz_profile
from agent.cameras.ptz_sectors import Sectors
from agent.cameras.xml_text import as_number as number_of
from agent.cameras.xml_text import attribute, child, everywhere, filled, is_true, text
from agent.core.errors import CommandError

_PROFILE = "<tptz:ProfileToken>{profile}</tptz:ProfileToken>"


@dataclass(frozen=True, slots=True)
class Span:
    """From where to where an axis goes."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class HeadFacts:
    """What the head says it can. None: no absolute positions on that axis."""

    space: str = ""
    zoom_space: str = ""
    pan: Span | None = None
    tilt: Span | None = None
    zoom: Span | None = None
    turns_by: bool = False  # knows RelativeMove
    knows_the_map: bool = False  # knows GeoMove
    has_home: bool = False
    most_presets: int = 0
    auxiliaries: tuple[str, ...] = ()  # as the camera writes them, "tt:Wiper|On"


class PtzHead:
    """One camera's head; `sectors` hold for whatever moves it."""

    def __init__(self, control: CameraControl, sectors: Sectors) -> None:
        self._control, self._line, self._sectors = control, control.line, sectors
        self._token = ""
        self._facts: HeadFacts | None = None

    def facts(self) -> HeadFacts:
        """Return spaces and abilities, asked once."""
        if self._facts is None:
            node = child(self._ask("<tptz:GetNodes/>"), "PTZNode")
            self._facts = HeadFacts() if node is None else _head_facts(node)
        return self._facts

    def goto(self, place: Place) -> bool:
        """Look at a place; a missing axis stays. Refused out of range or in a sector."""
        facts = self.facts()
        if facts.pan is None and facts.zoom is None:
            raise CameraNotSupported("the camera has no absolute positions")
        for name, value, span in (
            ("pan", place.pan, facts.pan),
            ("tilt", place.tilt, facts.tilt),
            ("zoom", place.zoom, facts.zoom),
        ):
            _check_span(name, value, span)
        if place.pan is not None or place.tilt is not None:
            if None in (place.pan, place.tilt):
                place = _filled_up(place, self._control.position())
            self._sectors.check_place(place.pan, place.tilt)
        self._ask(
            "<tptz:AbsoluteMove>" + _PROFILE + "<tptz:Position>"
            f"{_vector(place, facts)}</tptz:Position></tptz:AbsoluteMove>"
        )
        return True

    def check_place(self, place: Place) -> None:
        """Raise `CommandError` ptz.forbidden for a place that must not be looked at."""
        self._sectors.check_place(place.pan, place.tilt)

    def turn(self, by: Place) -> bool:
        """Turn by so much from where it looks."""
        now = self._control.position()
        goal = Place(_sum(now.pan, by.pan), _sum(now.tilt, by.tilt), _sum(now.zoom, by.zoom))
        if self.facts().pan is not None and None not in (goal.pan, goal.tilt):
            return self.goto(goal)
        if by.pan or by.tilt:
            self._sectors.check_place(goal.pan, goal.tilt)
        if not self.facts().turns_by:
            raise CameraNotSupported("the camera cannot turn by a given angle")
        self._ask(
            "<tptz:RelativeMove>" + _PROFILE + "<tptz:Translation>"
            f"{_vector(by, HeadFacts())}</tptz:Translation></tptz:RelativeMove>"
        )
        return False

    def geo_move(
        self, lat_deg: float, lon_deg: float, height_m: float | None, area_m: float
    ) -> bool:
        """Let the camera itself look at a place on the map (GeoMove); it alone knows where.

        Without a height it goes by the ground that it knows: `elevation` may be left out.
        """
        height = "" if height_m is None else f' elevation="{height_m:.2f}"'
        self._ask(
            "<tptz:GeoMove>" + _PROFILE + '<tptz:Target lon="{lon}" lat="{lat}"' + height + "/>"
            "<tptz:AreaHeight>{area}</tptz:AreaHeight>"
            "<tptz:AreaWidth>{area}</tptz:AreaWidth></tptz:GeoMove>",
            lon=f"{lon_deg:.8f}",
            lat=f"{lat_deg:.8f}",
            area=f"{area_m:.1f}",
        )
        return False

    def presets(self) -> tuple[Preset, ...]:
        """List the kept places."""
        return presets_of(self._line, self._profile())

    def goto_preset(self, token: str) -> bool:
        """Go to a preset; one that isn't there is refused by us: many cameras just say yes."""
        place = self._preset(token).place
        is_known = place.pan is not None and place.tilt is not None
        if is_known:
            self._sectors.check_place(place.pan, place.tilt)
        self._ask(
            "<tptz:GotoPreset>" + _PROFILE + "<tptz:PresetToken>{token}</tptz:PresetToken>"
            "</tptz:GotoPreset>",
            token=token,
        )
        return is_known

    def set_preset(self, name: str, token: str = "") -> Preset:
        """Keep where it looks now, as a new preset or in place of `token`; read back."""
        which = "<tptz:PresetToken>{token}</tptz:PresetToken>" if token else ""
        answer = self._ask(
            f"<tptz:SetPreset>{_PROFILE}<tptz:PresetName>{{name}}</tptz:PresetName>{which}"
            "</tptz:SetPreset>",
            name=name,
            token=token,
        )
        return self._preset(text(answer, "PresetToken") or token)

    def remove_preset(self, token: str) -> None:
        """Forget a preset, and look whether it is gone."""
        self._preset(token)
        self._ask(
            "<tptz:RemovePreset>" + _PROFILE + "<tptz:PresetToken>{token}</tptz:PresetToken>"
            "</tptz:RemovePreset>",
            token=token,
        )
        if any(preset.token == token for preset in self.presets()):
            raise CameraBadResponse("the camera took the order and still has the preset")

    def goto_home(self) -> bool:
        """Go to the home position. A flag that denies it is not believed: it is tried."""
        self._ask("<tptz:GotoHomePosition>" + _PROFILE + "</tptz:GotoHomePosition>")
        return False

    def set_home(self) -> None:
        """Make where it looks now its home position."""
        self._ask("<tptz:SetHomePosition>" + _PROFILE + "</tptz:SetHomePosition>")

    def auxiliary(self, what: str, state: str) -> None:
        """Switch an auxiliary such as "Wiper" "On", by PTZ or, if it isn't listed there, Device."""
        told = f"tt:{what}|{state}"
        wanted = _plain(told)
        listed = next((a for a in self.facts().auxiliaries if _plain(a) == wanted), "")
        if listed:
            self._ask(
                "<tptz:SendAuxiliaryCommand>" + _PROFILE + "<tptz:AuxiliaryData>{told}"
                "</tptz:AuxiliaryData></tptz:SendAuxiliaryCommand>",
                told=listed,
            )
            return
        body = (
            "<tds:SendAuxiliaryCommand><tds:AuxiliaryCommand>{told}</tds:AuxiliaryCommand>"
            "</tds:SendAuxiliaryCommand>"
        )
        self._line.ask(Service.DEVICE, filled(body, told=told))

    def _preset(self, token: str) -> Preset:
        found = next((preset for preset in self.presets() if preset.token == token), None)
        if found is None:
            raise CommandError(
                "ptz.no_preset",
                f"The camera has no preset `{token}`.",
                hint="`poleside cameras ptz ADDRESS presets` lists them.",
            )
        return found

    def _ask(self, template: str, **values: object) -> etree._Element:
        return self._line.ask(Service.PTZ, filled(template, profile=self._profile(), **values))

    def _profile(self) -> str:
        if not self._token:
            self._token = ptz_profile(self._line)
        return self._token


def _head_facts(node: etree._Element) -> HeadFacts:
    spaces = child(node, "SupportedPTZSpaces")
    pan_tilt = child(spaces, "AbsolutePanTiltPositionSpace")
    zoom = child(spaces, "AbsoluteZoomPositionSpace")
    most = number_of(text(node, "MaximumNumberOfPresets"))
    return HeadFacts(
        space=text(pan_tilt, "URI"),
        zoom_space=text(zoom, "URI"),
        pan=_span(pan_tilt, "XRange"),
        tilt=_span(pan_tilt, "YRange"),
        zoom=_span(zoom, "XRange"),
        turns_by=child(spaces, "RelativePanTiltTranslationSpace") is not None,
        knows_the_map=is_true(attribute(node, "GeoMove")) is True,
        has_home=is_true(text(node, "HomeSupported")) is True,
        most_presets=int(most or 0),
        auxiliaries=tuple(text(e) for e in everywhere(node, "AuxiliaryCommands")),
    )


def _span(space: etree._Element | None, name: str) -> Span | None:
    low, high = number_of(text(space, f"{name}/Min")), number_of(text(space, f"{name}/Max"))
    return None if low is None or high is None or low >= high else Span(low, high)


def _check_span(name: str, value: float | None, span: Span | None) -> None:
    if value is None:
        return
    if span is None:
        raise CameraNotSupported(f"the camera has no absolute {name}")
    if not span.low <= value <= span.high:
        raise CommandError(
            "ptz.out_of_range",
            f"{name} {value:g} is not between {span.low:g} and {span.high:g}.",
            hint="Numbers are the camera's own: `poleside cameras ptz ADDRESS status` shows them.",
        )


def _filled_up(place: Place, now: PtzPosition) -> Place:
    """A missing axis is sent as it is now: ONVIF takes pan and tilt only together."""
    pan = now.pan if place.pan is None else place.pan
    tilt = now.tilt if place.tilt is None else place.tilt
    if pan is None or tilt is None:
        raise CameraNotSupported("the camera does not tell where it looks: give pan and tilt")
    return replace(place, pan=pan, tilt=tilt)


def _vector(place: Place, facts: HeadFacts) -> str:
    parts = []
    if place.pan is not None or place.tilt is not None:
        space = filled(' space="{uri}"', uri=facts.space) if facts.space else ""
        x, y = place.pan or 0.0, place.tilt or 0.0
        parts.append(f'<tt:PanTilt x="{x:.6g}" y="{y:.6g}"{space}/>')
    if place.zoom is not None:
        space = filled(' space="{uri}"', uri=facts.zoom_space) if facts.zoom_space else ""
        parts.append(f'<tt:Zoom x="{place.zoom:.6g}"{space}/>')
    return "".join(parts)


def _sum(now: float | None, by: float | None) -> float | None:
    return None if now is None else now + (by or 0.0)


def _plain(auxiliary: str) -> str:
    return "".join(c for c in auxiliary.lower().removeprefix("tt:") if c.isalnum())
