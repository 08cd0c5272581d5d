"""The XML a simulated camera answers with; every value put in is escaped."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from xml.sax.saxutils import escape, quoteattr

DEVICE = "http://www.onvif.org/ver10/device/wsdl"
MEDIA = "http://www.onvif.org/ver10/media/wsdl"
PTZ = "http://www.onvif.org/ver20/ptz/wsdl"
EVENTS = "http://www.onvif.org/ver10/events/wsdl"
BASE_NOTIFICATION = "http://docs.oasis-open.org/wsn/b-2"
_SPACES = "http://www.onvif.org/ver10/tptz"
_PAN_TILT_VELOCITY = f"{_SPACES}/PanTiltSpaces/VelocityGenericSpace"
_ZOOM_VELOCITY = f"{_SPACES}/ZoomSpaces/VelocityGenericSpace"
_PAN_TILT_POSITION = f"{_SPACES}/PanTiltSpaces/PositionGenericSpace"
_ZOOM_POSITION = f"{_SPACES}/ZoomSpaces/PositionGenericSpace"

_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:tt="http://www.onvif.org/ver10/schema" '
    f'xmlns:tds="{DEVICE}" xmlns:trt="{MEDIA}" xmlns:tptz="{PTZ}" xmlns:tev="{EVENTS}" '
    f'xmlns:wsnt="{BASE_NOTIFICATION}" xmlns:wsa="http://www.w3.org/2005/08/addressing" '
    'xmlns:ter="http://www.onvif.org/ver10/error" '
    'xmlns:tns1="http://www.onvif.org/ver10/topics"><s:Header>%s</s:Header>'
    "<s:Body>%s</s:Body></s:Envelope>"
)


def envelope(body: str, header: str = "") -> bytes:
    """Wrap a body (XML already) in a SOAP 1.2 envelope."""
    return (_ENVELOPE % (header, body)).encode()


def relates_to(message_id: str, action: str) -> str:
    """Return WS-Addressing headers that answer `message_id`."""
    return _fill(
        "<wsa:Action>{action}</wsa:Action><wsa:RelatesTo>{id}</wsa:RelatesTo>",
        action=action,
        id=message_id,
    )


def fault(side: str, subcode: str, reason: str) -> str:
    return _fill(
        "<s:Fault><s:Code><s:Value>s:{side}</s:Value><s:Subcode><s:Value>ter:{subcode}</s:Value>"
        '</s:Subcode></s:Code><s:Reason><s:Text xml:lang="en">{reason}</s:Text></s:Reason>'
        "</s:Fault>",
        side=side,
        subcode=subcode,
        reason=reason,
    )


def date_and_time(now: datetime) -> str:
    return _fill(
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>"
        "<tt:DateTimeType>NTP</tt:DateTimeType><tt:DaylightSavings>false</tt:DaylightSavings>"
        "<tt:TimeZone><tt:TZ>UTC0</tt:TZ></tt:TimeZone><tt:UTCDateTime>"
        "<tt:Time><tt:Hour>{h}</tt:Hour><tt:Minute>{m}</tt:Minute><tt:Second>{s}</tt:Second>"
        "</tt:Time><tt:Date><tt:Year>{year}</tt:Year><tt:Month>{month}</tt:Month>"
        "<tt:Day>{day}</tt:Day></tt:Date></tt:UTCDateTime></tds:SystemDateAndTime>"
        "</tds:GetSystemDateAndTimeResponse>",
        h=now.hour,
        m=now.minute,
        s=now.second,
        year=now.year,
        month=now.month,
        day=now.day,
    )


def device_information(model: str, serial: str) -> str:
    return _fill(
        "<tds:GetDeviceInformationResponse><tds:Manufacturer>Poleside</tds:Manufacturer>"
        "<tds:Model>{model}</tds:Model><tds:FirmwareVersion>1.0</tds:FirmwareVersion>"
        "<tds:SerialNumber>{serial}</tds:SerialNumber><tds:HardwareId>simulated</tds:HardwareId>"
        "</tds:GetDeviceInformationResponse>",
        model=model,
        serial=serial,
    )


def services(urls: Mapping[str, str]) -> str:
    entries = "".join(
        _fill(
            "<tds:Service><tds:Namespace>{namespace}</tds:Namespace><tds:XAddr>{url}</tds:XAddr>"
            "<tds:Version><tt:Major>2</tt:Major><tt:Minor>60</tt:Minor></tds:Version>"
            "</tds:Service>",
            namespace=namespace,
            url=url,
        )
        for namespace, url in urls.items()
    )
    return f"<tds:GetServicesResponse>{entries}</tds:GetServicesResponse>"


def capabilities(urls: Mapping[str, str]) -> str:
    parts = [
        _fill("<tt:Device><tt:XAddr>{url}</tt:XAddr></tt:Device>", url=urls[DEVICE]),
        _fill(
            "<tt:Events><tt:XAddr>{url}</tt:XAddr>"
            "<tt:WSSubscriptionPolicySupport>false</tt:WSSubscriptionPolicySupport>"
            "<tt:WSPullPointSupport>true</tt:WSPullPointSupport>"
            "<tt:WSPausableSubscriptionManagerInterfaceSupport>false"
            "</tt:WSPausableSubscriptionManagerInterfaceSupport></tt:Events>",
            url=urls[EVENTS],
        ),
        _fill(
            "<tt:Media><tt:XAddr>{url}</tt:XAddr><tt:StreamingCapabilities>"
            "<tt:RTPMulticast>false</tt:RTPMulticast><tt:RTP_TCP>false</tt:RTP_TCP>"
            "<tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP></tt:StreamingCapabilities></tt:Media>",
            url=urls[MEDIA],
        ),
    ]
    if PTZ in urls:
        parts.append(_fill("<tt:PTZ><tt:XAddr>{url}</tt:XAddr></tt:PTZ>", url=urls[PTZ]))
    return (
        "<tds:GetCapabilitiesResponse><tds:Capabilities>"
        f"{''.join(parts)}</tds:Capabilities></tds:GetCapabilitiesResponse>"
    )


def scopes(name: str) -> str:
    entries = "".join(
        _fill(
            "<tds:Scopes><tt:ScopeDef>Fixed</tt:ScopeDef>"
            "<tt:ScopeItem>onvif://www.onvif.org/{item}</tt:ScopeItem></tds:Scopes>",
            item=item,
        )
        for item in ("Profile/Streaming", "type/Network_Video_Transmitter", f"name/{name}")
    )
    return f"<tds:GetScopesResponse>{entries}</tds:GetScopesResponse>"


def profile(token: str, size: tuple[int, int], fps: int, *, has_ptz: bool) -> str:
    """Return one media profile, H.264, with a GOP of two seconds."""
    text = _fill(
        '<trt:Profiles token="{token}" fixed="true"><tt:Name>{token}</tt:Name>'
        '<tt:VideoSourceConfiguration token="source"><tt:Name>source</tt:Name>'
        "<tt:UseCount>2</tt:UseCount><tt:SourceToken>sensor</tt:SourceToken>"
        '<tt:Bounds x="0" y="0" width="{width}" height="{height}"/></tt:VideoSourceConfiguration>'
        '<tt:VideoEncoderConfiguration token="encoder-{token}"><tt:Name>{token}</tt:Name>'
        "<tt:UseCount>1</tt:UseCount><tt:Encoding>H264</tt:Encoding><tt:Resolution>"
        "<tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution>"
        "<tt:Quality>5</tt:Quality><tt:RateControl><tt:FrameRateLimit>{fps}</tt:FrameRateLimit>"
        "<tt:EncodingInterval>1</tt:EncodingInterval><tt:BitrateLimit>2048</tt:BitrateLimit>"
        "</tt:RateControl><tt:H264><tt:GovLength>{gop}</tt:GovLength>"
        "<tt:H264Profile>Main</tt:H264Profile></tt:H264><tt:Multicast><tt:Address>"
        "<tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address>"
        "<tt:Port>0</tt:Port><tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart></tt:Multicast>"
        "<tt:SessionTimeout>PT60S</tt:SessionTimeout></tt:VideoEncoderConfiguration>",
        token=token,
        width=size[0],
        height=size[1],
        fps=fps,
        gop=fps * 2,
    )
    configuration = ptz_configuration("tt:PTZConfiguration") if has_ptz else ""
    return f"{text}{configuration}</trt:Profiles>"


def video_sources(size: tuple[int, int], fps: int) -> str:
    return _fill(
        '<trt:GetVideoSourcesResponse><trt:VideoSources token="sensor">'
        "<tt:Framerate>{fps}</tt:Framerate><tt:Resolution><tt:Width>{width}</tt:Width>"
        "<tt:Height>{height}</tt:Height></tt:Resolution></trt:VideoSources>"
        "</trt:GetVideoSourcesResponse>",
        fps=fps,
        width=size[0],
        height=size[1],
    )


def media_uri(operation: str, url: str) -> str:
    return _fill(
        "<trt:{operation}Response><trt:MediaUri><tt:Uri>{url}</tt:Uri>"
        "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect>"
        "<tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout>"
        "</trt:MediaUri></trt:{operation}Response>",
        operation=operation,
        url=url,
    )


def ptz_configuration(tag: str) -> str:
    return (
        f'<{tag} token="ptz-configuration"><tt:Name>ptz</tt:Name><tt:UseCount>2</tt:UseCount>'
        "<tt:NodeToken>ptz-node</tt:NodeToken><tt:DefaultContinuousPanTiltVelocitySpace>"
        f"{_PAN_TILT_VELOCITY}</tt:DefaultContinuousPanTiltVelocitySpace>"
        f"<tt:DefaultContinuousZoomVelocitySpace>{_ZOOM_VELOCITY}"
        "</tt:DefaultContinuousZoomVelocitySpace><tt:DefaultPTZTimeout>PT10S"
        f"</tt:DefaultPTZTimeout></{tag}>"
    )


def ptz_nodes() -> str:
    both = "<tt:{a}Range><tt:Min>-1</tt:Min><tt:Max>1</tt:Max></tt:{a}Range>"
    pan_tilt = both.format(a="X") + both.format(a="Y")
    return (
        '<tptz:GetNodesResponse><tptz:PTZNode token="ptz-node"><tt:Name>ptz</tt:Name>'
        "<tt:SupportedPTZSpaces><tt:ContinuousPanTiltVelocitySpace>"
        f"<tt:URI>{_PAN_TILT_VELOCITY}</tt:URI>{pan_tilt}</tt:ContinuousPanTiltVelocitySpace>"
        f"<tt:ContinuousZoomVelocitySpace><tt:URI>{_ZOOM_VELOCITY}</tt:URI>{both.format(a='X')}"
        "</tt:ContinuousZoomVelocitySpace></tt:SupportedPTZSpaces>"
        "<tt:MaximumNumberOfPresets>0</tt:MaximumNumberOfPresets>"
        "<tt:HomeSupported>false</tt:HomeSupported></tptz:PTZNode></tptz:GetNodesResponse>"
    )


def ptz_status(
    position: tuple[float, float, float] | None, moving: str | None, now: datetime
) -> str:
    """Return a status; a camera may leave position or movement out."""
    parts = []
    if position is not None:
        parts.append(
            f'<tt:Position><tt:PanTilt x="{position[0]:.5f}" y="{position[1]:.5f}" '
            f'space="{_PAN_TILT_POSITION}"/>'
            f'<tt:Zoom x="{position[2]:.5f}" space="{_ZOOM_POSITION}"/></tt:Position>'
        )
    if moving is not None:
        parts.append(
            f"<tt:MoveStatus><tt:PanTilt>{moving}</tt:PanTilt><tt:Zoom>{moving}</tt:Zoom>"
            "</tt:MoveStatus>"
        )
    return (
        f"<tptz:GetStatusResponse><tptz:PTZStatus>{''.join(parts)}"
        f"<tt:UtcTime>{stamp(now)}</tt:UtcTime></tptz:PTZStatus></tptz:GetStatusResponse>"
    )


def subscription(url: str, now: datetime, until: datetime) -> str:
    return _fill(
        "<tev:CreatePullPointSubscriptionResponse><tev:SubscriptionReference>"
        "<wsa:Address>{url}</wsa:Address></tev:SubscriptionReference>"
        "<wsnt:CurrentTime>{now}</wsnt:CurrentTime>"
        "<wsnt:TerminationTime>{until}</wsnt:TerminationTime>"
        "</tev:CreatePullPointSubscriptionResponse>",
        url=url,
        now=stamp(now),
        until=stamp(until),
    )


def pulled(messages: Iterable[str], now: datetime, until: datetime) -> str:
    return (
        f"<tev:PullMessagesResponse><tev:CurrentTime>{stamp(now)}</tev:CurrentTime>"
        f"<tev:TerminationTime>{stamp(until)}</tev:TerminationTime>"
        f"{''.join(messages)}</tev:PullMessagesResponse>"
    )


def renewed(now: datetime, until: datetime) -> str:
    return (
        f"<wsnt:RenewResponse><wsnt:TerminationTime>{stamp(until)}</wsnt:TerminationTime>"
        f"<wsnt:CurrentTime>{stamp(now)}</wsnt:CurrentTime></wsnt:RenewResponse>"
    )


def notification(
    topic: str, source: Mapping[str, str], data: Mapping[str, str], operation: str, at: datetime
) -> str:
    """Return one event (ONVIF Core, "Notification message")."""
    dialect = "http://www.onvif.org/ver10/tev/topicExpression/ConcreteSet"
    return _fill(
        '<wsnt:NotificationMessage><wsnt:Topic Dialect="{dialect}">{topic}</wsnt:Topic>'
        '<wsnt:Message><tt:Message UtcTime="{at}" PropertyOperation="{operation}">',
        dialect=dialect,
        topic=topic,
        at=stamp(at),
        operation=operation,
    ) + (
        f"<tt:Source>{_items(source)}</tt:Source><tt:Data>{_items(data)}</tt:Data></tt:Message>"
        "</wsnt:Message></wsnt:NotificationMessage>"
    )


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _items(items: Mapping[str, str]) -> str:
    return "".join(
        f"<tt:SimpleItem Name={quoteattr(name)} Value={quoteattr(value)}/>"
        for name, value in items.items()
    )


def _fill(template: str, **values: object) -> str:
    quotes = {'"': "&quot;"}
    return template.format(**{name: escape(str(value), quotes) for name, value in values.items()})
