"""What a simulated camera answers about its PTZ head."""

from collections.abc import Iterable
from datetime import datetime

from agent.simulators.camera.onvif_answers import filled, stamp

_SPACES = "http://www.onvif.org/ver10/tptz"
_PAN_TILT = f"{_SPACES}/PanTiltSpaces"
_ZOOM = f"{_SPACES}/ZoomSpaces"
_DEGREES = f"{_PAN_TILT}/SphericalPositionSpaceDegrees"
AUXILIARIES = ("tt:Wiper|On", "tt:Wiper|Off", "tt:IRLamp|On", "tt:IRLamp|Off", "tt:IRLamp|Auto")
Angles = tuple[float, float, float]


def nodes(
    *,
    has_width: bool,
    in_degrees: bool,
    only_continuous: bool,
    has_home: bool,
    knows_the_map: bool = False,
    highest_tilt: float = 1.0,
) -> str:
    """Return the one node of the head, with its spaces."""
    one = (-1.0, 1.0)
    x, y = ((0.0, 360.0), (-90.0, 90.0)) if in_degrees else (one, (-1.0, highest_tilt))
    position = _DEGREES if in_degrees else f"{_PAN_TILT}/PositionGenericSpace"
    spaces = [
        ("ContinuousPanTiltVelocitySpace", f"{_PAN_TILT}/VelocityGenericSpace", one, one),
        ("ContinuousZoomVelocitySpace", f"{_ZOOM}/VelocityGenericSpace", one, None),
    ]
    if not only_continuous:
        turn = f"{_PAN_TILT}/TranslationGenericSpace"
        spaces[:0] = [
            ("AbsolutePanTiltPositionSpace", position, x, y),
            ("AbsoluteZoomPositionSpace", f"{_ZOOM}/PositionGenericSpace", (0.0, 1.0), None),
            ("RelativePanTiltTranslationSpace", turn, one, one),
            ("RelativeZoomTranslationSpace", f"{_ZOOM}/TranslationGenericSpace", one, None),
        ]
    inner = "".join(
        f"<tt:{name}><tt:URI>{uri}</tt:URI>"
        + _range("X", first, has_width=has_width)
        + ("" if second is None else _range("Y", second, has_width=has_width))
        + f"</tt:{name}>"
        for name, uri, first, second in spaces
    )
    auxiliaries = "".join(
        f"<tt:AuxiliaryCommands>{name}</tt:AuxiliaryCommands>" for name in AUXILIARIES
    )
    return (
        '<tptz:GetNodesResponse><tptz:PTZNode token="ptz-node"'
        + (' GeoMove="true"' if knows_the_map else "")
        + "><tt:Name>ptz</tt:Name>"
        f"<tt:SupportedPTZSpaces>{inner}</tt:SupportedPTZSpaces>"
        "<tt:MaximumNumberOfPresets>300</tt:MaximumNumberOfPresets>"
        f"<tt:HomeSupported>{str(has_home).lower()}</tt:HomeSupported>{auxiliaries}"
        "</tptz:PTZNode></tptz:GetNodesResponse>"
    )


def presets(kept: Iterable[tuple[str, str, Angles | None]], *, in_degrees: bool) -> str:
    """Return presets (token, name, and where it is when the camera tells)."""
    inner = "".join(
        filled('<tptz:Preset token="{token}"><tt:Name>{name}</tt:Name>', token=token, name=name)
        + ("" if at is None else f"<tt:PTZPosition>{_vector(at, in_degrees)}</tt:PTZPosition>")
        + "</tptz:Preset>"
        for token, name, at in kept
    )
    return f"<tptz:GetPresetsResponse>{inner}</tptz:GetPresetsResponse>"


def status(position: Angles | None, moving: str | None, now: datetime, *, in_degrees: bool) -> str:
    """Return a status; a camera may leave position or movement out."""
    parts = []
    if position is not None:
        parts.append(f"<tt:Position>{_vector(position, in_degrees)}</tt:Position>")
    if moving is not None:
        parts.append(
            f"<tt:MoveStatus><tt:PanTilt>{moving}</tt:PanTilt><tt:Zoom>{moving}</tt:Zoom>"
            "</tt:MoveStatus>"
        )
    return (
        f"<tptz:GetStatusResponse><tptz:PTZStatus>{''.join(parts)}"
        f"<tt:UtcTime>{stamp(now)}</tt:UtcTime></tptz:PTZStatus></tptz:GetStatusResponse>"
    )


def _vector(at: Angles, in_degrees: bool) -> str:
    space = _DEGREES if in_degrees else f"{_PAN_TILT}/PositionGenericSpace"
    return (
        f'<tt:PanTilt x="{at[0]:.5f}" y="{at[1]:.5f}" space="{space}"/>'
        f'<tt:Zoom x="{at[2]:.5f}" space="{_ZOOM}/PositionGenericSpace"/>'
    )


def _range(axis: str, span: tuple[float, float], *, has_width: bool) -> str:
    low = span[0] if has_width else span[1]
    return f"<tt:{axis}Range><tt:Min>{low:g}</tt:Min><tt:Max>{span[1]:g}</tt:Max></tt:{axis}Range>"
