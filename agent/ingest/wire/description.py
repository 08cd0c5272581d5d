"""What a camera tells of its stream (SDP, RFC 8866), as far as its video is concerned."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field

from agent.ingest import refusals
from agent.ingest.wire.strange import NotUnderstood

_MOST_TRACKS = 4  # a hostile description lists thousands, a camera video and, maybe, sound
_CODECS = {"H264": "h264", "H265": "hevc"}
_STATIC = {26: "JPEG", 31: "H261", 32: "MPV", 34: "H263"}  # RFC 3551
_SETS = ("sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets")
_CLOCK_HZ = 90_000
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """The track to set up. `sets` are its parameter sets, as far as the description has them."""

    codec: str
    payload_type: int
    control: str
    sets: tuple[bytes, ...]


@dataclass(slots=True)
class _Media:
    kind: str
    payload_type: int
    lines: list[str] = field(default_factory=list)

    def attribute(self, name: str) -> str:
        start = f"a={name}:"
        return next((line[len(start) :] for line in self.lines if line.startswith(start)), "")

    def of_payload(self, name: str) -> str:
        """Return an attribute's value that is told for the payload type."""
        start = f"a={name}:{self.payload_type} "
        return next((line[len(start) :] for line in self.lines if line.startswith(start)), "")


def read_description(text: str) -> tuple[VideoTrack, str]:
    """Return the video track, and the control address of the whole ("" when there is none).

    Raises `CameraError`, `NotUnderstood` for what libav may know how to read.
    """
    head, media = _split(text)
    if len(media) >= _MOST_TRACKS:
        raise refusals.garbled()
    video = next((one for one in media if one.kind == "video"), None)
    if video is None:
        raise refusals.no_video()
    encoding = video.of_payload("rtpmap").partition(" ")[0].strip()
    name, _, rate = encoding.partition("/")
    if name.upper() not in _CODECS:
        raise refusals.other_codec(name or _STATIC.get(video.payload_type, "unknown"))
    if not rate.startswith(str(_CLOCK_HZ)):
        raise NotUnderstood("another clock rate")
    codec = _CODECS[name.upper()]
    told = _parameters(video.of_payload("fmtp"))
    if codec == "h264" and told.get("packetization-mode", "0") not in ("0", "1"):
        raise NotUnderstood("interleaved packetization")
    if codec == "hevc" and told.get("sprop-max-don-diff", "0") != "0":
        raise NotUnderstood("decoding order numbers")
    sets = tuple(one for name in _SETS for one in _decoded(told.get(name, "")))
    control = _address(video.attribute("control"))
    return VideoTrack(codec, video.payload_type, control, sets), _address(head.attribute("control"))


def _split(text: str) -> tuple[_Media, list[_Media]]:
    head = _Media("", -1)
    media: list[_Media] = []
    for line in text.splitlines():
        if line.startswith("m="):
            words = line[2:].split()
            kind = words[3] if len(words) > 3 else ""
            number = int(kind) if kind.isascii() and kind.isdecimal() and len(kind) < 4 else -1
            media.append(_Media(words[0] if words else "", number))
            if len(media) >= _MOST_TRACKS:
                break
        (media[-1] if media else head).lines.append(line.strip())
    return head, media


def _parameters(fmtp: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in fmtp.split(";"))
    return {name.lower(): value for name, _, value in pairs}


def _decoded(sets: str) -> list[bytes]:
    """Return parameter sets told in Base64; what is spoilt comes with the video, too."""
    found = []
    for word in sets.split(","):
        try:
            one = base64.b64decode(word + "=" * (-len(word) % 4), validate=True)
        except (binascii.Error, ValueError):
            continue
        if one:
            found.append(one)
    return found


def _address(control: str) -> str:
    """Return a control address that may stand in a request line; "" else."""
    return control if control != "*" and _PRINTABLE.fullmatch(control) else ""
