"""Event messages of cameras, read from raw XML: zeep loses the topic's text.

A topic is told without prefixes, as "RuleEngine/CellMotionDetector/Motion"; what a camera writes
around it (vendor prefixes, a trailing slash or dot) is taken off.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from lxml import etree

from agent.cameras.xml_text import attribute, child, children, everywhere, text

Items = tuple[tuple[str, str], ...]
MAX_MESSAGES = 1000
_MAX_ITEMS, _MAX_TEXT = 32, 256


class Operation(StrEnum):
    """What a message says of a property (ONVIF Core, "Property Events"). `NONE`: it is no state."""

    INITIALIZED = "Initialized"
    CHANGED = "Changed"
    DELETED = "Deleted"
    NONE = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """One message. `camera_at` is UTC by the camera's own clock, None when it does not tell."""

    topic: str
    source: Items
    data: Items
    operation: Operation
    camera_at: datetime | None

    def value(self, name: str) -> str:
        """Return a data item by name; empty when it is not there."""
        return next((v for n, v in self.data if n.lower() == name.lower()), "")


def read_notifications(answer: etree._Element) -> tuple[Notification, ...]:
    """Read all messages below a PullMessages answer or a Notify."""
    found: list[Notification] = []
    for message in everywhere(answer, "NotificationMessage"):
        topic = plain_topic(text(message, "Topic"))
        if topic and len(found) < MAX_MESSAGES:
            found.append(_notification(topic, child(message, "Message/Message")))
    return tuple(found)


def plain_topic(given: str) -> str:
    """Return a topic without prefixes and without what some cameras leave at its end."""
    segments = (part.strip().rpartition(":")[2] for part in given[:_MAX_TEXT].split("/"))
    return "/".join(part for part in segments if part).rstrip("./")


def _notification(topic: str, message: etree._Element | None) -> Notification:
    operation = attribute(message, "PropertyOperation").capitalize()
    return Notification(
        topic=topic,
        source=_items(child(message, "Source")) + _items(child(message, "Key")),
        data=_items(child(message, "Data")),
        operation=Operation(operation) if operation in set(Operation) else Operation.NONE,
        camera_at=_time(attribute(message, "UtcTime")),
    )


def _items(part: etree._Element | None) -> Items:
    items = [
        (attribute(item, "Name")[:_MAX_TEXT], attribute(item, "Value")[:_MAX_TEXT])
        for item in children(part, "SimpleItem")
    ]
    return tuple(items[:_MAX_ITEMS])


def _time(given: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        return None
    try:
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        return None
