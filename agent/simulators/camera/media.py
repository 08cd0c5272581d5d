"""One loop of real video, read once from an MP4 file and cut into RTP payloads beforehand.

Nothing is encoded while the simulated camera runs; it only sends these payloads again and again.
PyAV: the thread that opens a container also closes it. Closing from another thread crashes.
"""

import base64
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError
from av.video.stream import VideoStream

from agent.core.errors import PolesideError
from agent.simulators.camera.nal_units import (
    CodecName,
    ParameterSets,
    is_parameter_set,
    read_avcc,
    read_hvcc,
    split_sample,
    user_data_sei,
)
from agent.simulators.camera.rtp import CLOCK_HZ, PAYLOAD_TYPE, packetise


@dataclass(frozen=True, slots=True)
class Picture:
    """One access unit as RTP payloads.

    A key picture's parameter sets come before: `sets`. `shift` is by how many pictures it is shown
    later than it is sent, which B-frames make differ from one to the next.
    """

    payloads: tuple[bytes, ...]
    is_key: bool
    sets: tuple[bytes, ...] = ()
    shift: int = 0


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

    def sdp(self, *, with_sets: bool = True, sound: Sequence[str] = ()) -> str:
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
            f"a=fmtp:{PAYLOAD_TYPE} {self._format_parameters(with_sets=with_sets)}",
            f"a=framesize:{PAYLOAD_TYPE} {self.width_px}-{self.height_px}",
            f"a=framerate:{float(self.fps):g}",
            "a=control:trackID=0",
        ]
        return "\r\n".join([*lines, *sound]) + "\r\n"

    def _format_parameters(self, *, with_sets: bool) -> str:
        sets = self.parameter_sets
        if not with_sets:
            return "packetization-mode=1" if self.codec == "h264" else "tx-mode=SRST"
        if self.codec == "h264":
            profile = sets.sps[0][1:4].hex().upper()
            sprop = _base64(sets.sps + sets.pps)
            return f"packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={sprop}"
        return (
            f"sprop-vps={_base64(sets.vps)};sprop-sps={_base64(sets.sps)}"
            f";sprop-pps={_base64(sets.pps)}"
        )


def load_media(path: Path, *, signature: bytes = b"") -> Media:
    """Read the video of an MP4 file. Blocking; takes tens of milliseconds per megabyte at most.

    `signature`, if given, is sent as user data (SEI) before each picture, as cameras that sign
    their video do.
    """
    try:
        with av.open(str(path)) as container:
            return _read(container, path, signature)
    except (OSError, FFmpegError) as error:
        raise PolesideError(
            "simulator.footage-unreadable",
            f"The footage {path} can't be read: {error}.",
            hint="Delete the folder of prepared footage and start again.",
        ) from error


def _read(container: av.container.InputContainer, path: Path, signature: bytes) -> Media:
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
    sei = user_data_sei(signature, codec) if signature else None
    pictures = tuple(_pictures(container, stream, codec, sets, sei))
    keys = tuple(index for index, picture in enumerate(pictures) if picture.is_key)
    return Media(codec, stream.width, stream.height, Fraction(fps), sets, pictures, keys)


def _pictures(
    container: av.container.InputContainer,
    stream: VideoStream,
    codec: CodecName,
    sets: ParameterSets,
    sei: bytes | None,
) -> Iterator[Picture]:
    assert stream.time_base is not None  # noqa: S101 - set by the demuxer
    assert stream.average_rate is not None  # noqa: S101 - checked by the caller
    ticks = 1 / (stream.average_rate * stream.time_base)
    for packet in container.demux(stream):
        if not packet.size or packet.pts is None or packet.dts is None:
            continue
        nals = [nal for nal in split_sample(bytes(packet), sets.length_bytes) if nal]
        slices = [nal for nal in nals if not is_parameter_set(nal, codec)]
        if sei is not None:
            slices.insert(0, sei)
        yield Picture(
            tuple(part for nal in slices for part in packetise(nal, codec)),
            packet.is_keyframe,
            # in band as well, as cameras do: a viewer may miss or distrust the SDP
            tuple(part for nal in sets.all() for part in packetise(nal, codec))
            if packet.is_keyframe
            else (),
            round((packet.pts - packet.dts) / ticks),
        )


def _base64(sets: tuple[bytes, ...]) -> str:
    return ",".join(base64.b64encode(nal).decode("ascii") for nal in sets)
