"""The pages to come in by: sign in, claim, one's own account, the people, and what was done."""

import asyncio
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from agent.local.access import audit_view, doors
from agent.local.access.desk import AccessDesk
from agent.local.access.people import ALL_CAMERAS, AccessError, Person, Role
from agent.local.web.pages import Pages

ACCESS_DIR: Final = Path(__file__).parent
_ROLES: Final = {role.value: role for role in Role if role is not Role.VISITOR}


class AccessPages:
    """Handlers by the names in the table of ways."""

    def __init__(self, desk: AccessDesk, pages: Pages) -> None:
        self._desk, self._pages = desk, pages

    async def login_page(self, request: Request) -> Response:
        if not await self._desk.is_claimed():
            return RedirectResponse("/claim", 303)
        return self._pages.render(request, "login.html", error=None)

    async def login(self, request: Request) -> Response:
        form = request.state.form
        try:
            token = await self._desk.login(form.get("name", ""), form.get("password", ""))
        except AccessError as error:
            return self._refused(request, "login.html", error)
        return doors.signed_in(request, token)

    async def claim_page(self, request: Request) -> Response:
        return self._pages.render(request, "claim.html", error=None)

    async def claim(self, request: Request) -> Response:
        fields = ("secret", "code", "name", "password")
        try:
            token = await self._desk.claim(*(request.state.form.get(each, "") for each in fields))
        except AccessError as error:
            return self._refused(request, "claim.html", error)
        return doors.signed_in(request, token)

    async def account(self, request: Request) -> Response:
        return self._pages.render(
            request,
            "account.html",
            person=request.state.person,
            csrf=request.state.session.csrf,
        )

    async def logout(self, request: Request) -> Response:
        await self._desk.logout(doors.token_of(request), request.state.person)
        return doors.signed_out(request)

    async def people(self, request: Request) -> Response:
        return await self._people(request, None)

    async def put_person(self, request: Request) -> Response:
        form = request.state.form
        cameras = tuple(form.get("cameras", "").replace(",", " ").split()) or (ALL_CAMERAS,)
        try:
            role = _ROLES[form.get("role", "")]
            person = Person(name=form.get("name", ""), role=role, cameras=cameras)
            await self._desk.put(request.state.person, person, form.get("password", ""))
        except KeyError:
            return doors.refusal("access.form", 400)
        except AccessError as error:
            return await self._people(request, error)
        return RedirectResponse("/people", 303)

    async def remove_person(self, request: Request) -> Response:
        try:
            await self._desk.remove(request.state.person, request.state.form.get("name", ""))
        except AccessError as error:
            return await self._people(request, error)
        return RedirectResponse("/people", 303)

    async def audit(self, request: Request) -> Response:
        records, head = await self._desk.done(audit_view.MOST_READ)
        kind, who = (request.query_params.get(name, "") for name in ("kind", "who"))
        return self._pages.render(
            request,
            "audit.html",
            done=audit_view.chosen(records, kind, who, request.state.person),
            kinds=tuple(audit_view.KINDS),
            kind=kind,
            who=who[:64],
            chain=await asyncio.to_thread(audit_view.check_chain, records, head),
        )

    async def _people(self, request: Request, error: AccessError | None) -> Response:
        response = self._pages.render(
            request,
            "people.html",
            people=await self._desk.everybody(),
            roles=tuple(_ROLES),
            all_cameras=ALL_CAMERAS,
            me=request.state.person,
            csrf=request.state.session.csrf,
            error=error,
        )
        response.status_code = 400 if error else 200
        return response

    def _refused(self, request: Request, template: str, error: AccessError) -> Response:
        response = self._pages.render(request, template, error=error)
        response.status_code = 429 if error.wait_s else 403
        if error.wait_s:
            response.headers["retry-after"] = str(round(error.wait_s + 0.5))
        return response
