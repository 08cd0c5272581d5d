"""The page on the box: what a technician with a phone, or the demo's reader, sees of one pole.

Runs in the core process; reads a `BoxView` and changes nothing. Who may ask what is decided before
the handlers here (`agent.local.access.doors`): they read `request.state.box`.
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
from starlette.routing import Route

from agent.contract.events import UtcTime
from agent.core.clock import Clock
from agent.local.access.desk import AccessDesk
from agent.local.access.doors import Doors
from agent.local.access.pages import ACCESS_DIR, AccessPages
from agent.local.service.pages import SERVICE_DIR, ServicePages, ServiceTools
from agent.local.setup.aim_mode import AimMode
from agent.local.setup.camera_pages import CameraPages
from agent.local.setup.network_pages import NetworkPages
from agent.local.setup.pages import SETUP_DIR, SetupPages, SetupTools
from agent.local.setup.site_tests import SiteTests
from agent.local.setup.trial_pages import TrialPages
from agent.local.web import metrics
from agent.local.web.assets import Assets
from agent.local.web.front import FrontParts
from agent.local.web.guard import LOOPBACK_HOSTS, Guard
from agent.local.web.pages import STATIC_DIR, WORDS_DIR, Pages, json_answer, not_found, plain_json
from agent.local.web.parts import changed
from agent.local.web.view import BoxView, LivePicture
from agent.local.web.words import language_of, load_words

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")  # camera slugs and event ULIDs
_BARS: Final = ("segments", "sub_segments", "held_segments")
_JOIN: Final = timedelta(seconds=1)  # segments this close are one bar on the strip
_MAX_TIMELINE_S: Final = 7 * 86_400.0
_MAX_EVENTS: Final = 200
_LIST_EVENTS: Final = 20


def create_app(
    box: BoxView,
    clock: Clock,
    hosts: Iterable[str] = LOOPBACK_HOSTS,
    desk: AccessDesk | None = None,
    tools: SetupTools | None = None,
    service: ServiceTools | None = None,
    *,
    by_address: bool = False,
) -> Starlette:
    """Return the box's page. `hosts` are the names it may be called by, `by_address`: see `Guard`.

    Without a `desk` nobody can sign in: the page is open to read. `tools` are for the set-up page,
    `service` for the service page.
    """
    folders = (ACCESS_DIR, SETUP_DIR, SERVICE_DIR)
    words = load_words(WORDS_DIR, *(folder / "words" for folder in folders))
    pages = Pages(words, *(folder / "templates" for folder in folders))
    doors = Doors(box, desk)
    routes = doors.routes(_Routes(pages, clock, can_sign_in=desk is not None))
    if desk is not None:
        routes += doors.routes(AccessPages(desk, pages))
        if service is not None:
            routes += doors.routes(ServicePages(service, desk, pages))
            desk.end_shell_of = service.shell.end_of
        if tools is not None:
            tests = SiteTests()
            routes += doors.routes(SetupPages(tools, tests, desk, pages))
            routes += doors.routes(TrialPages(tests, tools.read_back, desk, pages))
            routes += doors.routes(NetworkPages(tools.network, desk, pages))
            aiming = AimMode(tools.cameras, clock)
            routes += doors.routes(CameraPages(tools.cameras, tools.changes, aiming, desk, pages))
    return Starlette(
        routes=[
            *routes,
            Route("/static/{name}", Assets(STATIC_DIR).answer),
        ],
        middleware=[
            Middleware(Guard, hosts=hosts, methods=("GET", "HEAD", "POST"), by_address=by_address)
        ],
    )


class _Routes:
    def __init__(self, pages: Pages, clock: Clock, *, can_sign_in: bool) -> None:
        self._pages, self._clock, self._can_sign_in = pages, clock, can_sign_in

    async def page(self, request: Request) -> Response:
        box: BoxView = request.state.box
        state, events = await box.state(), await box.events(_LIST_EVENTS)
        front = FrontParts(self._pages, language_of(request))
        parts = {part.name: part for part in front.of_state(state)}
        return self._pages.render(
            request,
            "box.html",
            person=request.state.person,
            can_sign_in=self._can_sign_in,
            parts=parts | {"events": front.of_events(events, state)},
        )

    async def parts(self, request: Request) -> Response:
        """Answer what the front page shows otherwise by now, of the parts it asks for."""
        box: BoxView = request.state.box
        front = FrontParts(self._pages, language_of(request))
        state = await box.state()
        if "events" in request.query_params:
            return changed(request, [front.of_events(await box.events(_LIST_EVENTS), state)])
        return changed(request, front.of_state(state))

    async def healthz(self, request: Request) -> Response:
        await request.state.box.state()
        return PlainTextResponse("ok\n")

    async def metrics(self, request: Request) -> Response:
        text = metrics.exposition(await request.state.box.state())
        return PlainTextResponse(text, media_type=metrics.CONTENT_TYPE)

    async def state(self, request: Request) -> Response:
        return json_answer(await request.state.box.state())

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
        timeline = camera_id and await request.state.box.timeline(camera_id, last_s)
        if not timeline:
            return not_found()
        joined = {name: tuple(_joined(getattr(timeline, name))) for name in _BARS}
        return json_answer(structs.replace(timeline, **joined))

    async def events(self, request: Request) -> Response:
        limit = int(_number(request, "n", 20, _MAX_EVENTS))
        return json_answer({"events": await request.state.box.events(limit)})

    async def picture(self, request: Request) -> Response:
        event_id = _name(request, "event_id")
        jpeg = event_id and await request.state.box.picture(event_id)
        return Response(jpeg, media_type="image/jpeg") if jpeg else not_found()

    async def _live(self, request: Request) -> LivePicture | None:
        camera_id = _name(request, "camera_id")
        box: BoxView = request.state.box
        return await box.live(camera_id) if camera_id else None

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
