"""A second backend of the camera port, for the contract: requests and ElementTree, no zeep.

What it shares with the first is no backend's: the door that counts refused logins, the repair of
addresses, and `line`. One connection a call, so no call ever waits for another.
"""

import base64
import hashlib
import secrets
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

import pytest
import requests
import urllib3
from requests.auth import HTTPDigestAuth

from agent.cameras.address import device_service_url, repair_service_url, repair_stream_url
from agent.cameras.bounded_http import MAX_BODY_BYTES
from agent.cameras.door import Door, stopping
from agent.cameras.line import OnvifLine, Service
from agent.cameras.port import (
    CameraBadResponse,
    CameraNotOnvif,
    CameraNotSupported,
    CameraUnreachable,
    CameraWrongPassword,
    DeviceFacts,
    Login,
    PtzPosition,
    StreamProfile,
)
from agent.cameras.xml_text import as_number
from agent.cameras.zeep_backend import ZeepCamera

_WSS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
_ENVELOPE = (
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:tt="http://www.onvif.org/ver10/schema"><s:Header>{header}</s:Header><s:Body>'
    '<{name} xmlns="{service}">{inner}</{name}></s:Body></s:Envelope>'
)
_TOKEN = (
    f'<w:Security xmlns:w="{_WSS}-wssecurity-secext-1.0.xsd"><w:UsernameToken><w:Username>{{user}}'
    f'</w:Username><w:Password Type="{_WSS}-username-token-profile-1.0#PasswordDigest">{{digest}}'
    f'</w:Password><w:Nonce>{{nonce}}</w:Nonce><u:Created xmlns:u="{_WSS}-wssecurity-utility-1.0'
    '.xsd">{created}</u:Created></w:UsernameToken></w:Security>'
)
_CAN_NOT = ("ActionNotSupported", "OptionalActionNotImplemented", "NoPTZProfile")
_CHUNK_BYTES = 65536


