"""Every MQTT topic of the contract, built and parsed in this one place.

`edge/1/{site}/{box}/up/{channel}` goes from a box to the center, `…/dn/{channel}` the other way.
The number is the contract's major version.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from agent.contract.events import StreamName

ROOT = "edge/1"
_LEVEL = r"[a-z0-9][a-z0-9-]{0,31}"
_TOPIC = re.compile(rf"^{ROOT}/(?P<site>{_LEVEL})/(?P<box>{_LEVEL})/(?P<channel>(?:up|dn)/[a-z]+)$")


class Channel(StrEnum):
    """What a topic carries. `up` is written by the box only, `dn` by the center only."""

    STATE = "up/state"
    INFO = "up/info"
    ALARM = "up/alm"
    EVENT = "up/evt"
    TELEMETRY = "up/tel"
    CONFIG_REPORT = "up/cfg"
    REPLY = "up/rsp"
    AUDIT = "up/aud"
    COMMAND = "dn/cmd"
    CONFIG = "dn/cfg"
    ACK = "dn/ack"


# The largest payload of each channel. An alarm may carry a 16 KiB JPEG, base64 on the wire.
MAX_BYTES: dict[Channel, int] = {
    Channel.STATE: 1024,
    Channel.INFO: 32 * 1024,
    Channel.ALARM: 32 * 1024,
    Channel.EVENT: 32 * 1024,
    Channel.TELEMETRY: 4 * 1024,
    Channel.CONFIG_REPORT: 32 * 1024,
    Channel.REPLY: 32 * 1024,
    Channel.AUDIT: 32 * 1024,
    Channel.COMMAND: 8 * 1024,
    Channel.CONFIG: 64 * 1024,
    Channel.ACK: 1024,
}
MAX_INCIDENT_BYTES = 8 * 1024
MAX_BATCH = 50
CHANNEL_OF: dict[StreamName, Channel] = {
    StreamName.ALARM: Channel.ALARM,
    StreamName.EVENT: Channel.EVENT,
    StreamName.TELEMETRY: Channel.EVENT,
    StreamName.AUDIT: Channel.AUDIT,
}
RETAINED = frozenset(
    {Channel.STATE, Channel.INFO, Channel.CONFIG_REPORT, Channel.CONFIG, Channel.ACK}
)


@dataclass(frozen=True, slots=True, order=True)
class BoxAddress:
    """Which box: the center's slug for the site, and the box's own unique id."""

    site: str
    box: str

    def topic(self, channel: Channel) -> str:
        """Return the topic of `channel` for this box."""
        return f"{ROOT}/{self.site}/{self.box}/{channel.value}"

    @property
    def down_filter(self) -> str:
        """The box's one QoS 1 subscription; a broker may keep a consumer for each."""
        return f"{ROOT}/{self.site}/{self.box}/dn/+"

    @property
    def center_state(self) -> str:
        """The topic on which this site's center says whether it is there."""
        return center_state_topic(self.site)

    @property
    def district(self) -> str:
        """The topic on which this site's center calls all its boxes to an incident."""
        return district_topic(self.site)

    @property
    def source(self) -> str:
        """The CloudEvents `source` of this box."""
        return f"edge/{self.site}/{self.box}"


def center_state_topic(site: str) -> str:
    """Return the topic on which the center of `site` says whether its ingest is alive."""
    return f"{ROOT}/{site}/center/state"


def district_topic(site: str) -> str:
    """Return the topic on which the center of `site` calls all its boxes to an incident."""
    return f"{ROOT}/{site}/center/incident"


def up_filter(site: str = "+") -> str:
    """Return the center's subscription to all boxes of `site` (`+`: of every site)."""
    return f"{ROOT}/{site}/+/up/+"


def parse(topic: str) -> tuple[BoxAddress, Channel] | None:
    """Return whose and what `topic` is, or None when it is not a topic of this contract."""
    found = _TOPIC.match(topic)
    if found is None:
        return None
    try:
        channel = Channel(found["channel"])
    except ValueError:
        return None
    return BoxAddress(found["site"], found["box"]), channel
