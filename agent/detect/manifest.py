"""The model manifest: what a model file is, what it expects, and the hash it must have.

A model is a folder with a `manifest.json`. Read by the detect process (which also verifies the
file) and by camera workers (which need the input size and thresholds only).
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field, structs

from agent.contract.events import Fraction
from agent.core.errors import DetectorError
from agent.messages.engines import Engine

SHIPPED_MODEL = Path(__file__).parent / "model"
MANIFEST_FILE = "manifest.json"


class InputSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The picture a model takes: 8-bit RGB, rows first, padded with grey on the right and below."""

    width_px: Annotated[int, Meta(ge=32, le=4096)]
    height_px: Annotated[int, Meta(ge=32, le=4096)]
    layout: Literal["NHWC"] = "NHWC"
    colour: Literal["RGB"] = "RGB"
    type: Literal["uint8"] = "uint8"
    padding: Literal["right-bottom"] = "right-bottom"
    padding_grey: Annotated[int, Meta(ge=0, le=255)] = 114


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The score from which a class is believed; from `candidate` on it may go on a known track."""

    candidate: Fraction = 0.1
    default: Fraction = 0.4
    labels: dict[str, Fraction] = field(default_factory=dict)

    def of(self, label: str) -> float:
        """Return the score from which an object of this class is believed."""
        return self.labels.get(label, self.default)

    def with_labels(self, own: Mapping[str, float]) -> "Thresholds":
        """Return these with a camera's own for some classes."""
        return structs.replace(self, labels={**self.labels, **own}) if own else self


class Variant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same model in another file: compiled or converted for one engine."""

    engine: Engine
    file: str
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model, as its folder describes it."""

    name: str
    version: str
    file: str
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    decoder: Literal["nanodet"]
    backends: Annotated[tuple[str, ...], Meta(min_length=1)]
    licence: str
    origin: str = ""
    input: InputSpec
    thresholds: Thresholds = field(default_factory=Thresholds)
    labels: Annotated[tuple[str, ...], Meta(min_length=1)]
    variants: tuple[Variant, ...] = ()

    @property
    def model(self) -> str:
        """Name and version: what events say about who saw it."""
        return f"{self.name}/{self.version}"


def load_manifest(folder: Path | None = None) -> Manifest:
    """Read the manifest of the model in `folder` (default: the one shipped).

    Raises `DetectorError` "detector.manifest" when there is none or it makes no sense.
    """
    path = (folder or SHIPPED_MODEL) / MANIFEST_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise DetectorError(
            "detector.manifest",
            f"The model folder {path.parent} has no usable {MANIFEST_FILE}: {error}.",
            hint="Set `detector.model` to a folder with a manifest, or leave it empty.",
        ) from error


def verified_file(folder: Path | None, name: str, sha256: str) -> Path:
    """Return the path of a model file once its content is what the manifest says.

    Raises `DetectorError` "detector.model_missing" or "detector.model_hash".
    """
    path = (folder or SHIPPED_MODEL) / name
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DetectorError(
            "detector.model_missing",
            f"The model file {path} can't be read: {error}.",
            hint="Install the model again.",
        ) from error
    if digest != sha256:
        raise DetectorError(
            "detector.model_hash",
            f"The model file {path.name} is not the one its manifest describes (sha256 {digest}).",
            hint="The file is damaged or was exchanged: install the model again.",
        )
    return path


def verified_model_file(manifest: Manifest, folder: Path | None = None) -> Path:
    """Return the model's own file, verified as `verified_file` does."""
    return verified_file(folder, manifest.file, manifest.sha256)
