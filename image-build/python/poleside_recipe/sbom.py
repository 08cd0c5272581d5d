"""What an image is made of, by name, version and licence: CycloneDX, and a list to read.

Both lie in the image under /usr/share/poleside. Debian's full texts stay in /usr/share/doc, those
of the Python distributions beside their metadata, those of files of others beside these.
"""

import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from poleside_recipe import kernel
from poleside_recipe.boot_stage import FIRST_STAGES
from poleside_recipe.run import EPOCH

FOLDER = "usr/share/poleside"
_NAMESPACE = uuid.UUID("5f0f7a52-8f0c-5d7e-9a55-706f6c657369")


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One package: `kind` is Debian's `deb` or Python's `pypi`; or one file of somebody else's.

    Such a file (`npm`, `generic`) lies among the agent's own and has its `sha256`.
    """

    kind: str
    name: str
    version: str
    licences: tuple[str, ...]
    architecture: str = ""
    sha256: str = ""

    @property
    def purl(self) -> str:
        if self.kind == "deb":
            version = self.version.replace("+", "%2B").replace(":", "%3A")
            return f"pkg:deb/debian/{self.name}@{version}?arch={self.architecture}"
        return f"pkg:{self.kind}/{self.name}@{self.version}"


OTHERS_FILES = {
    "agent/detect/face_model/blazeface_full_range.tflite": Part(
        "generic", "blazeface-full-range", "0.6.0", ("Apache-2.0",)
    ),
    "agent/detect/model/nanodet_256x416_int8.tflite": Part(
        "generic", "nanodet-g-416x256-int8", "1", ("Apache-2.0", "MIT")
    ),
    "agent/detect/model/nanodet_320x416_int8.tflite": Part(
        "generic", "nanodet-g-416x320-int8", "1", ("Apache-2.0", "MIT")
    ),
    "agent/local/report/fonts/NanumSquareR.ttf": Part(
        "generic", "nanumsquare", "1.000", ("OFL-1.1",)
    ),
    "agent/local/web/static/htmx.min.js": Part("npm", "htmx.org", "2.0.11", ("0BSD",)),
}


def lay(root: Path, unpacked: Path, version: str) -> None:
    """Write `sbom.cdx.json` and `licences.txt` into the root."""
    for document in (unpacked / "usr/share/doc").glob("*/copyright"):
        target = root / "usr/share/doc" / document.parent.name / "copyright"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(document, target)
    status = (root / "var/lib/dpkg/status").read_text()
    controls = sorted((unpacked / "control").glob("*/control"))
    texts = [status, *(control.read_text() for control in controls)]
    packages = root / "opt/poleside/lib"
    named = (
        *(debian(texts, root / "usr/share/doc"), python(packages)),
        *(others_files(packages), first_stages(unpacked / FIRST_STAGES)),
        own_module(root, version),
    )
    parts = sorted({part for each in named for part in each})
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sbom.cdx.json").write_text(json.dumps(cyclonedx(parts, version), indent=1) + "\n")
    lines = [f"{part.name} {part.version}: {', '.join(part.licences)}\n" for part in parts]
    (folder / "licences.txt").write_text("".join(lines))


def debian(texts: list[str], documents: Path) -> Iterator[Part]:
    """Yield the packages of dpkg's status and of control files."""
    for paragraph in "\n\n".join(texts).split("\n\n"):
        found = HeaderParser().parsestr(paragraph.strip())
        if not found["Package"] or "installed" not in (found["Status"] or "installed").split():
            continue
        name, document = found["Package"], documents / found["Package"] / "copyright"
        licences = debian_licences(document) or ("see its copyright file",)
        yield Part("deb", name, found["Version"], licences, found["Architecture"])


def debian_licences(document: Path) -> tuple[str, ...]:
    """Return the licences a copyright file names, empty when it is prose or missing."""
    if not document.is_file():
        return ()
    text = document.read_text("utf-8", "replace")
    return tuple(sorted(set(re.findall(r"(?m)^License: *(\S.*?) *$", text))))


def python(packages: Path) -> Iterator[Part]:
    """Yield the distributions by their metadata."""
    for metadata in sorted(packages.glob("*.dist-info/METADATA")):
        found = HeaderParser().parsestr(metadata.read_text("utf-8"))
        named = [found["License-Expression"] or ""]
        named += [
            line.rsplit("::", 1)[1].strip()
            for line in found.get_all("Classifier", [])
            if line.startswith("License ::")
        ]
        named += [(found["License"] or "").split("\n", 1)[0]]
        licence = next((name for name in named if name), "see its metadata")
        yield Part("pypi", found["Name"].lower(), found["Version"], (licence,))


def others_files(packages: Path) -> Iterator[Part]:
    """Yield what the agent brings of others, with the hash of what lies there."""
    for path, part in OTHERS_FILES.items():
        if (packages / path).is_file():
            digest = hashlib.sha256((packages / path).read_bytes()).hexdigest()
            yield replace(part, sha256=digest)


def first_stages(folder: Path) -> Iterator[Part]:
    """Yield a Raspberry Pi's first stages that the builder gave in place of Debian's."""
    for file in sorted(folder.glob("*")):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        yield Part("generic", file.name, digest[:12], ("Raspberry Pi's boot licence",), "", digest)


def own_module(root: Path, version: str) -> Iterator[Part]:
    """Yield our kernel module: a part of another licence than the agent's."""
    for file in kernel.modules_laid(root):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        yield Part("generic", file.stem, version, (kernel.LICENCE,), "", digest)


def cyclonedx(parts: list[Part], version: str) -> dict[str, Any]:
    """Return the bill of materials (CycloneDX 1.5), the same for the same parts."""
    components = [
        {
            "type": "library",
            "bom-ref": part.purl,
            "name": part.name,
            "version": part.version,
            "purl": part.purl,
            "licenses": [{"license": {"name": licence}} for licence in part.licences],
            **({"hashes": [{"alg": "SHA-256", "content": part.sha256}]} if part.sha256 else {}),
        }
        for part in parts
    ]
    identity = uuid.uuid5(_NAMESPACE, json.dumps(components))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{identity}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(EPOCH, UTC).isoformat(),
            "component": {"type": "firmware", "name": "poleside", "version": version},
        },
        "components": components,
    }
