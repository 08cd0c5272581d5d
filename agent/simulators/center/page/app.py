"""The demo's page, in two halves: the pole (through its box's own page) and the center.

Runs in the simulated center's process. It shows, and passes orders on; the center signs them.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from agent.core.clock import Clock
from agent.core.errors import CommandError, PolesideError
from agent.local.web.guard import LOOPBACK_HOSTS, Guard
from agent.local.web.pages import STATIC_DIR, WORDS_DIR, Pages, json_answer, not_found
from agent.local.web.words import language_of, load_words
from agent.simulators.center.fire_call import FireCall
from agent.simulators.center.page.faults import faults_told
from agent.simulators.center.page.incidents import IncidentBoard
from agent.simulators.center.page.orders import Gatekeeper, OrderDesk, read_order, read_step
from agent.simulators.center.page.pole_proxy import PoleProxy
from agent.simulators.center.view import CenterView

_HERE: Final = Path(__file__).parent
_SHOWN_TYPES: Final = ("video/mp4", "image/jpeg")


def create_app(
    center: CenterView,
    clock: Clock,
    box_url: str | None,
    *,
    footage: Mapping[str, str] | None = None,
    hosts: Iterable[str] = LOOPBACK_HOSTS,
    box_routes: Sequence[BaseRoute] = (),
    fire: FireCall | None = None,
) -> Starlette:
    """Return the demo's page, and beside it the center's own routes for boxes (`Center.routes`).

    `box_url` is where the box's page is ("http://127.0.0.1:8470"). `footage` says in each
    language ("en", "ko") what the simulated cameras play. `hosts` are this page's own names.
    Without `fire` the page has no 119 button.
    """
    routes = _Routes(center, clock, footage or {}, fire)
    return Starlette(
        routes=[
            Route("/", routes.page),
            Route("/healthz", routes.healthz),
            *box_routes,
            Route("/pole/{path:path}", PoleProxy(box_url).answer),
            Route("/api/center/state", routes.state),
            Route("/api/center/incidents/{incident_id}/picture.jpg", routes.picture),
            Route("/api/center/orders", routes.order, methods=["POST"]),
            Route("/api/center/steps", routes.step, methods=["POST"]),
            Route("/api/center/files/{command_id}", routes.file),
            Route("/api/center/fire", routes.press, methods=["POST"]),
            Route("/api/center/relay/{name}.jpg", routes.relayed),
            Mount("/static", StaticFiles(directory=STATIC_DIR)),
            Mount("/center", StaticFiles(directory=_HERE / "static")),
        ],
        middleware=[Middleware(Guard, hosts=hosts, methods=("GET", "HEAD", "POST", "PUT"))],
    )


class _Routes:
    def __init__(
        self,
        center: CenterView,
        clock: Clock,
        footage: Mapping[str, str],
        fire: FireCall | None,
    ) -> None:
        self._center, self._clock, self._footage, self._fire = center, clock, footage, fire
        self._pages = Pages(load_words(WORDS_DIR, _HERE / "words"), _HERE / "templates")
        self._incidents = IncidentBoard(center)
        self._desk = OrderDesk(center, clock)
        self._gatekeeper = Gatekeeper()

    async def page(self, request: Request) -> Response:
        return self._pages.render(
            request,
            "center.html",
            token=self._gatekeeper.token,
            has_fire=self._fire is not None,
            footage=self._footage.get(language_of(request), ""),
        )

    async def healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def state(self, _request: Request) -> Response:
        seen = await self._center.boxes()
        sessions = {
            f"{box.address.site}/{box.address.box}": await self._center.sessions(box.address)
            for box in seen
        }
        incidents = await self._incidents.newest()
        faults = {
            f"{box.address.site}/{box.address.box}": faults_told(box, incidents) for box in seen
        }
        return json_answer(
            {
                "utc_now": self._clock.utc_now(),
                "link": self._center.link(),
                "boxes": seen,
                "sessions": sessions,
                "doubts": await self._center.doubts(),
                "incidents": incidents,
                "faults": faults,
                "orders": self._desk.entries(),
                "fire": None if self._fire is None else await self._fire.state(),
            }
        )

    async def picture(self, request: Request) -> Response:
        jpeg = self._incidents.picture(request.path_params["incident_id"])
        return Response(jpeg, media_type="image/jpeg") if jpeg else not_found()

    async def order(self, request: Request) -> Response:
        """Give an order; the answer comes with the box's final reply."""
        if refusal := self._gatekeeper.refusal(request):
            return json_answer({"error": refusal}, 403)
        try:
            order = read_order(await request.body())
        except CommandError as error:
            return json_answer({"error": error.code, "message": error.message}, 400)
        return json_answer(await self._desk.give(order))

    async def step(self, request: Request) -> Response:
        """Move a camera by one step; the answer is the lease's line when one was asked for."""
        if refusal := self._gatekeeper.refusal(request):
            return json_answer({"error": refusal}, 403)
        try:
            step = read_step(await request.body())
        except CommandError as error:
            return json_answer({"error": error.code, "message": error.message}, 400)
        return json_answer({"lease": await self._desk.steer(step)})

    async def press(self, request: Request) -> Response:
        """The 119 button: calls the cameras to the fire, or lets them go."""
        if refusal := self._gatekeeper.refusal(request):
            return json_answer({"error": refusal}, 403)
        if self._fire is None:
            return not_found()
        try:
            await self._fire.press()
        except PolesideError as error:
            return json_answer({"error": error.code, "message": error.message}, 503)
        return json_answer({"fire": await self._fire.state()})

    async def relayed(self, request: Request) -> Response:
        """What arrives at the relay just now, as a picture."""
        name = request.path_params["name"]
        jpeg = None if self._fire is None else await self._fire.picture(name)
        headers = {"cache-control": "no-store"}
        return Response(jpeg, media_type="image/jpeg", headers=headers) if jpeg else not_found()

    async def file(self, request: Request) -> Response:
        """Answer the clip or snapshot of an order, in ranges so that a player can seek."""
        upload = await self._center.upload_of(request.path_params["command_id"])
        if upload is None:
            return not_found()
        if upload.content_type in _SHOWN_TYPES:
            return FileResponse(upload.path, media_type=upload.content_type)
        return FileResponse(upload.path, media_type="application/octet-stream", filename="file")
