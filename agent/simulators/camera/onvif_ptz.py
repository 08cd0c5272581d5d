"""The PTZ service of a simulated camera: a motor, and presets to go to."""

from lxml import etree

from agent.simulators.camera import onvif_answers as answers
from agent.simulators.camera.onvif_answers import PTZ
from agent.simulators.camera.onvif_http import HttpRequest
from agent.simulators.camera.onvif_service import (
    Camera,
    Operations,
    SoapRefusal,
    said,
    seconds,
)
from agent.simulators.camera.ptz_motor import PtzMotor

_NAMES = ("GetNodes", "GetConfigurations", "ContinuousMove", "Stop", "GetStatus", "GetPresets")


class PtzService:
    """Answers PTZ."""

    def __init__(self, camera: Camera, motor: PtzMotor) -> None:
        self._camera, self._motor = camera, motor

    def operations(self) -> Operations:
        return {(PTZ, name): self._answer for name in _NAMES}

    async def _answer(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        match etree.QName(operation).localname:
            case "GetNodes":
                return answers.ptz_nodes(has_width=not self._camera.faults.min_is_max)
            case "GetConfigurations":
                configuration = answers.ptz_configuration("tptz:PTZConfiguration")
                return (
                    "<tptz:GetConfigurationsResponse>"
                    f"{configuration}</tptz:GetConfigurationsResponse>"
                )
            case "GetPresets":
                return answers.ptz_presets(self._camera.faults.presets)
            case "ContinuousMove":
                self._move(operation)
                return "<tptz:ContinuousMoveResponse/>"
            case "Stop":
                if self._camera.faults.knows_no_stop:
                    raise SoapRefusal("ActionNotSupported", "no Stop here", "Receiver")
                self._motor.stop()
                return "<tptz:StopResponse/>"
            case _:
                return self._status()

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

    def _status(self) -> str:
        if self._camera.faults.tells_no_position:
            return answers.ptz_status(None, None, self._camera.now())
        at = self._motor.position()
        moving = "MOVING" if self._motor.is_moving else "IDLE"
        return answers.ptz_status((at.pan, at.tilt, at.zoom), moving, self._camera.now())
