"""The page on the box: what a technician with a phone, or the demo's reader, sees of one pole.

Runs in the core process; reads a `BoxView` and changes nothing. Only loopback names are answered
until a technician's login exists.
"""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from msgspec import structs
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from agent.contract.events import UtcTime
from agent.core.clock import Clock
from agent.local.web import metrics
from agent.local.web.guard import LOOPBACK_HOSTS, Guard
from agent.local.web.pages import STATIC_DIR, WORDS_DIR, Pages, json_answer, not_found, plain_json
from agent.local.web.view import BoxView, LivePicture
from agent.local.web.words import load_words

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")  # camera slugs and event ULIDs
_BARS: Final = ("segments", "sub_segments", "held_segments")
_JOIN: Final = timedelta(seconds=1)  # segments this close are one bar on the strip
_MAX_TIMELINE_S: Final = 7 * 86_400.0
_MAX_EVENTS: Final = 200


def create_app(box: BoxView, clock: Clock, hosts: Iterable[str] = LOOPBACK_HOSTS) -> Starlette:
    """Return the box's page. `hosts` are the names it may be called by."""
    routes = _Routes(box, clock)
    return Starlette(
        routes=[
            Route("/", routes.page),
            Route("/healthz", routes.healthz),
            Route("/metrics", routes.metrics),
            Route("/api/state", routes.state),
            Route("/api/cameras/{camera_id}/live", routes.live),
            Route("/api/cameras/{camera_id}/live.jpg", routes.live_jpeg),
            Route("/api/cameras/{camera_id}/timeline", routes.timeline),
            Route("/api/events", routes.events),
            Route("/api/events/{event_id}/picture.jpg", routes.picture),
            Mount("/static", StaticFiles(directory=STATIC_DIR)),
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
    )


class _Routes:
    def __init__(self, box: BoxView, clock: Clock) -> None:
        self._box, self._clock = box, clock
        self._pages = Pages(load_words(WORDS_DIR))

    async def page(self, request: Request) -> Response:
        return self._pages.render(request, "box.html")

    async def healthz(self, _request: Request) -> Response:
        await self._box.state()
        return PlainTextResponse("ok\n")

    async def metrics(self, _request: Request) -> Response:
        text = metrics.exposition(await self._box.state())
        return PlainTextResponse(text, media_type=metrics.CONTENT_TYPE)

    async def state(self, _request: Request) -> Response:
        return json_answer(await self._box.state())

    async def live(self, request: Request) -> Response:
        """Answer picture and objects of one frame, or null; `?have=ID` spares a known picture."""
        live = await self._live(request)
        if live is None:
            return plain_json(None)
        picture_id = _picture_id(live)
        is_known = request.query_params.get("have") == picture_id
        answer = structs.asdict(live) | {
            "picture_id": picture_id,
            "age_s": self._age_s(live),
            "jpeg": None if is_known else live.jpeg,
        }
        return plain_json(answer)

    async def live_jpeg(self, request: Request) -> Response:
        live = await self._live(request)
        if live is None:
            return not_found()
        headers = {
            "x-picture-age-s": f"{self._age_s(live):.3f}",
            "x-picture-id": _picture_id(live),
        }
        return Response(live.jpeg, media_type="image/jpeg", headers=headers)

    async def timeline(self, request: Request) -> Response:
        camera_id = _name(request, "camera_id")
        last_s = _number(request, "last_s", 3600.0, _MAX_TIMELINE_S)
        timeline = camera_id and await self._box.timeline(camera_id, last_s)
        if not timeline:
            return not_found()
        joined = {name: tuple(_joined(getattr(timeline, name))) for name in _BARS}
        return json_answer(structs.replace(timeline, **joined))

    async def events(self, request: Request) -> Response:
        limit = int(_number(request, "n", 20, _MAX_EVENTS))
        return json_answer({"events": await self._box.events(limit)})

    async def picture(self, request: Request) -> Response:
        event_id = _name(request, "event_id")
        jpeg = event_id and await self._box.picture(event_id)
        return Response(jpeg, media_type="image/jpeg") if jpeg else not_found()

    async def _live(self, request: Request) -> LivePicture | None:
        camera_id = _name(request, "camera_id")
        return await self._box.live(camera_id) if camera_id else None

    def _age_s(self, live: LivePicture) -> float:
        return max(0.0, self._clock.monotonic_s() - live.taken_mono_s)


def _picture_id(live: LivePicture) -> str:
    return f"{live.taken_mono_s:.3f}"


def _name(request: Request, key: str) -> str | None:
    value: str = request.path_params[key]
    return value if _NAME.fullmatch(value) else None


def _number(request: Request, key: str, default: float, most: float) -> float:
    """Return a query number between 1 and `most`; anything else is the default."""
    try:
        value = float(request.query_params.get(key, default))
    except ValueError:
        return default
    return min(value, most) if value >= 1 else default


def _joined(segments: Iterable[tuple[UtcTime, UtcTime]]) -> list[tuple[UtcTime, UtcTime]]:
    """Return `segments` with neighbours joined: a day is thousands of files but few bars."""
    bars: list[tuple[UtcTime, UtcTime]] = []
    for began, until in segments:
        if bars and began - bars[-1][1] <= _JOIN:
            bars[-1] = (bars[-1][0], max(bars[-1][1], until))
        else:
            bars.append((began, until))
    return bars
