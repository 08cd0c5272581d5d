"""The result as the Korean certification takes it: one KisaLibraryIndex file a clip."""

from collections.abc import Sequence
from pathlib import Path

from lxml import etree

from agent.exam.happenings import Alarm

_NAMES = {
    "intrusion": "Intrusion",
    "loitering": "Loitering",
    "line-crossing": "LineCrossing",
    "abandoned-object": "Abandonment",
    "removed-object": "Removal",
    "person-down": "FallDown",
}


def write_result(
    path: Path, file_name: str, duration_s: float, alarms: Sequence[Alarm], scenario: str = ""
) -> None:
    """Write one clip's alarms; times are hours, minutes and seconds of the clip."""
    root = etree.Element("KisaLibraryIndex")
    library = etree.SubElement(root, "Library")
    _text(library, "Scenario", scenario or (kisa_name(alarms[0].behaviour) if alarms else ""))
    _text(library, "Dataset", "")
    _text(library, "Libversion", "1.0")
    clip = etree.SubElement(library, "Clip")
    header = etree.SubElement(clip, "Header")
    _text(header, "AlarmEvents", str(len(alarms)))
    _text(header, "Filename", file_name)
    _text(header, "Duration", _clock(duration_s))
    list_ = etree.SubElement(clip, "Alarms")
    for alarm in alarms:
        one = etree.SubElement(list_, "Alarm")
        _text(one, "StartTime", _clock(alarm.at_s))
        _text(one, "AlarmDescription", kisa_name(alarm.behaviour))
        end_s = duration_s if alarm.end_s is None else alarm.end_s
        _text(one, "AlarmDuration", _clock(end_s - alarm.at_s))
    path.parent.mkdir(parents=True, exist_ok=True)
    etree.ElementTree(root).write(
        str(path), encoding="UTF-8", xml_declaration=True, pretty_print=True
    )


def kisa_name(behaviour: str) -> str:
    """Return the certification's word for a behaviour."""
    return _NAMES.get(behaviour, behaviour.replace("-", " ").title().replace(" ", ""))


def _text(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, name).text = text


def _clock(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
