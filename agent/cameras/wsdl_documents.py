"""ONVIF's service descriptions, read once per process and shared by all cameras.

The WSDL files are those of the `onvif-zeep` package. Reading a document costs about 0.15 s of CPU
and 7 MB, a further camera almost nothing.
"""

import importlib.util
import logging
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import zeep
import zeep.wsdl

from agent.core.errors import CameraError

LENIENT = zeep.Settings(strict=False, xml_huge_tree=False, forbid_dtd=True, forbid_external=True)

# zeep logs a traceback for each odd value of a camera; those come out as None and are judged there.
logging.getLogger("zeep").setLevel(logging.CRITICAL)

_documents: dict[str, Any] = {}
_reading = threading.Lock()


def document(name: str) -> Any:
    """Return the parsed `zeep.wsdl.Document` of one file, such as "ptz.wsdl"."""
    with _reading:
        if name not in _documents:
            files: Any = _LocalFiles()
            _documents[name] = zeep.wsdl.Document(str(file_of(name)), files, settings=LENIENT)
        return _documents[name]


def file_of(name: str) -> Path:
    """Return where a WSDL file is. Raises `CameraError` camera.no_wsdl."""
    return _folder() / name


def _folder() -> Path:
    package = importlib.util.find_spec("onvif")
    folder = Path(package.origin).parents[1] / "wsdl" if package and package.origin else None
    if folder is None or not (folder / "devicemgmt.wsdl").is_file():
        raise CameraError(
            "camera.no_wsdl",
            "the ONVIF service descriptions are not installed",
            hint="Install the package onvif-zeep into the same environment as Poleside.",
        )
    return folder


class _LocalFiles:
    """What zeep reads descriptions through: files only, never the network."""

    def load(self, url: str) -> bytes:
        if urlsplit(url).scheme not in ("", "file"):
            raise CameraError("camera.no_wsdl", f"a service description points to {url}")
        return Path(urlsplit(url).path).read_bytes()
