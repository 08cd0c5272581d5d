"""Profiles, stream and snapshot addresses, encoder settings: Media 2 first (H.265), else Media 1.

Built by hand: zeep has no description of Media 2, and a profile list is read faster this way. What
is written is read back, because cameras take settings and do not apply them. Threads of the core.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree

from agent.cameras.address import repair_service_url, repair_stream_url
from agent.cameras.line import OnvifLine, Service
from agent.cameras.port import (
    CameraBadResponse,
    CameraFailure,
    CameraNotSupported,
    StreamProfile,
)
from agent.cameras.streams import LONG_GOP_S, choose, gop_s
from agent.cameras.xml_text import (
    as_number,
    attribute,
    child,
    children,
    everywhere,
    filled,
    number,
    text,
)

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")  # JPEG, PNG
_SMART_WORDS = ("h264+", "h265+", "smart", "zipstream", "wisestream", "u-code")


@dataclass(frozen=True, slots=True)
class Profile:
    """A stream profile with what else hangs on it. Empty text: the camera has none or says none."""

    stream: StreamProfile
    encoder_token: str = ""
    source_token: str = ""
    source_configuration: str = ""  # what texts and masks belong to
    ptz_token: str = ""
    has_zoom: bool = False
    has_audio: bool = False
    is_smart: bool = False  # the encoder leaves out what it thinks is dull (H.264+, H.265+)


@dataclass(frozen=True, slots=True)
class EncoderWish:
    """What to change of an encoder; None leaves a value as it is. `kbps` is kbit/s."""

    encoding: str | None = None
    width_px: int | None = None
    height_px: int | None = None
    fps: float | None = None
    kbps: int | None = None
    gop: int | None = None


@dataclass(frozen=True, slots=True)
class AskedGot:
    """One value that was written, and what the camera has afterwards."""

    name: str
    asked: str
    got: str

    @property
    def is_same(self) -> bool:
        """Whether the camera did it."""
        return self.asked == self.got


def profiles(line: OnvifLine) -> tuple[Profile, ...]:
    """List the camera's profiles; their order means nothing."""
    if line.has(Service.MEDIA2):
        try:
            question = "<tr2:GetProfiles><tr2:Type>All</tr2:Type></tr2:GetProfiles>"
            found = _read_profiles(line.ask(Service.MEDIA2, question), _media2_profile)
        except (CameraNotSupported, CameraBadResponse):
            found = ()  # a flag, not a service: many list Media 2 and cannot
        if found or not line.has(Service.MEDIA):
            return found
    answer = line.ask(Service.MEDIA, "<trt:GetProfiles/>")
    return _read_profiles(answer, _media1_profile)


def stream_url(line: OnvifLine, token: str) -> str:
    """Return a profile's RTSP-over-TCP address, reachable from here, without a login in it."""
    return repair_stream_url(_stream_uri(line, token), line.link.device_url)


def source_configuration(line: OnvifLine) -> str:
    """Return the token that texts and masks belong to. Raises `CameraNotSupported`."""
    found = next((p.source_configuration for p in profiles(line) if p.source_configuration), "")
    if not found:
        raise CameraNotSupported("the camera names no video source")
    return found


def snapshot(line: OnvifLine, token: str) -> bytes:
    """Fetch a still picture of a profile; what is no JPEG or PNG is a `CameraBadResponse`."""
    url = ""
    for service, prefix in _media_services(line):
        template = (
            "<{p}:GetSnapshotUri><{p}:ProfileToken>{token}</{p}:ProfileToken></{p}:GetSnapshotUri>"
        )
        try:
            answer = line.ask(service, filled(template, p=prefix, token=token))
        except (CameraNotSupported, CameraBadResponse):
            continue
        url = _first_uri(answer)
        if url:
            break
    if not url.lower().startswith(("http://", "https://")):
        raise CameraNotSupported("the camera gives no address for a snapshot")
    answer = line.link.fetch(repair_service_url(url, line.link.device_url))
    if answer.status_code != 200 or not answer.content.startswith(_MAGIC):
        raise CameraBadResponse(f"HTTP {answer.status_code}, and what came is no picture")
    return answer.content


