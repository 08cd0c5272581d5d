"""One loop of real video, read once from an MP4 file and cut into RTP payloads beforehand.

Nothing is encoded while the simulated camera runs; it only sends these payloads again and again.
PyAV: the thread that opens a container also closes it. Closing from another thread crashes.
"""

import base64
from bisect import bisect_right
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError

from agent.core.errors import PolesideError
from agent.simulators.camera.nal_units import (
    CodecName,
    ParameterSets,
    is_parameter_set,
    read_avcc,
    read_hvcc,
    split_sample,
)
from agent.simulators.camera.rtp import CLOCK_HZ, PAYLOAD_TYPE, packetise


@dataclass(frozen=True, slots=True)
class Picture:
    """One access unit as RTP payloads. A key picture starts with the parameter sets."""

    payloads: tuple[bytes, ...]
    is_key: bool


@dataclass(frozen=True, slots=True)
class Media:
    """A loop of pictures at a constant rate; the first one is a key picture."""

    codec: CodecName
    width_px: int
    height_px: int
    fps: Fraction
    parameter_sets: ParameterSets
    pictures: tuple[Picture, ...]
    key_indexes: tuple[int, ...]

    @property
    def ticks_per_picture_90k(self) -> Fraction:
        return CLOCK_HZ / self.fps

    def key_at_or_before(self, index: int) -> int:
        """Return the index of the key picture a decoder must start from to show `index`."""
        return self.key_indexes[bisect_right(self.key_indexes, index % len(self.pictures)) - 1]

    def sdp(self) -> str:
        """Describe the stream (RFC 4566; parameters of RFC 6184 8.1 and RFC 7798 7.1)."""
        encoding = "H264" if self.codec == "h264" else "H265"
        lines = [
            "v=0",
            "o=- 1 1 IN IP4 0.0.0.0",
            "s=Poleside simulated camera",
            "c=IN IP4 0.0.0.0",
            "t=0 0",
            "a=control:*",
            "a=range:npt=now-",
            f"m=video 0 RTP/AVP {PAYLOAD_TYPE}",
            f"a=rtpmap:{PAYLOAD_TYPE} {encoding}/{CLOCK_HZ}",
            f"a=fmtp:{PAYLOAD_TYPE} {self._format_parameters()}",
            f"a=framesize:{PAYLOAD_TYPE} {self.width_px}-{self.height_px}",
            f"a=framerate:{float(self.fps):g}",
            "a=control:trackID=0",
        ]
        return "\r\n".join(lines) + "\r\n"

    def _format_parameters(self) -> str:
        sets = self.parameter_sets
        if self.codec == "h264":
            profile = sets.sps[0][1:4].hex().upper()
            sprop = _base64(sets.sps + sets.pps)
            return f"packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={sprop}"
        return (
            f"sprop-vps={_base64(sets.vps)};sprop-sps={_base64(sets.sps)}"
            f";sprop-pps={_base64(sets.pps)}"
        )


def load_media(path: Path) -> Media:
    """Read the video of an MP4 file. Blocking; takes tens of milliseconds per megabyte at most."""
    try:
        with av.open(str(path)) as container:
            return _read(container, path)
    except (OSError, FFmpegError) as error:
        raise PolesideError(
            "simulator.footage-unreadable",
            f"The footage {path} can't be read: {error}.",
            hint="Delete the folder of prepared footage and start again.",
        ) from error


def _read(container: av.container.InputContainer, path: Path) -> Media:
    stream = container.streams.video[0]
    name, box, fps = stream.codec_context.name, stream.codec_context.extradata, stream.average_rate
    if name not in ("h264", "hevc") or not box or not fps:
        raise PolesideError(
            "simulator.footage-unsuitable",
            f"{path} holds {name} video that the simulated camera can't send.",
            hint="Give an MP4 file with H.264 or H.265 at a constant frame rate.",
        )
    codec: CodecName = "h264" if name == "h264" else "hevc"
    sets = read_avcc(box) if codec == "h264" else read_hvcc(box)
    pictures = tuple(
        _picture(bytes(packet), codec, sets, is_key=packet.is_keyframe)
        for packet in container.demux(stream)
        if packet.size
    )
    keys = tuple(index for index, picture in enumerate(pictures) if picture.is_key)
    return Media(codec, stream.width, stream.height, Fraction(fps), sets, pictures, keys)


def _picture(sample: bytes, codec: CodecName, sets: ParameterSets, *, is_key: bool) -> Picture:
    nals = [
        nal
        for nal in split_sample(sample, sets.length_bytes)
        if nal and not is_parameter_set(nal, codec)
    ]
    if is_key:  # in band as well, as cameras do: a viewer may miss or distrust the SDP
        nals[:0] = sets.all()
    return Picture(tuple(part for nal in nals for part in packetise(nal, codec)), is_key)


def _base64(sets: tuple[bytes, ...]) -> str:
    return ",".join(base64.b64encode(nal).decode("ascii") for nal in sets)
