"""The GOPs of an exported clip, hashed from its samples alone."""

from __future__ import annotations

from dataclasses import dataclass

from agent.evidence.frames import GopHash, length_bytes, nal_units, parameter_digest
from agent.evidence.mp4_samples import ClipMedia


@dataclass(frozen=True, slots=True)
class ClipGop:
    """One GOP as the file holds it. A broken one has a sample whose units do not add up."""

    start_s: float
    hash: GopHash
    is_broken: bool = False


def gops_of_clip(media: ClipMedia, parameters: bytes | None = None) -> list[ClipGop]:
    """Return the GOPs in the order they play.

    `parameters` is the digest the hashes begin with: by default that of the file's own
    parameter sets.
    """
    size = length_bytes(media.codec, media.extradata)
    if parameters is None:
        parameters = parameter_digest(media.codec, media.extradata, [])
    gops: list[ClipGop] = []
    for sample, data in media.frames():
        if sample.is_key or not gops:
            made = GopHash(media.codec, parameters, media.time_base)
            gops.append(ClipGop(float(sample.dts * media.time_base), made))
        try:
            units = nal_units(data, size)
        except ValueError:
            units = [data]
            gops[-1] = ClipGop(gops[-1].start_s, gops[-1].hash, is_broken=True)
        gops[-1].hash.add(units, sample.dts, sample.pts, is_key=sample.is_key)
    return gops
