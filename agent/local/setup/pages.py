"""The page of the technician's first steps, and the two orders it gives. Handlers of the table."""

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from agent.cameras.port import Login
from agent.local.access.desk import AccessDesk
from agent.local.setup.finder import CameraFinder
from agent.local.web.pages import Pages, not_found, plain_json

SETUP_DIR: Final = Path(__file__).parent


class SetupPages:
    """Handlers by the names in the table of ways."""

    def __init__(self, finder: CameraFinder, desk: AccessDesk, pages: Pages) -> None:
        self._finder, self._desk, self._pages = finder, desk, pages

    async def setup(self, request: Request) -> Response:
        return self._pages.render(request, "setup.html", csrf=request.state.session.csrf)

    async def find_cameras(self, _request: Request) -> Response:
        return plain_json({"found": await self._finder.find()})

    async def verify_camera(self, request: Request) -> Response:
        form = request.state.form
        login = Login(form.get("username", ""), form.get("password", ""))
        verified = await self._finder.verify(form.get("epr", ""), login)
        if verified is None:
            return not_found()
        outcome = "done" if verified.is_in else "failed"
        await self._desk.did(request.state.person, "page.camera", outcome, form["epr"])
        return plain_json(verified)
