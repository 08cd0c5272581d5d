"""The box's network on the page: shown, changed, confirmed. Handlers of the table."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from agent.local.access.desk import AccessDesk
from agent.local.access.people import Person
from agent.local.setup.answers import answer, answered, refused
from agent.local.setup.network import ADDRESSES, NetworkDesk, NetworkState, wish_of
from agent.local.setup.parts import SetupParts, macros_of
from agent.local.web.pages import Pages, plain_json
from agent.local.web.parts import Part, changed, is_by_page

_CONFIRM: Final = "/setup/network/confirm"


class NetworkPages:
    """Handlers by the names in the table of ways."""

    def __init__(self, network: NetworkDesk, desk: AccessDesk, pages: Pages) -> None:
        self._network, self._desk, self._pages = network, desk, pages

    async def network_page(self, request: Request) -> Response:
        state = await self._network.state()
        macros = macros_of(self._pages, request)
        now = self._parts(macros, state, await self._network.confirm_within_s()) if state else ()
        return self._pages.render(
            request,
            "setup_network.html",
            csrf=request.state.session.csrf,
            is_managed=state is not None,
            parts={part.name: part for part in now},
        )

    async def network(self, request: Request) -> Response:
        state, left_s = await self._network.state(), await self._network.confirm_within_s()
        if state is None:
            return plain_json({"is_managed": False})
        if not is_by_page(request):
            told = msgspec.to_builtins(state)
            return plain_json(told | {"is_managed": True, "confirm_within_s": left_s})
        macros, asked = macros_of(self._pages, request), request.query_params
        is_kept = state.outcome == "kept"
        over = SetupParts(macros).over("net", asked, left_s, is_kept=is_kept)
        return changed(request, self._parts(macros, state, left_s), over)

    async def put_network(self, request: Request) -> Response:
        change = self._put(request.state.form, request.state.person)
        return await answered(change, self._pages, request, lambda _macros: ())

    async def confirm_network(self, request: Request) -> Response:
        if not await self._network.confirm():
            return refused(self._pages, request, "setup.nothing_to_confirm")
        await self._desk.did(request.state.person, "page.confirm", "done", "network")

        def told(macros: Any) -> Iterator[Markup | Part]:
            yield macros.pill("way-kept", "good", "net")
            yield from SetupParts(macros).trial("net", _CONFIRM, None)

        return answer(self._pages, request, told)

    def _parts(self, macros: Any, state: NetworkState, left_s: float | None) -> Iterator[Part]:
        yield from SetupParts(macros).trial("net", _CONFIRM, left_s)
        network = dict.fromkeys(("method", *ADDRESSES, "cameras"), "") | state.network
        yield Part("net-fields", macros.net_form(network, state.sockets))

    async def _put(self, form: dict[str, str], by: Person) -> None:
        wish = wish_of(form)
        await self._network.put(wish)
        await self._desk.did(by, "page.network", "done", msgspec.json.encode(wish).decode()[:500])
