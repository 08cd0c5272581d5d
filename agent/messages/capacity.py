"""What the detector can carry, measured at its start; the detect process writes it, all read it."""

from datetime import datetime

from msgspec import Struct

from agent.messages.engines import Engine

CAPACITY_FILE = "detector.json"


class ShapeCapacity(Struct, frozen=True, kw_only=True):
    """What pictures of one shape cost: the median of ten inferences on this very box."""

    width_px: int
    height_px: int
    sha256: str
    inference_ms: float


class DetectorCapacity(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`inference_ms` is what a look costs at most: that of the dearest of the model's `shapes`.

    `left_out` are better engines that hung, crashed or failed and are left alone for a while; when
    no engine is left, `engine` is None and `why` says what happened: the box sees motion only.
    `lost` are files of the model that are damaged: another of its files stands in for each.
    `is_measured` says whether it is the model that the rules were measured with.
    """

    model: str = ""
    sha256: str = ""
    backend: str = ""
    inference_ms: float | None = None
    measured_at: datetime
    engine: Engine | None = None
    left_out: tuple[Engine, ...] = ()
    why: str = ""
    shapes: tuple[ShapeCapacity, ...] = ()
    lost: tuple[str, ...] = ()
    is_measured: bool = False