def set_encoder(line: OnvifLine, profile: Profile, wish: EncoderWish) -> tuple[AskedGot, ...]:
    """Change a profile's encoder, read it back, and return what was asked and what it is now."""
    if not profile.encoder_token:
        raise CameraNotSupported("this profile has no encoder to set")
    service, prefix = _media_services(line)[0]
    before = _encoder(line, service, prefix, profile.encoder_token)
    wanted = _places(wish, service)
    for name, path, value in wanted:
        _write(before, name, path, value)
    line.ask(service, _set_body(service, prefix, before))
    after = _encoder(line, service, prefix, profile.encoder_token)
    return tuple(AskedGot(name, value, _value(after, path)) for name, path, value in wanted)


def set_stream(line: OnvifLine, role: str, wish: EncoderWish) -> tuple[AskedGot, ...]:
    """Change the encoder of the stream that is our "main" or "sub", as `set_encoder`."""
    found = profiles(line)
    main, sub = choose(tuple(profile.stream for profile in found))
    wanted = main if role == "main" else sub
    profile = next((p for p in found if wanted is not None and p.stream == wanted), None)
    if profile is None:
        raise CameraNotSupported(f"the camera has no {role} stream")
    return set_encoder(line, profile, wish)


def warnings_of(profile: Profile) -> tuple[str, ...]:
    """Return what makes a stream hard to record or to look at, as codes."""
    stream, found = profile.stream, []
    if gop_s(stream) > LONG_GOP_S:
        found.append("camera.gop_long")
    if profile.is_smart:
        found.append("camera.smart_codec")
    if profile.has_audio:
        found.append("camera.sends_audio")
    if stream.encoding not in ("H264", "H265"):
        found.append("camera.other_codec")
    return tuple(found)


def _media_services(line: OnvifLine) -> list[tuple[Service, str]]:
    both = [(Service.MEDIA2, "tr2"), (Service.MEDIA, "trt")]
    found = [(service, prefix) for service, prefix in both if line.has(service)]
    if not found:
        raise CameraNotSupported("the camera offers no media service")
    return found


def _stream_uri(line: OnvifLine, token: str) -> str:
    problem: CameraFailure | None = None
    for service, _ in _media_services(line):
        question = _STREAM2 if service is Service.MEDIA2 else _STREAM1
        try:
            url = _first_uri(line.ask(service, filled(question, token=token)))
        except (CameraNotSupported, CameraBadResponse) as error:
            problem = problem or error
            continue
        if url.lower().startswith(("rtsp://", "rtsps://")):
            return url
    raise problem or CameraBadResponse("the camera gives no RTSP address for its stream")


_STREAM1 = (
    "<trt:GetStreamUri><trt:StreamSetup><tt:Stream>RTP-Unicast</tt:Stream><tt:Transport>"
    "<tt:Protocol>RTSP</tt:Protocol></tt:Transport></trt:StreamSetup>"
    "<trt:ProfileToken>{token}</trt:ProfileToken></trt:GetStreamUri>"
)
_STREAM2 = (
    "<tr2:GetStreamUri><tr2:Protocol>RTSP</tr2:Protocol>"
    "<tr2:ProfileToken>{token}</tr2:ProfileToken></tr2:GetStreamUri>"
)


def _first_uri(answer: etree._Element) -> str:
    return next((text(found) for found in everywhere(answer, "Uri")), "")


def _read_profiles(
    answer: etree._Element, read: Callable[[etree._Element], Profile]
) -> tuple[Profile, ...]:
    return tuple(read(found) for found in children(answer, "Profiles") if attribute(found, "token"))


def _media1_profile(found: etree._Element) -> Profile:
    encoder = child(found, "VideoEncoderConfiguration")
    gop = number(encoder, "H264/GovLength") or number(encoder, "MPEG4/GovLength")
    return _profile(found, found, encoder, gop, "Configuration")


