"""What a hostile camera makes of a good answer: each kind once. See `OnvifFaults.spoils`."""

import random
import re
from collections.abc import Callable
from dataclasses import replace

from agent.cameras.bounded_http import MAX_BODY_BYTES
from agent.simulators.camera import onvif_answers
from agent.simulators.camera.onvif_http import HttpReply

Spoil = Callable[[HttpReply], HttpReply]

_HUGE = onvif_answers.envelope("<x>" + "y" * (MAX_BODY_BYTES * 2) + "</x>")
_LARGEST = onvif_answers.envelope("<x>" + "y" * (MAX_BODY_BYTES - 4096) + "</x>")
_CROWD = onvif_answers.envelope("<tt:a/>" * 190_000)
_FLOOD = onvif_answers.envelope("<tt:a/>" * 250_000)
_DEEP = onvif_answers.envelope("<tt:a>" * 50_000 + "</tt:a>" * 50_000)
_BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "'
    + b"a" * 10_000
    + b'"><!ENTITY b "'
    + b"&a;" * 10_000
    + b'">]><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">'
    b"<s:Body><x>&b;</x></s:Body></s:Envelope>"
)
_OUTSIDE = (
    b'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope">'
    b"<s:Body><x>&a;</x></s:Body></s:Envelope>"
)
_OTHER = onvif_answers.envelope(onvif_answers.hostname("camera"))
_PAGE = b"<html><body><h1>Internal error</h1></body></html>"


def _body(body: bytes, status: int = 200) -> Spoil:
    return lambda good: replace(good, status=status, body=body)


def _headed(*headers: tuple[str, str], status: int = 200, body: bytes | None = None) -> Spoil:
    return lambda good: replace(
        good,
        status=status,
        body=good.body if body is None else body,
        headers=(*good.headers, *headers),
    )


def _fault(side: str, subcode: str, reason: str, status: int = 500) -> Spoil:
    return _body(onvif_answers.envelope(onvif_answers.fault(side, subcode, reason)), status)


def _damaged(good: HttpReply) -> HttpReply:
    dice, body = random.Random(len(good.body)), bytearray(good.body)
    for _ in range(1 + len(body) // 60):
        body[dice.randrange(40, len(body))] = dice.randrange(256)
    return replace(good, body=bytes(body))


def _told(value: bytes) -> Spoil:
    """Put `value` where the answer says a number, a time, a duration or a truth."""
    plain = rb"-?[\d.]+|true|false|PT[\d.HMS]+|\d{4}-[\dT:.+-]+Z?"
    in_text, in_attribute = re.compile(rb">(%s)<" % plain), re.compile(rb'="(%s)"' % plain)

    def spoil(good: HttpReply) -> HttpReply:
        body = in_text.sub(b">%s<" % value, good.body)
        return replace(good, body=in_attribute.sub(b'="%s"' % value, body))

    return spoil


# After these there is nothing to answer from: only an error is right. They are large …
HEAVY: dict[str, Spoil] = {
    "huge": _body(_HUGE),
    "as large as may be": _body(_LARGEST),
    "crowd of elements": _body(_CROWD),
    "flood of elements": _body(_FLOOD),
    "deep": _body(_DEEP),
}
# … or small.
NO_ANSWER: dict[str, Spoil] = {
    "wrong root": _body(b"<root><Body><GetStatusResponse/></Body></root>"),
    "a web page": _body(_PAGE),
    "an error page": _body(_PAGE, 500),
    "another answer": _body(_OTHER),
    "no body": _body(onvif_answers.envelope("")),
    "empty 200": _body(b""),
    "junk": _body(b"\x00\xff\xfe<" * 2000),
    "entity bomb": _body(_BOMB),
    "outer entity": _body(_OUTSIDE),
    "cut short": lambda good: replace(
        good, body=good.body[: len(good.body) // 2], said_bytes=len(good.body)
    ),
    "said to be endless": lambda good: replace(good, said_bytes=10**12),
    "packed": _headed(("Content-Encoding", "gzip"), body=b"\x1f\x8b" + b"\0" * 100),
    "sent elsewhere": _headed(("Location", "http://192.0.2.1/"), status=302, body=b""),
    "hundreds of headers": _headed(*((f"X-{n}", "1") for n in range(500))),
    "a header without end": _headed(("X-Long", "x" * 200_000)),
    "fault of nothing": _body(onvif_answers.envelope("<s:Fault/>"), 500),
    "fault of many words": _fault("Sender", "Ter" * 5000, "why " * 50_000, 200),
}
# What a camera cannot or may not is not asked of it again.
CANNOT = _fault("Receiver", "ActionNotSupported", "no")
FORBIDDEN = _fault("Sender", "OperationProhibited", "no", 403)
# These leave something of the answer: what is read of it is an answer, else it is an error.
PART_OF_AN_ANSWER: dict[str, Spoil] = {
    "damaged": _damaged,
    "all numbers without end": _told(b"9" * 400),
    "all numbers negative": _told(b"-1e308"),
    "all numbers none": _told(b"NaN"),
    "all numbers empty": _told(b""),
    "all times far away": _told(b"99999-13-45T99:99:99Z"),
    "all times the last": _told(b"9999-12-31T23:59:59-14:00"),
    "called a picture": lambda good: replace(good, content_type="image/jpeg"),
    "no type at all": lambda good: replace(good, content_type=""),
}
# It ends by a deadline only.
DRIPPING: Spoil = lambda good: replace(good, drip_s=0.05)  # noqa: E731
# It shuts the door for minutes.
REFUSED = _fault("Sender", "NotAuthorized", "Sender not authorized", 400)
