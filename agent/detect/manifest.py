"""The model manifest: what a model file is, what it expects, and the hash it must have.

A model is a folder with a `manifest.json`. Read by the detect process (which also verifies the
file) and by camera workers (which need the input size and thresholds only). It may hold the model
in several files, each for pictures of another shape: a 4:3 picture fills a wide input badly.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field, structs

from agent.contract.events import Fraction
from agent.core.errors import DetectorError
from agent.messages.engines import Engine

SHIPPED_MODEL = Path(__file__).parent / "model"
MANIFEST_FILE = "manifest.json"
# The files of the shipped model: what it is pinned to, and what the rules were measured with.
SHIPPED_SHA256 = (
    "e1497d5a1263ff0ab42afb32859c0f62cbba8d6992487f8e8f74232d803187ca",
    "8d086c10576d2352d63b0f4dbd7bf83bea609cbbe6435310b95382c73b0beaf5",
)

Shape = tuple[int, ...]


class InputSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The picture a model takes: 8-bit RGB, rows first, padded with grey on the right and below."""

    width_px: Annotated[int, Meta(ge=32, le=4096)]
    height_px: Annotated[int, Meta(ge=32, le=4096)]
    layout: Literal["NHWC"] = "NHWC"
    colour: Literal["RGB"] = "RGB"
    type: Literal["uint8"] = "uint8"
    padding: Literal["right-bottom"] = "right-bottom"
    padding_grey: Annotated[int, Meta(ge=0, le=255)] = 114

    @property
    def shape(self) -> "Shape":
        """Rows, columns and colours of the picture."""
        return (self.height_px, self.width_px, 3)

    def filled_by(self, width_px: int, height_px: int) -> float:
        """Return the share of the input that such a picture fills; the rest is padding."""
        scale = min(self.width_px / width_px, self.height_px / height_px)
        return scale**2 * width_px * height_px / (self.width_px * self.height_px)


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The score from which a class is believed; from `candidate` on it may go on a known track.

    `new` is for one that is not followed yet, of the classes named there: who is followed vouches
    for a box, where nobody is it is more often false.
    """

    candidate: Fraction = 0.1
    default: Fraction = 0.4
    labels: dict[str, Fraction] = field(default_factory=dict)
    new: dict[str, Fraction] = field(default_factory=dict)

    def of(self, label: str) -> float:
        """Return the score from which an object of this class is believed."""
        return self.labels.get(label, self.default)

    def of_new(self, label: str) -> float:
        """Return the score from which an object of this class begins to be followed."""
        return max(self.of(label), self.new.get(label, 0.0))

    def with_labels(self, own: Mapping[str, float]) -> "Thresholds":
        """Return these with a camera's own for some classes, new ones as well."""
        new = {label: score for label, score in self.new.items() if label not in own}
        return structs.replace(self, labels={**self.labels, **own}, new=new)


class Variant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same model in another file: compiled or converted for one engine."""

    engine: Engine
    file: str
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class OtherShape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same model in another file: for pictures of another shape, believed from other scores."""

    file: str
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    input: InputSpec
    thresholds: Thresholds
    variants: tuple[Variant, ...] = ()


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model, as its folder describes it. `shapes` are its further files."""

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
    shapes: tuple[OtherShape, ...] = ()

    def __post_init__(self) -> None:
        if len({form.input.shape for form in self.forms}) <= len(self.shapes):
            raise ValueError("two of its files take pictures of one size")
        if any(_kinds(one) != _kinds(self) for one in self.shapes):
            raise ValueError("not each of its shapes has a file for each engine")

    @property
    def model(self) -> str:
        """Name and version: what events say about who saw it."""
        return f"{self.name}/{self.version}"

    @property
    def digest(self) -> str:
        """What tells it from another: the SHA-256 of its file, or of all its files' together."""
        hashes = [form.sha256 for form in self.forms]
        return hashlib.sha256(" ".join(hashes).encode()).hexdigest() if self.shapes else hashes[0]

    @property
    def is_measured(self) -> bool:
        """Whether the rules were measured with it: its files say that, whatever it is called."""
        return all(form.sha256 in SHIPPED_SHA256 for form in self.forms)

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """What pictures it takes, of each shape."""
        return tuple(form.input for form in self.forms)

    @property
    def forms(self) -> "tuple[Manifest, ...]":
        """The model once for each shape, as if it had that file only; the first is itself."""
        others = (
            structs.replace(
                self,
                file=one.file,
                sha256=one.sha256,
                input=one.input,
                thresholds=one.thresholds,
                variants=one.variants,
                shapes=(),
            )
            for one in self.shapes
        )
        return (self, *others)

    def only(self, forms: "Sequence[Manifest]") -> "Manifest":
        """Return the model with these of its forms, at least one, and no others."""
        first, *others = forms
        kept = tuple(
            OtherShape(
                file=form.file,
                sha256=form.sha256,
                input=form.input,
                thresholds=form.thresholds,
                variants=form.variants,
            )
            for form in others
        )
        return structs.replace(first, shapes=kept)

    def form_for(self, width_px: int, height_px: int) -> "Manifest":
        """Return the form that pictures of this size fit into with the least padding."""
        return max(self.forms, key=lambda form: form.input.filled_by(width_px, height_px))


def _kinds(one: Manifest | OtherShape) -> set[str]:
    """Return which engines there is a file for: by name, and by the suffix of the own file."""
    return {Path(one.file).suffix, *(variant.engine for variant in one.variants)}


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


def verified_model_files(manifest: Manifest, folder: Path | None = None) -> list[Path]:
    """Return the model's own file of each shape, verified as `verified_file` does."""
    return [verified_file(folder, form.file, form.sha256) for form in manifest.forms]
