"""Looking after a camera: clock, password, reboot, identity, and what changed in its settings.

Each change is proven before it counts: a clock is read again, a password is used before the old
one is forgotten. Blocking; called in threads of the core or by the command line.
"""

import hashlib
import secrets
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from msgspec import Struct

from agent.cameras.identity import Identity, epr_of
from agent.cameras.line import OnvifLine, Service
from agent.cameras.port import (
    CameraBadResponse,
    CameraClockSkew,
    CameraFailure,
    CameraNotSupported,
    CameraUnreachable,
    CameraWrongPassword,
    Login,
)
from agent.cameras.soap import ClockReading
from agent.cameras.tls import fingerprint_of
from agent.cameras.xml_text import child, children, filled, is_true, text
from agent.core.clock import Clock
from agent.core.shown import plain_mac

CLOCK_OFF_S = 2.0
_PASSWORD_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"  # noqa: S105
_PASSWORD_LENGTH = 20
_LEVELS = ("Administrator", "Operator", "User")


class Drift(Struct, frozen=True):
    """One setting that is no longer as it was."""

    path: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class ClockSet:
    """A clock before and after it was set, seconds ahead of ours; None: not told."""

    before: ClockReading
    after: ClockReading


def identity(line: OnvifLine) -> Identity:
    """Return who the camera is, by all it tells with a login."""
    info = line.ask(Service.DEVICE, "<tds:GetDeviceInformation/>")
    url = urlsplit(line.link.device_url)
    fingerprint = ""
    if url.scheme == "https" and url.hostname and not line.link.tls.is_vouched:
        fingerprint = fingerprint_of(url.hostname, url.port or 443)
    return Identity(
        epr=_endpoint(line),
        macs=_macs(line),
        serial=text(info, "SerialNumber"),
        maker=text(info, "Manufacturer"),
        model=text(info, "Model"),
        fingerprint=fingerprint,
    )


def set_clock(line: OnvifLine, clock: Clock) -> ClockSet:
    """Set the camera's clock to ours, its time zone kept, and look what became of it.

    A camera that follows NTP keeps to it: then its NTP server must be put right instead.
    """
    before = line.link.measure_clock()
    told = child(line.ask(Service.DEVICE, "<tds:GetSystemDateAndTime/>"), "SystemDateAndTime")
    if text(told, "DateTimeType").upper() == "NTP":
        raise CameraNotSupported(
            "the camera takes its time from NTP",
            hint="Give the camera an NTP server it reaches, such as this box.",
        )
    now = clock.utc_now()
    zone = text(told, "TimeZone/TZ")
    zone_part = filled("<tds:TimeZone><tt:TZ>{zone}</tt:TZ></tds:TimeZone>", zone=zone)
    body = filled(
        "<tds:SetSystemDateAndTime><tds:DateTimeType>Manual</tds:DateTimeType>"
        "<tds:DaylightSavings>{saving}</tds:DaylightSavings>{{zone}}<tds:UTCDateTime>"
        "<tt:Time><tt:Hour>{h}</tt:Hour><tt:Minute>{m}</tt:Minute><tt:Second>{s}</tt:Second>"
        "</tt:Time><tt:Date><tt:Year>{year}</tt:Year><tt:Month>{month}</tt:Month>"
        "<tt:Day>{day}</tt:Day></tt:Date></tds:UTCDateTime></tds:SetSystemDateAndTime>",
        saving=str(bool(is_true(text(told, "DaylightSavings")))).lower(),
        h=now.hour,
        m=now.minute,
        s=now.second,
        year=now.year,
        month=now.month,
        day=now.day,
    ).replace("{zone}", zone_part if zone else "")
    line.ask(Service.DEVICE, body)
    return ClockSet(before, line.link.measure_clock())


def prove(line: OnvifLine) -> None:
    """Ask something that needs a login. Raises `CameraFailure` when it is refused."""
    line.ask(Service.DEVICE, "<tds:GetDeviceInformation/>")


