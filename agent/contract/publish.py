"""The contract as a document any center can build against: AsyncAPI 3 with JSON Schemas.

Made from the types themselves: `python -m agent.contract.publish` writes `agent/contract/files/`,
and a test fails when the files are stale. Nothing on the box loads them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from agent import __version__
from agent.contract.acks import Acks
from agent.contract.audit import AuditRecord
from agent.contract.commands import Command, Reply
from agent.contract.config import ConfigReport, Desired
from agent.contract.coverage import CoverageRecord
from agent.contract.enrolment import (
    NONCE_PATH,
    RENEW_PATH,
    REQUEST_PATH,
    Answer,
    Grant,
    Nonce,
    Renewal,
    Request,
    SignedGrant,
)
from agent.contract.events import Event, Gap
from agent.contract.evidence import (
    AuditHeadRecord,
    BoxHourRecord,
    BoxKeyRecord,
    PurgeRecord,
    VideoHeadsRecord,
)
from agent.contract.grants import GrantReport
from agent.contract.incidents import IncidentCall
from agent.contract.info import Info
from agent.contract.onvif_ej import LEVEL, OnvifMessage
from agent.contract.presence import CenterState, State
from agent.contract.ptz import PtzStep
from agent.contract.rollup import HealthRecord
from agent.contract.telemetry import Telemetry
from agent.contract.topics import MAX_BATCH, MAX_BYTES, RETAINED, ROOT, Channel

_OTHERS = (
    CenterState,
    IncidentCall,
    OnvifMessage,
    Nonce,
    Request,
    Renewal,
    Answer,
    Grant,
    SignedGrant,
    GrantReport,
)
FILES = Path(__file__).parent / "files"
_SCHEMA = "#/components/schemas/"


@dataclass(frozen=True, slots=True)
class _Line:
    """One channel: what travels on it, in which direction, and what a reader should know."""

    channel: Channel
    types: tuple[type, ...]
    text: str
    is_array: bool = False
    content_type: str = "application/json"


_LINES = (
    _Line(Channel.STATE, (State,), "Presence; also the last will. Compare `boot` and `conn`."),
    _Line(Channel.INFO, (Info,), "Birth document: what the box is and can do."),
    _Line(Channel.ALARM, (Event, Gap), "One alarm, before everything else. Stream `a`."),
    _Line(
        Channel.EVENT,
        (Event, CoverageRecord, HealthRecord, Gap),
        f"Up to {MAX_BATCH} records of stream `e`, or of stream `t`.",
        is_array=True,
    ),
    _Line(
        Channel.TELEMETRY,
        (Telemetry,),
        "A health sample; may be lost. Unknown is absent. JSON, or, by default, a zstd frame of it"
        " (first bytes 28 B5 2F FD) that names one of the dictionaries beside this document.",
    ),
    _Line(
        Channel.CONFIG_REPORT,
        (ConfigReport,),
        "What became of the desired configuration. A bad key is left out alone, with its path.",
    ),
    _Line(Channel.REPLY, (Reply,), "Answers to commands; the same id is the same command."),
    _Line(
        Channel.AUDIT,
        (
            AuditRecord,
            BoxHourRecord,
            BoxKeyRecord,
            VideoHeadsRecord,
            AuditHeadRecord,
            PurgeRecord,
            Gap,
        ),
        "Hash-chained audit, and what anchors the box's evidence at the center. Stream `u`.",
        is_array=True,
    ),
    _Line(
        Channel.COMMAND,
        (Command, PtzStep),
        "A JWS in compact form; these are its claims. A Command: EdDSA or ES256, `kid` of the"
        " center's key. Never retained. Repeat the same one until it is answered. A PtzStep: HS256,"
        " `kid` is the lease; its key is agreed on by the lease; it is not answered.",
        content_type="application/jose",
    ),
    _Line(
        Channel.CONFIG,
        (Desired,),
        "A retained JWS in compact form, signed like a command; these are its claims. The box goes"
        " back by itself when it loses the link or a camera that worked for 5 minutes.",
        content_type="application/jose",
    ),
    _Line(
        Channel.ACK,
        (Acks,),
        "The center's own acknowledgement: all numbers up to `upto` are stored. A box deletes on"
        " this and on nothing else; a broker's PUBACK is not delivery.",
    ),
)


@dataclass(frozen=True, slots=True)
class _Door:
    """One question to the center's HTTPS service, and what it answers with."""

    name: str
    path: str
    types: tuple[type, ...]
    text: str