class PlainCamera:
    """One camera."""

    def __init__(self, device_url, login, clock, *, call_s=5.0, operation_s=15.0, tls=None):
        self._door = login if isinstance(login, Door) else Door(login, clock)
        self.line = OnvifLine(
            device_url, self._door, clock, call_s=call_s, operation_s=operation_s, tls=tls
        )
        self._url, self._clock, self._call_s = device_service_url(device_url), clock, call_s
        self._urls: dict[str, str] = {}
        self._has_spoken_soap = False

    def facts(self) -> DeviceFacts:
        self._urls = {}
        told = self._ask(Service.DEVICE, "GetDeviceInformation")
        names = ("Manufacturer", "Model", "FirmwareVersion", "SerialNumber")
        return DeviceFacts(*(_text(told, name) for name in names), self._movable() != "")

    def profiles(self) -> tuple[StreamProfile, ...]:
        return tuple(_profile(found) for found in self._listed())

    def stream_url(self, profile_token: str) -> str:
        inner = (
            "<StreamSetup><tt:Stream>RTP-Unicast</tt:Stream><tt:Transport><tt:Protocol>RTSP"
            "</tt:Protocol></tt:Transport></StreamSetup>"
            f"<ProfileToken>{escape(profile_token)}</ProfileToken>"
        )
        url = _text(self._ask(Service.MEDIA, "GetStreamUri", inner), "MediaUri/Uri")
        return repair_stream_url(url, self._url)

    def move(self, pan: float, tilt: float, zoom: float, timeout_s: float) -> None:
        self._turn(
            "ContinuousMove",
            f'<Velocity><tt:PanTilt x="{pan}" y="{tilt}"/><tt:Zoom x="{zoom}"/></Velocity>'
            f"<Timeout>PT{timeout_s:.3f}S</Timeout>",
        )

    def stop(self) -> None:
        with stopping():
            try:
                self._turn("Stop", "<PanTilt>true</PanTilt><Zoom>true</Zoom>")
            except (CameraNotSupported, CameraBadResponse):
                self.move(0.0, 0.0, 0.0, 1.0)

    def position(self) -> PtzPosition:
        told = self._turn("GetStatus").find("{*}PTZStatus")
        pan_tilt, zoom = (_find(told, f"Position/{axis}") for axis in ("PanTilt", "Zoom"))
        moves = {_text(told, f"MoveStatus/{axis}") for axis in ("PanTilt", "Zoom")} - {""}
        return PtzPosition(
            pan=_number(pan_tilt, "x"),
            tilt=_number(pan_tilt, "y"),
            zoom=_number(zoom, "x"),
            is_moving="MOVING" in moves if moves else None,
            space="" if pan_tilt is None else pan_tilt.get("space", ""),
        )

    def clock_ahead_s(self) -> float | None:
        asked = _envelope(Service.DEVICE, "GetSystemDateAndTime", "")
        told = _parsed(self._post(self._url, asked)).find(".//{*}UTCDateTime")
        if told is None:
            return None
        names = ("Date/Year", "Date/Month", "Date/Day", "Time/Hour", "Time/Minute", "Time/Second")
        try:
            at = datetime(*(int(_text(told, name)) for name in names), tzinfo=UTC)
        except (ValueError, OverflowError):
            return None
        return (at - self._clock.utc_now()) / timedelta(seconds=1)

    def change_login(self, login: Login) -> None:
        self._door.change(login)

    def close(self) -> None:
        self.line.close()

    def _listed(self) -> list[ET.Element]:
        return self._ask(Service.MEDIA, "GetProfiles").findall("{*}Profiles")

    def _movable(self) -> str:
        """Return the token of a profile with a head, empty when there is none."""
        if not self._where(Service.PTZ):
            return ""
        heads = (p for p in self._listed() if p.find("{*}PTZConfiguration") is not None)
        return next((profile.get("token", "") for profile in heads), "")

    def _turn(self, name: str, inner: str = "") -> ET.Element:
        profile = self._movable()
        if not profile:
            raise CameraNotSupported("the camera cannot be moved")
        token = f"<ProfileToken>{escape(profile)}</ProfileToken>"
        return self._ask(Service.PTZ, name, token + inner)

    def _where(self, service: Service) -> str:
        if not self._urls:
            inner = "<IncludeCapability>false</IncludeCapability>"
            told = self._ask(Service.DEVICE, "GetServices", inner)
            self._urls = {
                _text(found, "Namespace"): repair_service_url(_text(found, "XAddr"), self._url)
                for found in told.findall("{*}Service")
            }
        return self._urls.get(service, "")

    def _ask(self, service: Service, name: str, inner: str = "") -> ET.Element:
        url = self._url if service is Service.DEVICE else self._where(service)
        if not url:
            raise CameraNotSupported(f"the camera offers no {service.name}")
        self._door.check()
        reply = self._logged_in(url, service, name, inner)
        root = _parsed(reply)
        fault = root.find(".//{*}Fault")
        if fault is not None:
            words = "".join(fault.itertext())
            unable = any(code in words for code in _CAN_NOT)
            raise (CameraNotSupported if unable else CameraBadResponse)(words.strip()[:200])
        answer = root.find(f"{{*}}Body/{{*}}{name}Response")
        if answer is None:
            is_soap = self._has_spoken_soap or root.tag.endswith("}Envelope")
            raise (CameraBadResponse if is_soap else CameraNotOnvif)("this is no answer")
        self._has_spoken_soap = True
        return answer

    def _logged_in(self, url: str, service: Service, name: str, inner: str) -> "_Reply":
        """Ask openly, then the one way the refusal asks for; a second refusal shuts the door."""
        key = self._door.key
        reply = self._post(url, _envelope(service, name, inner))
        if not reply.wants_login:
            return reply
        if not key.login.username:
            raise CameraWrongPassword("the camera wants a user name and password")
        if "digest" in reply.challenge.lower():
            auth = HTTPDigestAuth(key.login.username, key.login.password)
            reply = self._post(url, _envelope(service, name, inner), auth)
        else:
            token = _token(key.login, self._clock.utc_now(), self.clock_ahead_s() or 0.0)
            reply = self._post(url, _envelope(service, name, inner, token))
        if reply.wants_login:
            refusal = CameraWrongPassword("the camera refuses user name or password")
            raise self._door.shut(key, refusal)
        self._door.opened(key)
        return reply

    def _post(self, url: str, body: str, auth: HTTPDigestAuth | None = None) -> "_Reply":
        end_s, chunks, size = self._clock.monotonic_s() + self._call_s, [], 0
        headers = {"Content-Type": "application/soap+xml; charset=utf-8"}
        try:
            with requests.Session() as session:
                session.trust_env = False
                with session.post(
                    *(url, body.encode()),
                    **{"headers": headers, "auth": auth, "stream": True},
                    **{"timeout": self._call_s, "allow_redirects": False},
                ) as response:
                    while chunk := response.raw.read1(_CHUNK_BYTES):
                        chunks.append(chunk)
                        size += len(chunk)
                        if size > MAX_BODY_BYTES:
                            raise CameraBadResponse("too long")
                        if self._clock.monotonic_s() > end_s:
                            raise CameraUnreachable("too slow")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise CameraUnreachable(f"no answer from {url}") from error
        challenge = response.headers.get("WWW-Authenticate", "")
        return _Reply(response.status_code, b"".join(chunks), challenge, self._has_spoken_soap)


