"""The box's birth document: what it is, what runs on it, what stands beside it, what it can do."""

from msgspec import Struct

from agent.contract.updates import UpdateInfo

SCHEMAS = ("event.v1", "telemetry.v1", "command.v1")


class CameraInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A camera as far as it is known. `can` lists abilities: "ptz", "relay", "events".

    `calibration` is "check" once another camera was found in the place it was made for.
    """

    camera_id: str
    name: str = ""
    maker: str = ""
    model: str = ""
    firmware: str = ""
    can: tuple[str, ...] = ()
    calibration: str = ""


class DetectorShape(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file of the model, for pictures that fit into this size best, and what a look costs."""

    width_px: int
    height_px: int
    sha256: str
    look_ms: float | None = None


class DetectorInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The detector model in use. `sha256` is of the model file, the first one if it has several.

    `shapes` are all of its files: each camera's pictures go to the one that they fit best.
    """

    name: str
    version: str = ""
    sha256: str = ""
    labels: tuple[str, ...] = ()
    shapes: tuple[DetectorShape, ...] = ()


class Info(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Retained; sent at each connection and when it changes. `epoch` is that of the outbox."""

    box: str
    site: str
    model: str
    version: str
    os: str = ""
    simulated: bool = False
    boot: int
    epoch: str
    cameras: tuple[CameraInfo, ...] = ()
    detector: DetectorInfo | None = None
    commands: tuple[str, ...] = ()
    schemas: tuple[str, ...] = SCHEMAS
    settings_hash: str = ""
    key_id: str = ""  # of the key that signs the box's evidence
    key_kind: str = ""  # "file", or "tpm2": it can't leave the board
    update: UpdateInfo | None = None
