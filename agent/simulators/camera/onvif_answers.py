"""The XML a simulated camera answers with; every value put in is escaped."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

DEVICE = "http://www.onvif.org/ver10/device/wsdl"
MEDIA = "http://www.onvif.org/ver10/media/wsdl"
MEDIA2 = "http://www.onvif.org/ver20/media/wsdl"
DEVICE_IO = "http://www.onvif.org/ver10/deviceIO/wsdl"
PTZ = "http://www.onvif.org/ver20/ptz/wsdl"
IMAGING = "http://www.onvif.org/ver20/imaging/wsdl"
EVENTS = "http://www.onvif.org/ver10/events/wsdl"
BASE_NOTIFICATION = "http://docs.oasis-open.org/wsn/b-2"
_SPACES = "http://www.onvif.org/ver10/tptz"
_PAN_TILT_VELOCITY = f"{_SPACES}/PanTiltSpaces/VelocityGenericSpace"
_ZOOM_VELOCITY = f"{_SPACES}/ZoomSpaces/VelocityGenericSpace"

_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:tt="http://www.onvif.org/ver10/schema" '
    f'xmlns:tds="{DEVICE}" xmlns:trt="{MEDIA}" xmlns:tptz="{PTZ}" xmlns:tev="{EVENTS}" '
    f'xmlns:timg="{IMAGING}" '
    f'xmlns:tr2="{MEDIA2}" xmlns:tmd="{DEVICE_IO}" '
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
    return filled(
        "<wsa:Action>{action}</wsa:Action><wsa:RelatesTo>{id}</wsa:RelatesTo>",
        action=action,
        id=message_id,
    )


def fault(side: str, subcode: str, reason: str) -> str:
    return filled(
        "<s:Fault><s:Code><s:Value>s:{side}</s:Value><s:Subcode><s:Value>ter:{subcode}</s:Value>"
        '</s:Subcode></s:Code><s:Reason><s:Text xml:lang="en">{reason}</s:Text></s:Reason>'
        "</s:Fault>",
        side=side,
        subcode=subcode,
        reason=reason,
    )


def date_and_time(now: datetime, kind: str, zone: str) -> str:
    return filled(
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>"
        "<tt:DateTimeType>{kind}</tt:DateTimeType><tt:DaylightSavings>false</tt:DaylightSavings>"
        "<tt:TimeZone><tt:TZ>{zone}</tt:TZ></tt:TimeZone><tt:UTCDateTime>"
        "<tt:Time><tt:Hour>{h}</tt:Hour><tt:Minute>{m}</tt:Minute><tt:Second>{s}</tt:Second>"
        "</tt:Time><tt:Date><tt:Year>{year}</tt:Year><tt:Month>{month}</tt:Month>"
        "<tt:Day>{day}</tt:Day></tt:Date></tt:UTCDateTime></tds:SystemDateAndTime>"
        "</tds:GetSystemDateAndTimeResponse>",
        kind=kind,
        zone=zone,
        h=now.hour,
        m=now.minute,
        s=now.second,
        year=now.year,
        month=now.month,
        day=now.day,
    )


def device_information(maker: str, model: str, serial: str) -> str:
    return filled(
        "<tds:GetDeviceInformationResponse><tds:Manufacturer>{maker}</tds:Manufacturer>"
        "<tds:Model>{model}</tds:Model><tds:FirmwareVersion>1.0</tds:FirmwareVersion>"
        "<tds:SerialNumber>{serial}</tds:SerialNumber><tds:HardwareId>simulated</tds:HardwareId>"
        "</tds:GetDeviceInformationResponse>",
        maker=maker,
        model=model,
        serial=serial,
    )


def services(urls: Mapping[str, str]) -> str:
    entries = "".join(
        filled(
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
        filled("<tt:Device><tt:XAddr>{url}</tt:XAddr></tt:Device>", url=urls[DEVICE]),
        filled(
            "<tt:Events><tt:XAddr>{url}</tt:XAddr>"
            "<tt:WSSubscriptionPolicySupport>false</tt:WSSubscriptionPolicySupport>"
            "<tt:WSPullPointSupport>true</tt:WSPullPointSupport>"
            "<tt:WSPausableSubscriptionManagerInterfaceSupport>false"
            "</tt:WSPausableSubscriptionManagerInterfaceSupport></tt:Events>",
            url=urls[EVENTS],
        ),
        filled("<tt:Imaging><tt:XAddr>{url}</tt:XAddr></tt:Imaging>", url=urls[IMAGING]),
        filled(
            "<tt:Media><tt:XAddr>{url}</tt:XAddr><tt:StreamingCapabilities>"
            "<tt:RTPMulticast>false</tt:RTPMulticast><tt:RTP_TCP>false</tt:RTP_TCP>"
            "<tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP></tt:StreamingCapabilities></tt:Media>",
            url=urls[MEDIA],
        ),
    ]
    if PTZ in urls:
        parts.append(filled("<tt:PTZ><tt:XAddr>{url}</tt:XAddr></tt:PTZ>", url=urls[PTZ]))
    parts.append(
        filled(
            "<tt:Extension><tt:DeviceIO><tt:XAddr>{url}</tt:XAddr>"
            "<tt:VideoSources>1</tt:VideoSources><tt:VideoOutputs>0</tt:VideoOutputs>"
            "<tt:AudioSources>0</tt:AudioSources><tt:AudioOutputs>0</tt:AudioOutputs>"
            "<tt:RelayOutputs>2</tt:RelayOutputs></tt:DeviceIO></tt:Extension>",
            url=urls[DEVICE_IO],
        )
    )
    return (
        "<tds:GetCapabilitiesResponse><tds:Capabilities>"
        f"{''.join(parts)}</tds:Capabilities></tds:GetCapabilitiesResponse>"
    )


def scope_names(name: str, mac: str) -> tuple[str, ...]:
    """Return the scopes as the device and its discovery tell them."""
    items = (
        "Profile/Streaming",
        "type/Network_Video_Transmitter",
        f"name/{quote(name)}",
        f"hardware/{quote(name)}",
        f"MAC/{mac}",
    )
    return tuple(f"onvif://www.onvif.org/{item}" for item in items)


def scopes(name: str, mac: str) -> str:
    entries = "".join(
        filled(
            "<tds:Scopes><tt:ScopeDef>Fixed</tt:ScopeDef>"
            "<tt:ScopeItem>{item}</tt:ScopeItem></tds:Scopes>",
            item=item,
        )
        for item in scope_names(name, mac)
    )
    return f"<tds:GetScopesResponse>{entries}</tds:GetScopesResponse>"


def network_interfaces(mac: str) -> str:
    return filled(
        '<tds:GetNetworkInterfacesResponse><tds:NetworkInterfaces token="eth0">'
        "<tt:Enabled>true</tt:Enabled><tt:Info><tt:Name>eth0</tt:Name>"
        "<tt:HwAddress>{mac}</tt:HwAddress><tt:MTU>1500</tt:MTU></tt:Info>"
        "</tds:NetworkInterfaces></tds:GetNetworkInterfacesResponse>",
        mac=mac,
    )


def endpoint(guid: str) -> str:
    return filled(
        "<tds:GetEndpointReferenceResponse><tds:GUID>{guid}</tds:GUID>"
        "</tds:GetEndpointReferenceResponse>",
        guid=guid,
    )


def hostname(name: str) -> str:
    return filled(
        "<tds:GetHostnameResponse><tds:HostnameInformation><tt:FromDHCP>false</tt:FromDHCP>"
        "<tt:Name>{name}</tt:Name></tds:HostnameInformation></tds:GetHostnameResponse>",
        name=name,
    )


def ntp() -> str:
    return (
        "<tds:GetNTPResponse><tds:NTPInformation><tt:FromDHCP>false</tt:FromDHCP>"
        "<tt:NTPManual><tt:Type>IPv4</tt:Type><tt:IPv4Address>192.0.2.1</tt:IPv4Address>"
        "</tt:NTPManual></tds:NTPInformation></tds:GetNTPResponse>"
    )


def users(name: str) -> str:
    return filled(
        "<tds:GetUsersResponse><tds:User><tt:Username>{name}</tt:Username>"
        "<tt:UserLevel>Administrator</tt:UserLevel></tds:User></tds:GetUsersResponse>",
        name=name,
    )


def relays(tokens: Iterable[str]) -> str:
    inner = "".join(
        filled(
            '<tds:RelayOutputs token="{token}"><tt:Properties><tt:Mode>Bistable</tt:Mode>'
            "<tt:DelayTime>PT0S</tt:DelayTime><tt:IdleState>open</tt:IdleState>"
            "</tt:Properties></tds:RelayOutputs>",
            token=token,
        )
        for token in tokens
    )
    return f"<tds:GetRelayOutputsResponse>{inner}</tds:GetRelayOutputsResponse>"


def digital_inputs(tokens: Iterable[str]) -> str:
    inner = "".join(
        filled('<tmd:DigitalInputs token="{token}" IdleState="open"/>', token=token)
        for token in tokens
    )
    return f"<tmd:GetDigitalInputsResponse>{inner}</tmd:GetDigitalInputsResponse>"


def ptz_configuration(tag: str) -> str:
    return (
        f'<{tag} token="ptz-configuration"><tt:Name>ptz</tt:Name><tt:UseCount>2</tt:UseCount>'
        "<tt:NodeToken>ptz-node</tt:NodeToken><tt:DefaultContinuousPanTiltVelocitySpace>"
        f"{_PAN_TILT_VELOCITY}</tt:DefaultContinuousPanTiltVelocitySpace>"
        f"<tt:DefaultContinuousZoomVelocitySpace>{_ZOOM_VELOCITY}"
        "</tt:DefaultContinuousZoomVelocitySpace><tt:DefaultPTZTimeout>PT10S"
        f"</tt:DefaultPTZTimeout></{tag}>"
    )


_ECHOES = (
    '<tns1:Media><ConfigurationChanged wstop:topic="true"/></tns1:Media>'
    '<tns1:PTZController><PTZPresets><Reached wstop:topic="true"/></PTZPresets>'
    "</tns1:PTZController>"
)


def event_properties(*, lists_echoes: bool = False) -> str:
    dialect = "http://www.onvif.org/ver10/tev"
    return (
        "<tev:GetEventPropertiesResponse><tev:TopicNamespaceLocation>"
        "http://www.onvif.org/onvif/ver10/topics/topicns.xml</tev:TopicNamespaceLocation>"
        "<wsnt:FixedTopicSet>true</wsnt:FixedTopicSet>"
        '<wstop:TopicSet xmlns:wstop="http://docs.oasis-open.org/wsn/t-1">'
        '<tns1:Device><Trigger><DigitalInput wstop:topic="true">'
        '<tt:MessageDescription IsProperty="true"><tt:Source><tt:SimpleItemDescription '
        'Name="InputToken" Type="tt:ReferenceToken"/></tt:Source><tt:Data>'
        '<tt:SimpleItemDescription Name="LogicalState" Type="xs:boolean" '
        'xmlns:xs="http://www.w3.org/2001/XMLSchema"/>'
        "</tt:Data></tt:MessageDescription></DigitalInput></Trigger></tns1:Device>"
        f"{_ECHOES if lists_echoes else ''}"
        "</wstop:TopicSet><wsnt:TopicExpressionDialect>"
        f"{dialect}/topicExpression/ConcreteSet</wsnt:TopicExpressionDialect>"
        "<tev:MessageContentFilterDialect>"
        f"{dialect}/messageContentFilter/ItemFilter</tev:MessageContentFilterDialect>"
        "<tev:MessageContentSchemaLocation>http://www.onvif.org/ver10/schema/onvif.xsd"
        "</tev:MessageContentSchemaLocation></tev:GetEventPropertiesResponse>"
    )


def subscription(url: str, now: datetime, until: datetime) -> str:
    return filled(
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
    return filled(
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


def notify(messages: Iterable[str]) -> str:
    """Return what a camera pushes to a consumer (WS-BaseNotification)."""
    return f"<wsnt:Notify>{''.join(messages)}</wsnt:Notify>"


def pushed(url: str, now: datetime, until: datetime) -> str:
    """Return the answer to a Subscribe."""
    return filled(
        "<wsnt:SubscribeResponse><wsnt:SubscriptionReference><wsa:Address>{url}</wsa:Address>"
        "</wsnt:SubscriptionReference><wsnt:CurrentTime>{now}</wsnt:CurrentTime>"
        "<wsnt:TerminationTime>{until}</wsnt:TerminationTime></wsnt:SubscribeResponse>",
        url=url,
        now=stamp(now),
        until=stamp(until),
    )


def _items(items: Mapping[str, str]) -> str:
    return "".join(
        f"<tt:SimpleItem Name={quoteattr(name)} Value={quoteattr(value)}/>"
        for name, value in items.items()
    )


def filled(template: str, **values: object) -> str:
    quotes = {'"': "&quot;"}
    return template.format(**{name: escape(str(value), quotes) for name, value in values.items()})
