"""The XML a simulated camera's media services answer with (media.wsdl, and Media 2 ver20)."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.simulators.camera.onvif_answers import filled, ptz_configuration


@dataclass(frozen=True, slots=True)
class Encoder:
    """One video encoder's settings."""

    token: str
    size: tuple[int, int]
    fps: int
    gop: int
    kbps: int = 2048
    encoding: str = "H264"
    is_smart: bool = False

    @property
    def name(self) -> str:
        """What the camera calls it; makers say there that it leaves frames out."""
        return f"{self.token} (smart H.264+)" if self.is_smart else self.token


@dataclass(frozen=True, slots=True)
class Osd:
    """A text in the picture."""

    token: str
    text: str


def video_sources(size: tuple[int, int], fps: int) -> str:
    return filled(
        '<trt:GetVideoSourcesResponse><trt:VideoSources token="sensor">'
        "<tt:Framerate>{fps}</tt:Framerate><tt:Resolution><tt:Width>{width}</tt:Width>"
        "<tt:Height>{height}</tt:Height></tt:Resolution></trt:VideoSources>"
        "</trt:GetVideoSourcesResponse>",
        fps=fps,
        width=size[0],
        height=size[1],
    )


def profiles(
    shown: Sequence[tuple[str, Encoder]],
    *,
    has_ptz: bool,
    is_media2: bool,
    has_audio: bool = False,
) -> str:
    """Return all profiles as Media 1 or Media 2 writes them."""
    prefix, make = ("tr2", _profile2) if is_media2 else ("trt", _profile1)
    inner = "".join(
        make(token, encoder, has_ptz=has_ptz, has_audio=has_audio) for token, encoder in shown
    )
    return f"<{prefix}:GetProfilesResponse>{inner}</{prefix}:GetProfilesResponse>"


def encoders(prefix: str, operation: str, shown: Sequence[Encoder]) -> str:
    if prefix == "tr2":
        inner = "".join(_encoder2("tr2:Configurations", encoder) for encoder in shown)
    else:
        tag = "trt:Configurations" if operation.endswith("s") else "trt:Configuration"
        inner = "".join(_encoder1(tag, encoder) for encoder in shown)
    return f"<{prefix}:{operation}Response>{inner}</{prefix}:{operation}Response>"


def uri(prefix: str, operation: str, url: str) -> str:
    if prefix == "tr2":
        return filled(
            "<tr2:{op}Response><tr2:Uri>{url}</tr2:Uri></tr2:{op}Response>", op=operation, url=url
        )
    return filled(
        "<trt:{op}Response><trt:MediaUri><tt:Uri>{url}</tt:Uri>"
        "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect>"
        "<tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout>"
        "</trt:MediaUri></trt:{op}Response>",
        op=operation,
        url=url,
    )


def osds(prefix: str, shown: Sequence[Osd]) -> str:
    inner = "".join(
        filled(
            '<{p}:OSDs token="{token}"><tt:VideoSourceConfigurationToken>source'
            "</tt:VideoSourceConfigurationToken><tt:Type>Text</tt:Type><tt:Position>"
            "<tt:Type>UpperLeft</tt:Type></tt:Position><tt:TextString><tt:Type>Plain</tt:Type>"
            "<tt:PlainText>{text}</tt:PlainText></tt:TextString></{p}:OSDs>",
            p=prefix,
            token=osd.token,
            text=osd.text,
        )
        for osd in shown
    )
    return f"<{prefix}:GetOSDsResponse>{inner}</{prefix}:GetOSDsResponse>"


_SOURCE = (
    '<{tag} token="source"><tt:Name>source</tt:Name><tt:UseCount>2</tt:UseCount>'
    "<tt:SourceToken>sensor</tt:SourceToken>"
    '<tt:Bounds x="0" y="0" width="{width}" height="{height}"/></{tag}>'
)
_MULTICAST = (
    "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address>"
    "</tt:Address><tt:Port>0</tt:Port><tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart>"
    "</tt:Multicast>"
)


