"""The box's network on the page: shown, changed, confirmed. Handlers of the table."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from agent.local.access.desk import AccessDesk
from agent.local.access.people import Person
from agent.local.setup.camera_pages import answered
from agent.local.setup.network import NetworkDesk, wish_of
from agent.local.web.pages import Pages, plain_json


class NetworkPages:
    """Handlers by the names in the table of ways."""

    def __init__(self, network: NetworkDesk, desk: AccessDesk, pages: Pages) -> None:
        self._network, self._desk, self._pages = network, desk, pages

    async def network_page(self, request: Request) -> Response:
        return self._pages.render(
            request,
            "setup_network.html",
            csrf=request.state.session.csrf,
            is_managed=await self._network.state() is not None,
        )

    async def network(self, _request: Request) -> Response:
        state = await self._network.state()
        if state is None:
            return plain_json({"is_managed": False})
        left_s = await self._network.confirm_within_s()
        told = msgspec.to_builtins(state)
        return plain_json(told | {"is_managed": True, "confirm_within_s": left_s})

    async def put_network(self, request: Request) -> Response:
        return await answered(self._put(request.state.form, request.state.person))

    async def confirm_network(self, request: Request) -> Response:
        if not await self._network.confirm():
            return plain_json({"error": "setup.nothing_to_confirm"}, 409)
        await self._desk.did(request.state.person, "page.confirm", "done", "network")
        return plain_json({})

    async def _put(self, form: dict[str, str], by: Person) -> None:
        wish = wish_of(form)
        await self._network.put(wish)
        await self._desk.did(by, "page.network", "done", msgspec.json.encode(wish).decode()[:500])