class _Reply:
    def __init__(self, status: int, content: bytes, challenge: str, has_spoken: bool) -> None:
        self.content, self.challenge, self.has_spoken = content, challenge, has_spoken
        self.wants_login = status == 401 or b"NotAuthorized" in content


def _parsed(reply: _Reply) -> ET.Element:
    if b"<!DOCTYPE" in reply.content:
        raise CameraBadResponse("an answer carries no DTD")
    try:
        return ET.fromstring(reply.content)
    except (ET.ParseError, ValueError) as error:
        raise (CameraBadResponse if reply.has_spoken else CameraNotOnvif)("no XML") from error


def _envelope(service: Service, name: str, inner: str, header: str = "") -> str:
    return _ENVELOPE.format(service=service, name=name, inner=inner, header=header)


def _token(login: Login, now: datetime, ahead_s: float) -> str:
    nonce = secrets.token_bytes(16)
    created = (now + timedelta(seconds=ahead_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    digest = hashlib.sha1(nonce + created.encode() + login.password.encode()).digest()
    return _TOKEN.format(
        user=escape(login.username),
        digest=base64.b64encode(digest).decode(),
        nonce=base64.b64encode(nonce).decode(),
        created=created,
    )


def _find(element: ET.Element | None, path: str) -> ET.Element | None:
    names = "/".join(f"{{*}}{name}" for name in path.split("/"))
    return None if element is None else element.find(names)


def _text(element: ET.Element | None, path: str) -> str:
    found = _find(element, path)
    return "" if found is None else (found.text or "").strip()


def _number(element: ET.Element | None, name: str) -> float | None:
    return None if element is None else as_number(element.get(name, ""))


def _count(element: ET.Element | None, path: str) -> float:
    return max(0.0, as_number(_text(element, path)) or 0.0)


def _profile(found: ET.Element) -> StreamProfile:
    encoder = found.find("{*}VideoEncoderConfiguration")
    return StreamProfile(
        token=found.get("token", ""),
        name=_text(found, "Name"),
        encoding=_text(encoder, "Encoding").upper(),
        width_px=int(_count(encoder, "Resolution/Width")),
        height_px=int(_count(encoder, "Resolution/Height")),
        fps=_count(encoder, "RateControl/FrameRateLimit"),
        gop=int(_count(encoder, "H264/GovLength")),
    )


BACKENDS = (pytest.param(ZeepCamera, id="zeep"), pytest.param(PlainCamera, id="plain"))
