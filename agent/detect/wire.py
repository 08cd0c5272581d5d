"""What camera workers and the detect process say to each other over a local socket.

A question is two messages (`agent.core.framing`): a msgpack `DetectRequest`, then the raw bytes of
the padded picture. The answer is one msgpack `DetectReply`. One question at a time per connection.
The manifest of the model that answers lies beside the socket: what a worker would choose by itself
may have been refused, or lack a file.
"""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from agent.core.whole_file import write_whole
from agent.detect.manifest import Manifest
from agent.messages.vision import Detection

Pixels = Annotated[int, Meta(ge=1, le=4096)]


class DetectRequest(Struct, frozen=True, kw_only=True):
    """Announces one picture of an input size of the model; only `content_*` is not padding."""

    camera_id: str
    frame_id: int
    width_px: Pixels
    height_px: Pixels
    content_width_px: Pixels
    content_height_px: Pixels
    at_mono_s: float
    """When it was asked, on the box's monotonic clock."""
    wished_per_s: Annotated[float, Meta(gt=0)] = 5.0
    need: Annotated[float, Meta(gt=0)] = 1.0


class DetectReply(Struct, frozen=True, kw_only=True):
    """What the picture shows, best first. `took_ms` is the inference's own time.

    The camera is to wait `every_s` from this question to its next one: that is its share. With
    `has_spare` every camera could ask twice as often: it may look at a part as well.
    """

    frame_id: int
    detections: tuple[Detection, ...]
    model: str
    took_ms: float
    every_s: float = 0.0
    has_spare: bool = False


def tell_model(socket_path: Path, manifest: Manifest) -> None:
    """Put the manifest in force beside the socket, before anybody is answered there."""
    write_whole(_manifest_file(socket_path), msgspec.json.encode(manifest))


def told_model(socket_path: Path) -> Manifest | None:
    """Return the manifest of who answers at the socket; None when that can't be told."""
    try:
        return msgspec.json.decode(_manifest_file(socket_path).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        return None


def _manifest_file(socket_path: Path) -> Path:
    return socket_path.with_suffix(".model")
