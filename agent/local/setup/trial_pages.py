"""The tests at the pole and the code that the center reads back, as handlers of the table."""

from collections.abc import Iterator
from typing import Any, Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from agent.local.access.desk import AccessDesk
from agent.local.setup.answers import answer
from agent.local.setup.parts import SetupParts, name_of
from agent.local.setup.read_back import Outcome, ReadBack
from agent.local.setup.site_tests import Seen, SiteTests
from agent.local.web.pages import Pages, not_found, plain_json
from agent.local.web.parts import Part
from agent.local.web.view import BoxView

_SAID: Final = "code-said"


class TrialPages:
    """Handlers by the names in the table of ways; what came of a test is chained."""

    def __init__(
        self, tests: SiteTests, read_back: ReadBack, desk: AccessDesk, pages: Pages
    ) -> None:
        self._tests, self._read_back = tests, read_back
        self._desk, self._pages = desk, pages

    async def tests(self, request: Request) -> Response:
        return plain_json({"tests": await self._tests.results(request.state.box)})

    async def begin_test(self, request: Request) -> Response:
        box, kind, camera_id = _asked(request)
        if not await self._tests.begin(box, kind, camera_id):
            return not_found()
        results = await self._tests.results(box)
        found = [one for one in results if (one.kind, one.camera_id) == (kind, camera_id)]
        if not found:
            return not_found()

        def told(macros: Any) -> Iterator[Markup | Part]:
            return _told(SetupParts(macros), found[0], "running")

        return answer(self._pages, request, told)

    async def end_test(self, request: Request) -> Response:
        box, kind, camera_id = _asked(request)
        result = await self._tests.end(box, kind, camera_id)
        if result is None:
            return not_found()
        outcome = "done" if result.is_passed else "failed"
        await self._desk.did(request.state.person, "page.test", outcome, result.told)

        def told(macros: Any) -> Iterator[Markup | Part]:
            return _told(SetupParts(macros), result, "passed" if result.is_passed else "failed")

        return answer(self._pages, request, told, result)

    async def send_code(self, request: Request) -> Response:
        self._read_back.begin()
        return answer(self._pages, request, lambda macros: [macros.pill("code-sent", "dim", _SAID)])

    async def check_code(self, request: Request) -> Response:
        outcome = self._read_back.check(request.state.form.get("code", ""))
        is_right = outcome is Outcome.RIGHT
        done = "done" if is_right else "failed"
        await self._desk.did(request.state.person, "page.read_back", done, outcome.value)

        def told(macros: Any) -> Iterator[Markup]:
            yield macros.pill(f"code.{outcome}", "good" if is_right else "bad", _SAID)

        return answer(self._pages, request, told, {"outcome": outcome})


def _asked(request: Request) -> tuple[BoxView, str, str]:
    form = request.state.form
    return request.state.box, form.get("kind", ""), form.get("camera_id", "")


def _told(parts: SetupParts, seen: Seen, verdict: str) -> Iterator[Markup | Part]:
    of = name_of(seen.kind, seen.camera_id)
    yield parts.test_seen(of, seen, verdict).inside
    yield parts.test_go(of, is_running=verdict == "running")
