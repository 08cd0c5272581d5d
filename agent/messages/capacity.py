"""What the detector can carry, measured at its start; the detect process writes it, all read it."""

from datetime import datetime

from msgspec import Struct

CAPACITY_FILE = "detector.json"


class DetectorCapacity(Struct, frozen=True, kw_only=True):
    """`inference_ms` is the mean of ten inferences on this very box."""

    model: str
    sha256: str
    backend: str
    inference_ms: float
    measured_at: datetime
