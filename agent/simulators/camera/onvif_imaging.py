"""The imaging service of a simulated camera: exposure, IR-cut, WDR, focus."""

from lxml import etree

from agent.simulators.camera.onvif_answers import IMAGING
from agent.simulators.camera.onvif_http import HttpRequest
from agent.simulators.camera.onvif_service import Camera, Operations, said


class ImagingService:
    """Keeps what was set; `focus` is the speed it is focused with just now."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self.values = {
            "Exposure/Mode": "AUTO",
            "Exposure/ExposureTime": "20000",
            "Exposure/Gain": "0",
            "Focus/AutoFocusMode": "AUTO",
            "IrCutFilter": "AUTO",
            "WideDynamicRange/Mode": "OFF",
        }
        self.focus = 0.0

    def operations(self) -> Operations:
        return {
            (IMAGING, "GetImagingSettings"): self._get,
            (IMAGING, "SetImagingSettings"): self._set,
            (IMAGING, "Move"): self._move,
            (IMAGING, "Stop"): self._stop,
        }

    async def _get(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        now = self.values
        return (
            "<timg:GetImagingSettingsResponse><timg:ImagingSettings>"
            f"<tt:Exposure><tt:Mode>{now['Exposure/Mode']}</tt:Mode>"
            f"<tt:ExposureTime>{now['Exposure/ExposureTime']}</tt:ExposureTime>"
            f"<tt:Gain>{now['Exposure/Gain']}</tt:Gain></tt:Exposure>"
            f"<tt:Focus><tt:AutoFocusMode>{now['Focus/AutoFocusMode']}</tt:AutoFocusMode>"
            f"</tt:Focus><tt:IrCutFilter>{now['IrCutFilter']}</tt:IrCutFilter>"
            f"<tt:WideDynamicRange><tt:Mode>{now['WideDynamicRange/Mode']}</tt:Mode>"
            "</tt:WideDynamicRange></timg:ImagingSettings></timg:GetImagingSettingsResponse>"
        )

    async def _set(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        settings = operation.find("{*}ImagingSettings")
        for path in self.values:
            found = settings.find("/".join(f"{{*}}{name}" for name in path.split("/")))
            if found is not None and not self._camera.faults.ignores_writes:
                self.values[path] = str(found.text)
        return "<timg:SetImagingSettingsResponse/>"

    async def _move(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        self.focus = float(said(operation, "Speed", "0"))
        return "<timg:MoveResponse/>"

    async def _stop(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        self.focus = 0.0
        return "<timg:StopResponse/>"
