"""What a technician may set of the box's networks, and the files that make it so. Pure text.

Files lie under /run, before the image's own of the same kind: networkd takes the first that fits.
Nothing is set: none of them is there, and the image's own count.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any

from poleside_image import service_socket

CAMERAS = "10.77.0.1/24"
SERVICE_NET = ipaddress.ip_network("10.77.1.0/28")
UPLINK_FILE = "systemd/network/75-poleside-uplink.network"
CAMERAS_FILE = "systemd/network/05-poleside-cam0.network"
CLOCK_FILE, SOURCES_FILE = "poleside-network/chrony.conf", "poleside-network/set.sources"
FIREWALL_FILE = "poleside-network/firewall.nft"
FILES = (
    *(UPLINK_FILE, CAMERAS_FILE, CLOCK_FILE, SOURCES_FILE, FIREWALL_FILE),
    service_socket.LINK_FILE,
)
_MOST = 4
KEYS = frozenset(
    {"method", "address", "gateway", "dns", "ntp", "cameras", "page_from"}
    | {"service_port", "service_socket"}
)


def checked(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return it whole, in canonical words. Raises `ValueError`: which key, and why."""
    if strange := sorted(set(told) - KEYS):
        raise ValueError(f"`{strange[0]}` is no setting of the network")
    cameras = _interface(told.get("cameras") or CAMERAS, "cameras")
    if not 16 <= cameras.network.prefixlen <= 24 or cameras.network.overlaps(SERVICE_NET):
        raise ValueError("`cameras` must be a network of /16 to /24 beside the service port's")
    network: dict[str, Any] = {
        "method": told.get("method", "dhcp"),
        "dns": [str(_address(one, "dns")) for one in _list(told, "dns")],
        "ntp": [_host(one) for one in _list(told, "ntp")],
        "cameras": str(cameras),
        "service_port": told.get("service_port", True) is not False,
        "service_socket": service_socket.checked(told.get("service_socket") or ""),
        "page_from": [str(_network(one)) for one in _list(told, "page_from")],
    }
    if network["method"] == "dhcp":
        return network
    if network["method"] != "static":
        raise ValueError("`method` must be `dhcp` or `static`")
    own = _interface(told.get("address", ""), "address")
    gateway = _address(told.get("gateway", ""), "gateway")
    if own.network.overlaps(cameras.network) or own.network.overlaps(SERVICE_NET):
        raise ValueError("`address` lies in the network of the cameras or of the service port")
    if gateway not in own.network or gateway == own.ip:
        raise ValueError("`gateway` must be another address of the same network")
    return network | {"address": str(own), "gateway": str(gateway)}


def rendered(network: Mapping[str, Any], *, page_at_cameras: bool = False) -> dict[str, str]:
    """Return the text of each of `FILES` that there must be, by its path under /run.

    `page_at_cameras`: a new box, which nobody has claimed, has its page there, too.
    """
    files = {UPLINK_FILE: _uplink(network), FIREWALL_FILE: _firewall(network, page_at_cameras)}
    if network["cameras"] != CAMERAS:
        files[CAMERAS_FILE] = _cameras(network["cameras"])
        own = ipaddress.ip_interface(network["cameras"])
        files[CLOCK_FILE] = f"bindaddress {own.ip}\nallow {own.network}\n"
    if network["ntp"]:
        files[SOURCES_FILE] = "".join(f"server {one} iburst\n" for one in network["ntp"])
    if network["service_socket"]:
        files[service_socket.LINK_FILE] = service_socket.link(network["service_socket"])
    return files


def _uplink(network: Mapping[str, Any]) -> str:
    lines = ["[Match]", "Type=ether wlan", "Name=!cam0 svc0", "", "[Network]"]
    if network["method"] == "static":
        lines += [
            "DHCP=no",
            "IPv6AcceptRA=no",
            f"Address={network['address']}",
            f"Gateway={network['gateway']}",
        ]
    else:
        lines += ["DHCP=yes", "IPv6PrivacyExtensions=yes"]
    lines += [f"DNS={one}" for one in network["dns"]]
    lines += ["LLMNR=no", "MulticastDNS=no", "LLDP=no", "", "[Link]", "RequiredForOnline=no"]
    if network["method"] == "dhcp":
        lines += ["", "[DHCPv4]", "UseNTP=no", "UseHostname=no", "SendHostname=no"]
        lines += ["UseDNS=no"] if network["dns"] else []
    return "\n".join(lines) + "\n"


def _cameras(address: str) -> str:
    return (
        f"[Match]\nName=cam0\n\n[Network]\nAddress={address}\nConfigureWithoutCarrier=yes\n"
        "LinkLocalAddressing=no\nIPv6AcceptRA=no\nLLDP=no\nDHCPServer=yes\n\n[DHCPServer]\n"
        "PoolOffset=100\nPoolSize=100\nDefaultLeaseTimeSec=12h\nMaxLeaseTimeSec=24h\nEmitDNS=no\n"
        "EmitRouter=no\nEmitTimezone=no\nEmitNTP=yes\nNTP=_server_address\n"
    )


def _firewall(network: Mapping[str, Any], page_at_cameras: bool) -> str:
    cameras = ipaddress.ip_interface(network["cameras"]).network
    ports = ['"svc0"'] if network["service_port"] else []
    sets = {
        "cameras": [str(cameras)],
        "service_ports": [*ports, '"cam0"'] if page_at_cameras else ports,
        "page_from": network["page_from"],
    }
    lines = []
    for name, elements in sets.items():
        lines.append(f"flush set inet poleside {name}")
        if elements:
            lines.append(f"add element inet poleside {name} {{ {', '.join(elements)} }}")
    return "\n".join(lines) + "\n"


def _list(told: Mapping[str, Any], key: str) -> list[str]:
    found = told.get(key) or []
    if not isinstance(found, list) or len(found) > _MOST:
        raise ValueError(f"`{key}` must be a list of at most {_MOST}")
    return [str(one) for one in found]


def _interface(text: object, key: str) -> ipaddress.IPv4Interface:
    try:
        found = ipaddress.IPv4Interface(str(text))
    except ValueError as error:
        raise ValueError(f"`{key}` must be as 192.0.2.10/24") from error
    if "/" not in str(text) or found.ip in (
        found.network.network_address,
        found.network.broadcast_address,
    ):
        raise ValueError(f"`{key}` must be a host's address with its prefix, as 192.0.2.10/24")
    return found


def _address(text: object, key: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(str(text))
    except ValueError as error:
        raise ValueError(f"`{key}` must be an address as 192.0.2.1") from error


def _network(text: str) -> ipaddress.IPv4Network:
    try:
        found = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ValueError("`page_from` must hold networks as 192.0.2.0/24") from error
    if found.prefixlen < 8:
        raise ValueError("`page_from` must not be the whole Internet")
    return found


def _host(text: str) -> str:
    plain = text.replace("-", "").replace(".", "").replace(":", "")
    if not (text.isascii() and plain.isalnum() and len(text) <= 253):
        raise ValueError("`ntp` must hold names or addresses")
    return text