def new_password() -> str:
    """Return a password that no other camera has; letters only that every firmware takes."""
    while True:
        made = "".join(secrets.choice(_PASSWORD_LETTERS) for _ in range(_PASSWORD_LENGTH))
        if any(c.isdigit() for c in made) and made.lower() != made and made.upper() != made:
            return made


def change_password(line: OnvifLine, login: Login, password: str, clock: Clock) -> None:
    """Set another password for `login`'s user and prove it; `line` then uses the new one.

    When the camera does not take the new one it is set back through the login that still works.
    Raises `CameraBadResponse` when it had to be; the old one works then.
    """
    new = Login(login.username, password)
    level = _level_of(line, login.username)
    trial = OnvifLine(line.link.device_url, new, clock, tls=line.tls)
    try:
        with suppress(CameraUnreachable, CameraWrongPassword, CameraClockSkew):
            _set_user(line, new, level)  # a lost answer is no refusal: the proof decides
        try:
            prove(trial)
        except CameraWrongPassword as error:
            _prove_old_or_set_back(line, trial, login, level)
            raise CameraBadResponse(
                "the camera did not take the new password; the old one works",
                hint="Set a password on the camera's own page; it may have rules of its own.",
            ) from error
    finally:
        trial.close()
    line.link.change_login(new)


def reboot(line: OnvifLine) -> None:
    """Have the camera start anew; it is away for a minute or so."""
    line.ask(Service.DEVICE, "<tds:SystemReboot/>")


def drift(was: dict[str, str], now: dict[str, str]) -> tuple[Drift, ...]:
    """Return what differs between two pictures."""
    return tuple(
        Drift(path, was.get(path, ""), now.get(path, ""))
        for path in sorted(was.keys() | now.keys())
        if was.get(path, "") != now.get(path, "")
    )


def picture_hash(picture: dict[str, str]) -> str:
    """Return a short hash of a picture, to compare and to report."""
    lines = "\n".join(f"{path}={value}" for path, value in sorted(picture.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def _endpoint(line: OnvifLine) -> str:
    try:
        answer = line.ask(Service.DEVICE, "<tds:GetEndpointReference/>")
    except (CameraNotSupported, CameraBadResponse):
        return ""
    return epr_of(text(answer, "GUID"))


def _macs(line: OnvifLine) -> tuple[str, ...]:
    try:
        answer = line.ask(Service.DEVICE, "<tds:GetNetworkInterfaces/>")
    except (CameraNotSupported, CameraBadResponse):
        return ()
    found = (
        plain_mac(text(card, "Info/HwAddress"))
        for card in children(answer, "NetworkInterfaces")
        if is_true(text(card, "Enabled")) is not False
    )
    return tuple(sorted(mac for mac in found if mac))


def _level_of(line: OnvifLine, username: str) -> str:
    answer = line.ask(Service.DEVICE, "<tds:GetUsers/>")
    for user in children(answer, "User"):
        level = text(user, "UserLevel")
        if text(user, "Username") == username and level in _LEVELS:
            return level
    raise CameraNotSupported(f"the camera does not list the user {username}")


def _set_user(line: OnvifLine, login: Login, level: str) -> None:
    template = (
        "<tds:SetUser><tds:User><tt:Username>{name}</tt:Username>"
        "<tt:Password>{password}</tt:Password><tt:UserLevel>{level}</tt:UserLevel>"
        "</tds:User></tds:SetUser>"
    )
    body = filled(template, name=login.username, password=login.password, level=level)
    line.ask(Service.DEVICE, body)


def _prove_old_or_set_back(line: OnvifLine, trial: OnvifLine, login: Login, level: str) -> None:
    line.link.change_login(login)  # a refused change shut the door: it is the camera that is asked
    try:
        prove(line)
    except CameraFailure:
        _set_user(trial, login, level)  # it half took it: the last way in
        line.link.change_login(login)
        prove(line)
