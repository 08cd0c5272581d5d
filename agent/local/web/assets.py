"""The page's own files: read once, sent compressed, and asked for again only when they changed.

The mark of a file is of its content: an image gives all its files one date.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_LEAST_BYTES: Final = 600  # smaller ones don't gain by it


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    zipped: bytes | None
    etag: str
    media_type: str


class Assets:
    """Answers `/static/{name}` with the files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.name: _read(path) for path in folder.iterdir() if path.is_file()}

    async def answer(self, request: Request) -> Response:
        asset = self._files.get(request.path_params["name"])
        if asset is None:
            return Response("Not Found", 404, media_type="text/plain")
        headers = {"etag": asset.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == asset.etag:
            return Response(status_code=304, headers=headers)
        content = asset.content
        if asset.zipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
            content, headers["content-encoding"] = asset.zipped, "gzip"
        return Response(content, headers=headers, media_type=asset.media_type)


def _read(path: Path) -> _Asset:
    content = path.read_bytes()
    zipped = gzip.compress(content, mtime=0) if len(content) >= _LEAST_BYTES else None
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    # Weak: both forms of a file, packed or not, go by it (RFC 9110, 8.8.1).
    return _Asset(content, zipped, f'W/"{hashlib.sha256(content).hexdigest()[:16]}"', media_type)
