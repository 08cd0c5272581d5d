"""The pages of the technician's way, and the orders they give. Handlers of the table."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from agent.cameras.port import Login
from agent.core.errors import PolesideError
from agent.local.access.desk import AccessDesk
from agent.local.setup.camera_pages import answered
from agent.local.setup.cameras import Cameras
from agent.local.setup.changes import DRAWN_KINDS, SetupChanges
from agent.local.setup.finder import CameraFinder
from agent.local.setup.network import NetworkDesk
from agent.local.setup.read_back import ReadBack
from agent.local.web.pages import Pages, not_found, plain_json
from agent.settings.model import CameraSettings

SETUP_DIR: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class SetupTools:
    """What the set-up page works with."""

    finder: CameraFinder
    changes: SetupChanges
    read_back: ReadBack
    cameras: Cameras
    network: NetworkDesk


class SetupPages:
    """Handlers by the names in the table of ways."""

    def __init__(self, tools: SetupTools, desk: AccessDesk, pages: Pages) -> None:
        self._finder, self._changes = tools.finder, tools.changes
        self._cameras = tools.cameras
        self._desk, self._pages = desk, pages

    async def setup(self, request: Request) -> Response:
        return self._pages.render(request, "setup.html", csrf=request.state.session.csrf)

    async def find_cameras(self, request: Request) -> Response:
        sees = request.state.person.sees
        found = await self._finder.find()
        return plain_json(
            {"found": [one for one in found if not one.camera_id or sees(one.camera_id)]}
        )

    async def find_rtsp(self, request: Request) -> Response:
        try:
            found = await self._finder.find_rtsp(request.state.form.get("address", ""))
        except PolesideError as error:
            return plain_json({"error": error.code}, 409)
        is_seen = not found.camera_id or request.state.person.sees(found.camera_id)
        return plain_json({"found": [found] if is_seen else []})

    async def verify_camera(self, request: Request) -> Response:
        form = request.state.form
        login = Login(form.get("username", ""), form.get("password", ""))
        verified = await self._finder.verify(form.get("epr", ""), login)
        if verified is None:
            return not_found()
        outcome = "done" if verified.is_in else "failed"
        await self._desk.did(request.state.person, "page.camera", outcome, form["epr"])
        return plain_json(verified)

    async def accept_camera(self, request: Request) -> Response:
        form = request.state.form
        reached = self._finder.settings_of(form.get("epr", ""))
        if reached is None:
            return plain_json({"error": "setup.not_verified"}, 409)
        camera_id, name = form.get("camera_id", ""), form.get("name", "").strip()
        return await answered(
            self._changes.add_camera(camera_id, name, reached, request.state.person)
        )

    async def setup_camera(self, request: Request) -> Response:
        camera = self._camera(request)
        if camera is None:
            return not_found()
        return self._pages.render(
            request,
            "setup_camera.html",
            csrf=request.state.session.csrf,
            camera_id=camera.camera_id,
            name=camera.name or camera.camera_id,
            kinds=DRAWN_KINDS,
            can_turn=self._cameras.can_turn(camera.camera_id),
        )

    async def rules(self, request: Request) -> Response:
        camera = self._camera(request)
        return plain_json({"rules": self._changes.rules(camera)}) if camera else not_found()

    async def put_rule(self, request: Request) -> Response:
        camera, form = self._camera(request), request.state.form
        if camera is None:
            return not_found()
        rule_id, kind, points = (form.get(name, "") for name in ("rule_id", "kind", "points"))
        return await answered(
            self._changes.put_rule(camera, rule_id, kind, points, request.state.person)
        )

    async def remove_rule(self, request: Request) -> Response:
        camera = self._camera(request)
        if camera is None:
            return not_found()
        rule_id = request.state.form.get("rule_id", "")
        return await answered(self._changes.remove_rule(camera, rule_id, request.state.person))

    async def center(self, _request: Request) -> Response:
        return plain_json(self._changes.way())

    async def put_center(self, request: Request) -> Response:
        form = request.state.form
        url, username, password = (form.get(name, "") for name in ("url", "username", "password"))
        return await answered(
            self._changes.put_way(url.strip(), username, password, request.state.person)
        )

    async def confirm(self, request: Request) -> Response:
        if not await self._changes.confirm():
            return plain_json({"error": "setup.nothing_to_confirm"}, 409)
        await self._desk.did(request.state.person, "page.confirm", "done", "settings")
        return plain_json({})

    def _camera(self, request: Request) -> CameraSettings | None:
        return self._changes.camera(request.path_params["camera_id"], request.state.person)
