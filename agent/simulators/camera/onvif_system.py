"""The Device service of a simulated camera: who it is, its clock, users, network and relays."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lxml import etree

from agent.simulators.camera import onvif_answers as answers
from agent.simulators.camera.onvif_answers import DEVICE, DEVICE_IO
from agent.simulators.camera.onvif_http import HttpRequest
from agent.simulators.camera.onvif_login import LoginCheck
from agent.simulators.camera.onvif_service import Camera, Operations, SoapRefusal, said

RELAYS = ("relay-1", "relay-2")
INPUTS = ("input-1", "input-2")


@dataclass(slots=True)
class RelayBoard:
    """The outputs and inputs. `switched` counts, for tests."""

    active: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(RELAYS, False))
    switched: list[tuple[str, bool]] = field(default_factory=list)

    def switch(self, token: str, *, active: bool) -> None:
        self.active[token] = active
        self.switched.append((token, active))


class SystemService:
    """Answers Device and DeviceIO."""

    def __init__(
        self,
        camera: Camera,
        login: LoginCheck,
        urls: Callable[[], dict[str, str]],
        epr: Callable[[], str],
        on_reboot: Callable[[], None],
        on_relay: Callable[[str, bool], None],
    ) -> None:
        self._camera, self._login, self._urls, self._epr = camera, login, urls, epr
        self._on_reboot, self._on_relay = on_reboot, on_relay
        self.board = RelayBoard()
        self.clock_type, self.zone = "Manual", "KST-9"

    def operations(self) -> Operations:
        table: Operations = {(DEVICE, name): self._answer_who for name in _WHO}
        table |= {
            (DEVICE, "GetSystemDateAndTime"): self._tell_clock,
            (DEVICE, "SetSystemDateAndTime"): self._set_clock,
            (DEVICE, "GetUsers"): self._list_users,
            (DEVICE, "SetUser"): self._set_user,
            (DEVICE, "SystemReboot"): self._reboot,
            (DEVICE, "GetRelayOutputs"): self._list_relays,
            (DEVICE, "SetRelayOutputState"): self._switch_relay,
            (DEVICE_IO, "GetDigitalInputs"): self._list_inputs,
        }
        return table

    async def _answer_who(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        config, name = self._camera.config, etree.QName(operation).localname
        if name in ("GetCapabilities", "GetServices"):
            urls = self._urls()
            is_old = name == "GetCapabilities"
            return answers.capabilities(urls) if is_old else answers.services(urls)
        who = {
            "GetDeviceInformation": answers.device_information(
                config.maker, config.name, config.serial
            ),
            "GetNetworkInterfaces": answers.network_interfaces(config.mac),
            "GetEndpointReference": answers.endpoint(self._epr().removeprefix("urn:uuid:")),
            "GetHostname": answers.hostname("camera"),
            "GetNTP": answers.ntp(),
            "GetScopes": answers.scopes(config.name, config.mac),
        }
        return who[name]

    async def _tell_clock(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        return answers.date_and_time(self._camera.now(), self.clock_type, self.zone)

    async def _set_clock(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        names = ("Year", "Month", "Day", "Hour", "Minute", "Second")
        try:
            told = datetime(*(int(said(operation, name)) for name in names), tzinfo=UTC)  # type: ignore[arg-type, misc]
        except ValueError as error:
            raise SoapRefusal("InvalidDateTime", "this is no time") from error
        if not self._camera.faults.ignores_writes:
            offset = told - self._camera.clock.utc_now().astimezone(UTC)
            self._camera.faults.clock_offset_s = offset / timedelta(seconds=1)
        return "<tds:SetSystemDateAndTimeResponse/>"

    async def _list_users(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        return answers.users(self._login.username)

    async def _set_user(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        name, password = said(operation, "Username"), said(operation, "Password")
        if name != self._login.username:
            raise SoapRefusal("UsernameMissing", "no such user")
        if not (self._camera.faults.ignores_writes or self._camera.faults.half_takes_password):
            self._login.password = password
        return "<tds:SetUserResponse/>"

    async def _reboot(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        self._on_reboot()
        return (
            "<tds:SystemRebootResponse><tds:Message>soon</tds:Message></tds:SystemRebootResponse>"
        )

    async def _list_relays(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        self._check_way(request)
        return answers.relays(RELAYS)

    async def _switch_relay(self, operation: etree._Element, request: HttpRequest) -> str:
        self._check_way(request)
        token = said(operation, "RelayOutputToken")
        if token not in RELAYS:
            raise SoapRefusal("RelayToken", "no such relay")
        active = said(operation, "LogicalState") == "active"
        if not self._camera.faults.ignores_writes:
            self.board.switch(token, active=active)
            self._on_relay(token, active)
        return "<tds:SetRelayOutputStateResponse/>"

    async def _list_inputs(self, operation: etree._Element, request: HttpRequest) -> str:  # noqa: ARG002
        return answers.digital_inputs(INPUTS)

    def _check_way(self, request: HttpRequest) -> None:
        only = self._camera.faults.relays_only_by
        is_device_io = "deviceio" in request.path
        if only and is_device_io != (only == "device-io"):
            raise SoapRefusal("ActionNotSupported", "relays are elsewhere", "Receiver")


_WHO = (
    "GetDeviceInformation",
    "GetCapabilities",
    "GetServices",
    "GetScopes",
    "GetNetworkInterfaces",
    "GetEndpointReference",
    "GetHostname",
    "GetNTP",
)