def _media2_profile(found: etree._Element) -> Profile:
    parts = child(found, "Configurations")
    encoder = child(parts, "VideoEncoder")
    return _profile(found, parts, encoder, as_number(attribute(encoder, "GovLength")), "")


def _profile(
    found: etree._Element,
    parts: etree._Element | None,
    encoder: etree._Element | None,
    gop: float | None,
    ending: str,
) -> Profile:
    ptz = child(parts, f"PTZ{ending}")
    encoding = text(encoder, "Encoding").upper().replace(".", "")
    words = " ".join((encoding, text(encoder, "Name"), text(found, "Name"))).lower()
    stream = StreamProfile(
        token=attribute(found, "token"),
        name=text(found, "Name"),
        encoding={"HEVC": "H265", "AVC": "H264"}.get(encoding.rstrip("+"), encoding.rstrip("+")),
        width_px=_whole(number(encoder, "Resolution/Width")),
        height_px=_whole(number(encoder, "Resolution/Height")),
        fps=max(0.0, number(encoder, "RateControl/FrameRateLimit") or 0.0),
        gop=_whole(gop),
    )
    audio, source = f"AudioEncoder{ending}", child(parts, f"VideoSource{ending}")
    return Profile(
        stream,
        encoder_token=attribute(encoder, "token"),
        source_token=text(source, "SourceToken"),
        source_configuration=attribute(source, "token"),
        ptz_token=attribute(ptz, "token"),
        has_zoom=bool(text(ptz, "DefaultContinuousZoomVelocitySpace")),
        has_audio=child(parts, audio) is not None,
        is_smart=any(word in words for word in _SMART_WORDS),
    )


def _whole(value: float | None) -> int:
    return 0 if value is None else max(0, round(value))


def _encoder(line: OnvifLine, service: Service, prefix: str, token: str) -> etree._Element:
    name = "GetVideoEncoderConfiguration" + ("s" if service is Service.MEDIA2 else "")
    template = "<{p}:{name}><{p}:ConfigurationToken>{t}</{p}:ConfigurationToken></{p}:{name}>"
    answer = line.ask(service, filled(template, p=prefix, name=name, t=token))
    for found in answer:
        if isinstance(found.tag, str) and attribute(found, "token") == token:
            return found
    raise CameraBadResponse("the camera does not show the settings of this encoder")


def _places(wish: EncoderWish, service: Service) -> list[tuple[str, str, str]]:
    """Return (name, path, value) of all that is to change; "@" marks an attribute."""
    gop = "@GovLength" if service is Service.MEDIA2 else "H264/GovLength"
    places = (
        ("encoding", "Encoding", wish.encoding),
        ("width_px", "Resolution/Width", wish.width_px),
        ("height_px", "Resolution/Height", wish.height_px),
        ("fps", "RateControl/FrameRateLimit", wish.fps),
        ("kbps", "RateControl/BitrateLimit", wish.kbps),
        ("gop", gop, wish.gop),
    )
    return [
        (name, path, value if isinstance(value, str) else f"{value:g}")
        for name, path, value in places
        if value is not None
    ]


def _write(encoder: etree._Element, name: str, path: str, value: str) -> None:
    if path.startswith("@"):
        encoder.set(path[1:], value)
        return
    found = child(encoder, path)
    if found is None:
        raise CameraNotSupported(f"the camera has no setting for {name} here")
    found.text = value


def _value(encoder: etree._Element, path: str) -> str:
    found = attribute(encoder, path[1:]) if path.startswith("@") else text(encoder, path)
    as_given = as_number(found)
    return found if as_given is None else f"{as_given:g}"


def _set_body(service: Service, prefix: str, encoder: etree._Element) -> str:
    configuration = etree.Element(f"{{{service}}}Configuration", dict(encoder.attrib))
    configuration.extend(list(encoder))
    inner = etree.tostring(configuration).decode()
    keep = "<trt:ForcePersistence>true</trt:ForcePersistence>" if prefix == "trt" else ""
    name = f"{prefix}:SetVideoEncoderConfiguration"
    return f"<{name}>{inner}{keep}</{name}>"