_AUDIO1 = (
    '<tt:AudioEncoderConfiguration token="audio"><tt:Name>audio</tt:Name>'
    "<tt:UseCount>2</tt:UseCount><tt:Encoding>G711</tt:Encoding><tt:Bitrate>64</tt:Bitrate><tt:SampleRate>8</tt:SampleRate>"
    f"{_MULTICAST}<tt:SessionTimeout>PT60S</tt:SessionTimeout></tt:AudioEncoderConfiguration>"
)
_AUDIO2 = (
    '<tr2:AudioEncoder token="audio"><tt:Name>audio</tt:Name><tt:UseCount>2</tt:UseCount>'
    f"<tt:Encoding>PCMU</tt:Encoding>{_MULTICAST}<tt:Bitrate>64</tt:Bitrate>"
    "<tt:SampleRate>8</tt:SampleRate></tr2:AudioEncoder>"
)


def _profile1(token: str, encoder: Encoder, *, has_ptz: bool, has_audio: bool) -> str:
    tag = "tt:VideoSourceConfiguration"
    source = filled(_SOURCE, tag=tag, width=encoder.size[0], height=encoder.size[1])
    return (
        filled('<trt:Profiles token="{t}" fixed="true"><tt:Name>{t}</tt:Name>', t=token)
        + source
        + _encoder1("tt:VideoEncoderConfiguration", encoder)
        + (_AUDIO1 if has_audio else "")
        + (ptz_configuration("tt:PTZConfiguration") if has_ptz else "")
        + "</trt:Profiles>"
    )


def _profile2(token: str, encoder: Encoder, *, has_ptz: bool, has_audio: bool) -> str:
    source = filled(_SOURCE, tag="tr2:VideoSource", width=encoder.size[0], height=encoder.size[1])
    return (
        filled('<tr2:Profiles token="{t}" fixed="true"><tr2:Name>{t}</tr2:Name>', t=token)
        + f"<tr2:Configurations>{source}"
        + _encoder2("tr2:VideoEncoder", encoder)
        + (_AUDIO2 if has_audio else "")
        + (ptz_configuration("tr2:PTZ") if has_ptz else "")
        + "</tr2:Configurations></tr2:Profiles>"
    )


def _encoder1(tag: str, encoder: Encoder) -> str:
    text = filled(
        '<{tag} token="{token}"><tt:Name>{name}</tt:Name><tt:UseCount>1</tt:UseCount>'
        "<tt:Encoding>{encoding}</tt:Encoding><tt:Resolution><tt:Width>{width}</tt:Width>"
        "<tt:Height>{height}</tt:Height></tt:Resolution><tt:Quality>5</tt:Quality>"
        "<tt:RateControl><tt:FrameRateLimit>{fps}</tt:FrameRateLimit>"
        "<tt:EncodingInterval>1</tt:EncodingInterval><tt:BitrateLimit>{kbps}</tt:BitrateLimit>"
        "</tt:RateControl>{h264}{multicast}"
        "<tt:SessionTimeout>PT60S</tt:SessionTimeout></{tag}>",
        tag=tag,
        token=encoder.token,
        width=encoder.size[0],
        height=encoder.size[1],
        fps=encoder.fps,
        kbps=encoder.kbps,
        name=encoder.name,
        encoding=encoder.encoding,
        h264="{h264}",
        multicast="{multicast}",
    )
    gop = (
        f"<tt:H264><tt:GovLength>{encoder.gop}</tt:GovLength>"
        "<tt:H264Profile>Main</tt:H264Profile></tt:H264>"
    )
    has_gop = encoder.encoding == "H264"
    return text.replace("{h264}", gop if has_gop else "").replace("{multicast}", _MULTICAST)


def _encoder2(tag: str, encoder: Encoder) -> str:
    return filled(
        '<{tag} token="{token}" GovLength="{gop}" Profile="Main"><tt:Name>{name}</tt:Name>'
        "<tt:UseCount>1</tt:UseCount><tt:Encoding>{encoding}</tt:Encoding><tt:Resolution>"
        "<tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution>"
        '<tt:RateControl ConstantBitRate="false"><tt:FrameRateLimit>{fps}</tt:FrameRateLimit>'
        "<tt:BitrateLimit>{kbps}</tt:BitrateLimit></tt:RateControl>{multicast}"
        "<tt:Quality>5</tt:Quality></{tag}>",
        tag=tag,
        token=encoder.token,
        name=encoder.name,
        encoding=encoder.encoding,
        width=encoder.size[0],
        height=encoder.size[1],
        fps=encoder.fps,
        kbps=encoder.kbps,
        gop=encoder.gop,
        multicast="{multicast}",
    ).replace("{multicast}", _MULTICAST)
