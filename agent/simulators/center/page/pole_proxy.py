"""Fetches the box's page answers for the demo's left half: GET only, and only these paths."""

import asyncio
import contextlib
import http.client
import re
from typing import Final
from urllib.parse import SplitResult, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from agent.local.web.pages import json_answer, not_found

_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9-]{0,63}"
_ALLOWED: Final = re.compile(
    rf"parts|api/(?:state|events|cameras/{_NAME}/(?:live|timeline)|events/{_NAME}/picture\.jpg)"
)
_PARAMETERS: Final = re.compile(rf"have|last_s|n|lang|light|cameras|(?:pills|facts)-{_NAME}")
_TIMEOUT_S: Final = 3.0
_MAX_BYTES: Final = 4 * 1024 * 1024


class PoleProxy:
    """Answers `/pole/{path}` from the box at `box_url`; without a box every answer is 404."""

    def __init__(self, box_url: str | None) -> None:
        self._box = urlsplit(box_url) if box_url else None

    async def answer(self, request: Request) -> Response:
        path: str = request.path_params["path"]
        if self._box is None or not _ALLOWED.fullmatch(path):
            return not_found()
        given = request.query_params.items()
        asked = {key: value for key, value in given if _PARAMETERS.fullmatch(key)}
        try:
            return await asyncio.to_thread(_fetch, self._box, f"/{path}?{urlencode(asked)}")
        except (OSError, http.client.HTTPException):
            return json_answer({"error": "box-unreachable"}, 502)


def _fetch(box: SplitResult, target: str) -> Response:
    """Ask the box; runs in a thread. Nothing but type and body of its answer is passed on."""
    connection = http.client.HTTPConnection(box.hostname or "", box.port, timeout=_TIMEOUT_S)
    with contextlib.closing(connection):
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read(_MAX_BYTES)
        return Response(body, answer.status, media_type=answer.getheader("content-type"))
