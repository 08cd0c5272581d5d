"""The tests at the pole and the code that the center reads back, as handlers of the table."""

from starlette.requests import Request
from starlette.responses import Response

from agent.local.access.desk import AccessDesk
from agent.local.setup.read_back import Outcome, ReadBack
from agent.local.setup.site_tests import SiteTests
from agent.local.web.pages import not_found, plain_json


class TrialPages:
    """Handlers by the names in the table of ways; what came of a test is chained."""

    def __init__(self, read_back: ReadBack, desk: AccessDesk) -> None:
        self._tests, self._read_back, self._desk = SiteTests(), read_back, desk

    async def tests(self, request: Request) -> Response:
        return plain_json({"tests": await self._tests.results(request.state.box)})

    async def begin_test(self, request: Request) -> Response:
        form, box = request.state.form, request.state.box
        begun = await self._tests.begin(box, form.get("kind", ""), form.get("camera_id", ""))
        return plain_json({}) if begun else not_found()

    async def end_test(self, request: Request) -> Response:
        form, box = request.state.form, request.state.box
        result = await self._tests.end(box, form.get("kind", ""), form.get("camera_id", ""))
        if result is None:
            return not_found()
        outcome = "done" if result.is_passed else "failed"
        await self._desk.did(request.state.person, "page.test", outcome, result.told)
        return plain_json(result)

    async def send_code(self, _request: Request) -> Response:
        self._read_back.begin()
        return plain_json({})

    async def check_code(self, request: Request) -> Response:
        outcome = self._read_back.check(request.state.form.get("code", ""))
        done = "done" if outcome is Outcome.RIGHT else "failed"
        await self._desk.did(request.state.person, "page.read_back", done, outcome.value)
        return plain_json({"outcome": outcome})
