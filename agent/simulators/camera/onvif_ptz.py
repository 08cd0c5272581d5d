"""The PTZ service of a simulated camera: motor, presets, home, wiper and IR lamp."""

from lxml import etree

from agent.pointing.geodesy import Place
from agent.simulators.camera import onvif_answers, onvif_ptz_answers
from agent.simulators.camera.onvif_answers import PTZ
from agent.simulators.camera.onvif_http import HttpRequest
from agent.simulators.camera.onvif_ptz_answers import Angles
from agent.simulators.camera.onvif_service import Camera, Operations, SoapRefusal, said, seconds
from agent.simulators.camera.ptz_geo import aimed
from agent.simulators.camera.ptz_motor import MotorPosition, PtzMotor


class PtzService:
    """Answers PTZ. Presets are where they were kept; the given ones are all straight ahead."""

    def __init__(self, camera: Camera, motor: PtzMotor) -> None:
        self._camera, self._motor = camera, motor
        self._kept: dict[str, tuple[str, MotorPosition]] = {}
        self._removed: set[str] = set()
        self.home = MotorPosition()
        self.auxiliaries: list[str] = []

    def operations(self) -> Operations:
        moves = {
            "ContinuousMove": self._move,
            "AbsoluteMove": self._absolute,
            "RelativeMove": self._relative,
            "Stop": self._stop,
            "GotoPreset": self._goto_preset,
            "SetPreset": self._set_preset,
            "RemovePreset": self._remove_preset,
            "GotoHomePosition": self._goto_home,
            "SetHomePosition": self._set_home,
            "SendAuxiliaryCommand": self._auxiliary,
            "GeoMove": self._geo_move,
        }
        asked = {
            "GetNodes": self._nodes,
            "GetConfigurations": self._configurations,
            "GetStatus": self._status,
            "GetPresets": self._presets,
        }

        async def act(operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG001
            name = etree.QName(operation).localname
            inner = moves[name](operation)
            return f"<tptz:{name}Response>{inner or ''}</tptz:{name}Response>"

        async def tell(operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG001
            return asked[etree.QName(operation).localname]()

        return {(PTZ, name): act for name in moves} | {(PTZ, name): tell for name in asked}

    def _nodes(self) -> str:
        faults = self._camera.faults
        return onvif_ptz_answers.nodes(
            has_width=not faults.min_is_max,
            in_degrees=faults.in_degrees,
            only_continuous=faults.only_continuous,
            has_home=not faults.has_no_home,
            knows_the_map=self._camera.config.place is not None,
            highest_tilt=faults.highest_tilt,
        )

    def _configurations(self) -> str:
        configuration = onvif_answers.ptz_configuration("tptz:PTZConfiguration")
        return f"<tptz:GetConfigurationsResponse>{configuration}</tptz:GetConfigurationsResponse>"

    def _move(self, operation: etree._Element) -> None:
        pan_tilt = operation.find(".//{*}Velocity/{*}PanTilt")
        zoom = operation.find(".//{*}Velocity/{*}Zoom")
        timeout_s = seconds(said(operation, "Timeout", "PT10S"))
        self._motor.move(
            None if pan_tilt is None else float(pan_tilt.get("x")),
            None if pan_tilt is None else float(pan_tilt.get("y")),
            None if zoom is None else float(zoom.get("x")),
            None if self._camera.faults.ignores_move_timeout else timeout_s,
        )

    def _stop(self, _: etree._Element) -> None:
        if self._camera.faults.knows_no_stop:
            raise SoapRefusal("ActionNotSupported", "no Stop here", "Receiver")
        self._motor.stop()

    def _absolute(self, operation: etree._Element) -> None:
        self._check_absolute()
        told, now = _vector(operation, "Position"), self._told(self._motor.position())
        self._motor.goto(
            self._meant(tuple(n if t is None else t for t, n in zip(told, now, strict=True)))
        )

    def _relative(self, operation: etree._Element) -> None:
        self._check_absolute()
        told, now = _vector(operation, "Translation"), self._told(self._motor.position())
        goal = (n + (t or 0.0) for t, n in zip(told, now, strict=True))
        self._motor.goto(self._meant(tuple(goal)))

    def _geo_move(self, operation: etree._Element) -> None:
        place, target = self._camera.config.place, operation.find("{*}Target")
        if place is None or target is None:
            raise SoapRefusal("ActionNotSupported", "this head knows no map", "Receiver")
        ground_m = str(place.height_m - place.above_ground_m)
        lat, lon = (float(target.get(name, "0")) for name in ("lat", "lon"))
        where = Place(lat, lon, float(target.get("elevation", ground_m)))
        self._motor.goto(aimed(place, where, float(said(operation, "AreaWidth", "20"))))

    def _check_absolute(self) -> None:
        if self._camera.faults.only_continuous:
            raise SoapRefusal("ActionNotSupported", "this head knows no places", "Receiver")

    def _all_presets(self) -> dict[str, tuple[str, MotorPosition]]:
        given = {
            str(n): (f"Preset {n}", MotorPosition())
            for n in range(1, self._camera.faults.presets + 1)
        }
        return {t: kept for t, kept in (given | self._kept).items() if t not in self._removed}

    def _presets(self) -> str:
        hides = self._camera.faults.tells_no_position or self._camera.faults.omits_optional
        listed = (
            (token, name, None if hides else self._told(at))
            for token, (name, at) in self._all_presets().items()
        )
        return onvif_ptz_answers.presets(listed, in_degrees=self._camera.faults.in_degrees)

    def _goto_preset(self, operation: etree._Element) -> None:
        _, at = self._all_presets().get(said(operation, "PresetToken"), ("", None))
        if at is not None:  # an unknown one "succeeds", as with some real cameras
            self._motor.goto(at)

    def _set_preset(self, operation: etree._Element) -> str:
        token = said(operation, "PresetToken") or str(len(self._all_presets()) + 1)
        if not self._camera.faults.ignores_writes:
            self._removed.discard(token)
            self._kept[token] = (said(operation, "PresetName"), self._motor.position())
        return f"<tptz:PresetToken>{token}</tptz:PresetToken>"

    def _remove_preset(self, operation: etree._Element) -> None:
        if not self._camera.faults.ignores_writes:
            self._removed.add(said(operation, "PresetToken"))

    def _goto_home(self, _: etree._Element) -> None:
        self._check_home()
        self._motor.goto(self.home)

    def _set_home(self, _: etree._Element) -> None:
        self._check_home()
        self.home = self._motor.position()

    def _check_home(self) -> None:
        if self._camera.faults.has_no_home:
            raise SoapRefusal("ActionNotSupported", "no home here", "Receiver")

    def _auxiliary(self, operation: etree._Element) -> str:
        told = said(operation, "AuxiliaryData")
        if told not in onvif_ptz_answers.AUXILIARIES:
            raise SoapRefusal("ActionNotSupported", "no such auxiliary", "Receiver")
        self.auxiliaries.append(told)
        return f"<tptz:AuxiliaryResponse>{told}</tptz:AuxiliaryResponse>"

    def _status(self) -> str:
        degrees = self._camera.faults.in_degrees
        if self._camera.faults.tells_no_position:
            return onvif_ptz_answers.status(None, None, self._camera.now(), in_degrees=degrees)
        at = self._told(self._motor.position())
        moving = "MOVING" if self._motor.is_moving else "IDLE"
        return onvif_ptz_answers.status(at, moving, self._camera.now(), in_degrees=degrees)

    def _told(self, at: MotorPosition) -> Angles:
        """Write a position in the space the camera shows."""
        if self._camera.faults.in_degrees:
            return (at.pan + 1) * 180, at.tilt * 90, at.zoom
        return at.pan, at.tilt, at.zoom

    def _meant(self, told: tuple[float, ...]) -> MotorPosition:
        pan, tilt, zoom = told
        if self._camera.faults.in_degrees:
            pan, tilt = pan / 180 - 1, tilt / 90
        if not (-1 <= pan <= 1 and -1 <= tilt <= 1 and 0 <= zoom <= 1):
            raise SoapRefusal("InvalidPosition", "out of range")
        return MotorPosition(pan, tilt, zoom)


def _vector(operation: etree._Element, name: str) -> tuple[float | None, ...]:
    pan_tilt = operation.find(f".//{{*}}{name}/{{*}}PanTilt")
    zoom = operation.find(f".//{{*}}{name}/{{*}}Zoom")
    return (
        None if pan_tilt is None else float(pan_tilt.get("x")),
        None if pan_tilt is None else float(pan_tilt.get("y")),
        None if zoom is None else float(zoom.get("x")),
    )
