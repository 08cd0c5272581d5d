"""Between the core and the process that carries one voice to a loudspeaker: its stdin, stdout."""

from msgspec import Struct


class TalkOrder(Struct, frozen=True, kw_only=True):
    """One voice. `camera_json` (`CameraSettings`) is empty for the box's own speaker.

    `live`: spoken now, so what can't be heard at once is left out. `ca` (PEM) vouches for who
    speaks.
    """

    source_url: str
    for_s: float
    data_dir: str
    live: bool = False
    ca: str = ""
    camera_json: bytes = b""
    board_kind: str = "auto"
    lines_folder: str = ""


class TalkEnd(Struct, frozen=True, kw_only=True):
    """How it went: `said_s` seconds were heard; with a `code` not all, or nothing."""

    said_s: float = 0.0
    code: str = ""
    message: str = ""
    hint: str = ""