_DOORS = (
    _Door("enrol_nonce", NONCE_PATH, (Nonce,), "POST {}: a nonce, good for one question."),
    _Door(
        "enrol_request",
        REQUEST_PATH,
        (Request, Answer),
        "POST a Request, get an Answer; again until somebody at the center has approved. `grant` is"
        " a Grant as JSON text, which `proof` covers.",
    ),
    _Door(
        "enrol_renew",
        RENEW_PATH,
        (Renewal, Answer),
        "POST a Renewal, get an Answer. `signed` is a JWS whose claims are a SignedGrant: what else"
        " changes (authorities, keys, broker addresses). The box tries it and goes back by itself.",
    ),
)


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0.0 document, schemas included."""
    _, schemas = msgspec.json.schema_components(
        [*_spoken(), *_OTHERS], ref_template=f"{_SCHEMA}{{name}}"
    )
    schemas["Acks"] = _plain(msgspec.json.schema(Acks))
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Poleside: box and center",
            "version": __version__,
            "description": (
                "MQTT 3.1.1, QoS at most 1. Topic levels are [a-z0-9-]. Records of a stream are"
                " numbered without holes within an epoch; the center stores each once, moves its"
                " watermark over gaps, and acknowledges the watermark. Unknown fields are ignored."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            **{_name(line.channel): _channel(line) for line in _LINES},
            **{door.name: _door(door) for door in _DOORS},
            "center_state": {
                "address": f"{ROOT}/{{site}}/center/state",
                "description": "Whether the center's ingest is there; retained, also its will.",
                "parameters": {"site": _SITE},
                "messages": {"CenterState": _message(CenterState, "application/json", "")},
            },
            "center_incident": {
                "address": f"{ROOT}/{{site}}/center/incident",
                "description": "A JWS in compact form, signed like a command; these are its claims."
                " QoS 0, never retained; said again while it lasts. Boxes answer on up/rsp.",
                "parameters": {"site": _SITE},
                "messages": {"IncidentCall": _message(IncidentCall, "application/jose", "")},
            },
            "up_onvif_ej": {
                "address": f"{ROOT}/{{site}}/{{box}}/{LEVEL}/{{topic}}",
                "description": "Optional: a camera's event again, in ONVIF's JSON shape. QoS 1, not"
                " retained, not acknowledged. `topic` is ONVIF's without `tns1:`.",
                "parameters": {
                    "site": _SITE,
                    "box": _BOX,
                    "topic": {"description": "Several levels, such as VideoSource/SignalLoss."},
                },
                "messages": {"OnvifMessage": _message(OnvifMessage, "application/json", "")},
            },
        },
        "operations": {
            f"{_action(line.channel)}_{_name(line.channel)}": {
                "action": _action(line.channel),
                "channel": {"$ref": f"#/channels/{_name(line.channel)}"},
                "summary": line.text,
            }
            for line in _LINES
        },
        "components": {"schemas": _plain(schemas)},
    }


_SITE = {"description": "The place, as the center names it: [a-z0-9-], at most 32."}
_BOX = {"description": "The box's unique id: MQTT client id, user and certificate name."}


def _title(kind: type) -> str:
    """Return the name of a type; the acks are a plain mapping without one."""
    return "Acks" if kind is Acks else kind.__name__


def _plain(schema: Any) -> Any:
    """Return a schema as AsyncAPI wants it: a discriminator is just the property's name."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value["propertyName"]
        if key == "discriminator" and isinstance(value, dict)
        else _plain(value)
        for key, value in schema.items()
    }


def _name(channel: Channel) -> str:
    return channel.value.replace("/", "_")


def _action(channel: Channel) -> str:
    """What the box does with a channel."""
    return "send" if channel.value.startswith("up/") else "receive"


def _channel(line: _Line) -> dict[str, Any]:
    address = f"{ROOT}/{{site}}/{{box}}/{line.channel.value}"
    retained = line.channel in RETAINED
    return {
        "address": address,
        "description": line.text,
        "parameters": {"site": _SITE, "box": _BOX},
        "messages": {
            _title(kind): _message(kind, line.content_type, "array" if line.is_array else "")
            for kind in line.types
        },
        "bindings": {"mqtt": {}},
        "x-mqtt": {
            "qos": 0 if line.channel is Channel.TELEMETRY else 1,
            "retain": retained,
            "max_bytes": MAX_BYTES[line.channel],
        },
    }


def _door(door: _Door) -> dict[str, Any]:
    return {
        "address": door.path,
        "description": f"HTTPS, not MQTT. {door.text}",
        "messages": {_title(kind): _message(kind, "application/json", "") for kind in door.types},
        "bindings": {"http": {}},
    }


def _message(kind: type, content_type: str, shape: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"$ref": f"{_SCHEMA}{_title(kind)}"}
    if shape == "array":
        schema = {"type": "array", "items": schema, "maxItems": MAX_BATCH}
    return {"name": _title(kind), "contentType": content_type, "payload": schema}


def published() -> dict[str, type]:
    """Return every type of the contract by the name of its schema and its examples."""
    return {_title(kind): kind for kind in (*_spoken(), *_OTHERS)}


def _spoken() -> list[type]:
    return list(dict.fromkeys(kind for line in _LINES for kind in line.types))


def files() -> dict[str, bytes]:
    """Return every file of the published contract by its name."""
    made = {"asyncapi.json": asyncapi()}
    for name, kind in published().items():
        made[f"schemas/{name}.json"] = msgspec.json.schema(kind)
    return {
        name: (json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()
        for name, content in made.items()
    }


def main() -> None:
    """Write the files."""
    for name, content in files().items():
        path = FILES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    main()
