"""The pages of the technician's way, and the orders they give. Handlers of the table."""

import base64
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from agent.cameras.port import Login
from agent.core.errors import PolesideError
from agent.local.access.desk import AccessDesk
from agent.local.setup.answers import answer, answered, refused
from agent.local.setup.cameras import Cameras
from agent.local.setup.changes import DRAWN_KINDS, SetupChanges
from agent.local.setup.finder import CameraFinder, Found
from agent.local.setup.network import NetworkDesk
from agent.local.setup.parts import SetupParts, macros_of, mark_of, proposed
from agent.local.setup.read_back import ReadBack
from agent.local.setup.site_tests import SiteTest, SiteTests
from agent.local.web.pages import Pages, not_found, plain_json
from agent.local.web.parts import Part, changed, gone
from agent.local.web.view import BoxView
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

    def __init__(self, tools: SetupTools, tests: SiteTests, desk: AccessDesk, pages: Pages) -> None:
        self._finder, self._changes = tools.finder, tools.changes
        self._tests = tests
        self._is_kept = False  # the change of the way to the center that waited last
        self._cameras = tools.cameras
        self._desk, self._pages = desk, pages

    async def setup(self, request: Request) -> Response:
        box: BoxView = request.state.box
        parts = SetupParts(macros_of(self._pages, request))
        now = [parts.self_test(await box.state()), *parts.way(self._changes.way())]
        return self._pages.render(
            request,
            "setup.html",
            csrf=request.state.session.csrf,
            parts={part.name: part for part in now},
            macros=parts.macros,
            panels=parts.panels([SiteTest.BELL], "", await self._tests.results(box)),
        )

    async def setup_parts(self, request: Request) -> Response:
        """Answer what a set-up page shows otherwise by now, of the parts it asks for."""
        box, asked = request.state.box, request.query_params
        parts = SetupParts(macros_of(self._pages, request))
        new: list[Part] = []
        if any(name.startswith(("selftest", "known-")) for name in asked):
            state = await box.state()
            ids = [name[6:] for name in asked if name.startswith("known-")]
            seen = [one for one in ids if request.state.person.sees(one)]
            new += [parts.self_test(state), *(parts.known(state, one) for one in seen)]
        new += parts.tests(asked, await self._tests.results(box))
        over = []
        if "way-now" in asked:
            way = self._changes.way()
            new += parts.way(way)
            over += parts.over("way", asked, way.confirm_within_s, is_kept=self._is_kept)
        return changed(request, new, over)

    async def find_cameras(self, request: Request) -> Response:
        return await self._found(request, await self._finder.find())

    async def find_rtsp(self, request: Request) -> Response:
        try:
            found = await self._finder.find_rtsp(request.state.form.get("address", ""))
        except PolesideError as error:
            return refused(self._pages, request, error.code)
        return await self._found(request, (found,), is_whole=False)

    async def _found(
        self, request: Request, cameras: Iterable[Found], *, is_whole: bool = True
    ) -> Response:
        """Answer with cameras: the `is_whole` list, or one to be put before those shown."""
        sees = request.state.person.sees
        found = [one for one in cameras if not one.camera_id or sees(one.camera_id)]
        state = await request.state.box.state()

        def told(macros: Any) -> Iterator[Markup]:
            known_by = SetupParts(macros).known
            ids = [one.camera_id for one in found if one.camera_id]
            yield macros.found(found, {one: known_by(state, one) for one in ids}, is_whole)

        return answer(self._pages, request, told, {"found": found})

    async def verify_camera(self, request: Request) -> Response:
        form = request.state.form
        login = Login(form.get("username", ""), form.get("password", ""))
        verified = await self._finder.verify(form.get("epr", ""), login)
        if verified is None:
            return not_found()
        outcome = "done" if verified.is_in else "failed"
        await self._desk.did(request.state.person, "page.camera", outcome, form["epr"])
        state = await request.state.box.state()

        def told(macros: Any) -> Iterator[Markup]:
            names = {one.epr: one.name for one in self._finder.verified()}
            camera = {"epr": form["epr"], "name": names.get(form["epr"], "")}
            short = proposed(camera["name"], (one.camera_id for one in state.cameras))
            jpeg = base64.b64encode(verified.jpeg or b"").decode()
            yield macros.verified(camera, verified, jpeg, state.utc_now, short)
            if verified.is_in:
                yield gone(f"login-{mark_of(form['epr'])}")

        return answer(self._pages, request, told, verified)

    async def accept_camera(self, request: Request) -> Response:
        form = request.state.form
        epr, camera_id, name = (form.get(key, "") for key in ("epr", "camera_id", "name"))
        reached = self._finder.settings_of(epr)
        if reached is None:
            return refused(self._pages, request, "setup.not_verified")
        change = self._changes.add_camera(camera_id, name.strip(), reached, request.state.person)
        state = await request.state.box.state()

        def told(macros: Any) -> Iterator[Markup]:
            yield macros.accepted(camera_id, SetupParts(macros).known(state, camera_id))
            yield gone(f"accept-{mark_of(epr)}")

        return await answered(change, self._pages, request, told)

    async def setup_camera(self, request: Request) -> Response:
        camera = self._camera(request)
        if camera is None:
            return not_found()
        macros = macros_of(self._pages, request)
        parts, results = SetupParts(macros), await self._tests.results(request.state.box)
        return self._pages.render(
            request,
            "setup_camera.html",
            csrf=request.state.session.csrf,
            camera_id=camera.camera_id,
            name=camera.name or camera.camera_id,
            kinds=DRAWN_KINDS,
            rules=Part("rules", macros.rules(camera.camera_id, self._changes.rules(camera))),
            panels=parts.panels([SiteTest.WALK, SiteTest.CABLE], camera.camera_id, results),
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
        change = self._changes.put_rule(camera, rule_id, kind, points, request.state.person)
        return await self._with_rules(request, change, "draw-saved")

    async def remove_rule(self, request: Request) -> Response:
        camera = self._camera(request)
        if camera is None:
            return not_found()
        rule_id = request.state.form.get("rule_id", "")
        change = self._changes.remove_rule(camera, rule_id, request.state.person)
        return await self._with_rules(request, change, "draw-removed")

    async def _with_rules(self, request: Request, change: Awaitable[None], done: str) -> Response:
        camera_id = request.path_params["camera_id"]

        def told(macros: Any) -> Iterator[Markup | Part]:
            camera = self._changes.camera(camera_id, request.state.person)
            rules = self._changes.rules(camera) if camera else []
            yield macros.pill(done, "good")
            yield Part("rules", macros.rules(camera_id, rules))

        return await answered(change, self._pages, request, told)

    async def center(self, _request: Request) -> Response:
        return plain_json(self._changes.way())

    async def put_center(self, request: Request) -> Response:
        form = request.state.form
        url, username, password = (form.get(name, "") for name in ("url", "username", "password"))
        change = self._changes.put_way(url.strip(), username, password, request.state.person)
        self._is_kept = False

        def told(macros: Any) -> Iterator[Markup | Part]:
            yield Part("way-fields", macros.way_form())
            yield from SetupParts(macros).way(self._changes.way())

        return await answered(change, self._pages, request, told)

    async def confirm(self, request: Request) -> Response:
        if not await self._changes.confirm():
            return refused(self._pages, request, "setup.nothing_to_confirm")
        self._is_kept = True
        await self._desk.did(request.state.person, "page.confirm", "done", "settings")

        def told(macros: Any) -> Iterator[Markup | Part]:
            yield macros.pill("way-kept", "good", "way")
            yield from SetupParts(macros).way(self._changes.way())

        return answer(self._pages, request, told)

    def _camera(self, request: Request) -> CameraSettings | None:
        return self._changes.camera(request.path_params["camera_id"], request.state.person)
