"""What is set up of a camera beside its rules: aim mode, masks, landmarks. Handlers."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import msgspec
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from agent.core.errors import CommandError, PolesideError, SettingsError
from agent.local.access.desk import AccessDesk
from agent.local.access.people import Person
from agent.local.setup.aim_mode import AIM_S, REASONS, AimMode
from agent.local.setup.answers import answered, refused
from agent.local.setup.cameras import Cameras
from agent.local.setup.changes import SetupChanges
from agent.local.setup.parts import macros_of
from agent.local.setup.stand_changes import STAND_FIELDS, StandChanges, fit_of
from agent.local.web.pages import Pages, not_found, plain_json
from agent.local.web.parts import is_by_page, out_of_band, shown
from agent.settings.model import CameraSettings
from agent.settings.rules import Point

_OVER: Final = 410  # aim mode ended
_AT_BOX: Final = "box-"  # what a box's own mask is called, before its number
# A camera without masks: the box does what it can. Away or refusing is something else.
_HAS_NONE: Final = ("camera.not_supported", "ptz.no_onvif")


class CameraPages:
    """Handlers by the names in the table of ways."""

    def __init__(
        self,
        cameras: Cameras,
        changes: SetupChanges,
        aiming: AimMode,
        desk: AccessDesk,
        pages: Pages,
    ) -> None:
        self._cameras, self._changes, self._aiming = cameras, changes, aiming
        self._stands = StandChanges(changes)
        self._desk, self._pages = desk, pages

    async def aim_page(self, request: Request) -> Response:
        return self._page(request, "setup_aim.html", reasons=REASONS)

    async def begin_aim(self, request: Request) -> Response:
        camera, reason = self._camera(request), request.state.form.get("reason", "")
        if camera is None:
            return not_found()
        if reason not in REASONS:
            return plain_json({"error": "settings.invalid"}, 409)
        by = request.state.person
        self._aiming.begin(by.name, camera.camera_id)
        detail = f"{camera.camera_id}, to aim it, {AIM_S:.0f} s at most, for {reason}"
        await self._desk.did(by, "page.view", "done", detail)
        return plain_json({})

    async def look_aim(self, request: Request) -> Response:
        camera = self._camera(request)
        if camera is None:
            return not_found()
        aimed = await self._aiming.look(request.state.person.name, camera)
        return plain_json({"left_s": 0}, _OVER) if aimed is None else plain_json(aimed)

    async def end_aim(self, request: Request) -> Response:
        camera = self._camera(request)
        if camera is None:
            return not_found()
        self._aiming.end(request.state.person.name, camera.camera_id)
        return plain_json({})

    async def masks(self, request: Request) -> Response:
        camera = self._camera(request)
        if camera is None:
            return not_found()
        masks, error = await self._masks(camera)
        if not is_by_page(request):
            return plain_json({"masks": masks, "camera": error})
        return shown(_masks_shown(macros_of(self._pages, request), camera, masks, error))

    async def _masks(self, camera: CameraSettings) -> tuple[list[dict[str, Any]], str]:
        """Return a camera's masks and why its own are not known, if they are not."""
        masks = [
            {"token": f"{_AT_BOX}{n}", "points": mask, "where": "box"}
            for n, mask in enumerate(camera.masks)
        ]
        try:
            of_camera = await self._cameras.masks(camera.camera_id)
        except PolesideError as error:  # told, not hidden: it may well have masks
            return masks, error.code
        masks += [{"token": token, "points": mask, "where": "camera"} for token, mask in of_camera]
        return masks, ""

    async def put_mask(self, request: Request) -> Response:
        camera, by = self._camera(request), request.state.person
        if camera is None:
            return not_found()
        where = "camera"
        try:
            polygon = _polygon(request.state.form.get("points", ""))
            try:
                await self._cameras.add_mask(camera.camera_id, polygon, by)
            except PolesideError as error:
                if error.code not in _HAS_NONE:
                    raise
                await self._stands.put_masks(camera, (*camera.masks, polygon), by)
                where = "box"
        except PolesideError as error:
            return refused(self._pages, request, error.code, error.message)
        return await self._with_masks(request, lambda macros: macros.mask_saved(where), where)

    async def remove_mask(self, request: Request) -> Response:
        camera, by = self._camera(request), request.state.person
        token = request.state.form.get("token", "")
        if camera is None:
            return not_found()
        number = token.removeprefix(_AT_BOX)
        kept = tuple(mask for n, mask in enumerate(camera.masks) if str(n) != number)
        try:
            if not token:
                raise SettingsError("settings.invalid", "Which mask?")
            if number == token:
                await self._cameras.remove_mask(camera.camera_id, token, by)
            else:
                await self._stands.put_masks(camera, kept, by)
        except PolesideError as error:
            return refused(self._pages, request, error.code, error.message)
        return await self._with_masks(request, lambda macros: macros.pill("draw-removed", "good"))

    async def _with_masks(
        self, request: Request, said: Callable[[Any], Markup], where: str = ""
    ) -> Response:
        """Answer what was `said`, and the masks as they are now."""
        if not is_by_page(request):
            return plain_json({"where": where} if where else {})
        macros, camera = macros_of(self._pages, request), self._camera(request)
        if camera is None:
            return not_found()
        listed = _masks_shown(macros, camera, *await self._masks(camera))
        return shown(said(macros), out_of_band("masks", listed))

    async def marks_page(self, request: Request) -> Response:
        camera = self._camera(request)
        if camera is None:
            return not_found()
        macros, fit = macros_of(self._pages, request), fit_of(camera)
        return self._page(
            request,
            "setup_marks.html",
            fields=STAND_FIELDS,
            stand=fit.stand or {},
            fields_of_mark=macros.mark_fields(camera.camera_id),
            fitted=macros.marks(camera.camera_id, fit),
        )

    async def marks(self, request: Request) -> Response:
        camera = self._camera(request)
        if camera is None:
            return not_found()
        fit = msgspec.to_builtins(fit_of(camera))
        return plain_json(fit | {"can_turn": self._cameras.can_turn(camera.camera_id)})

    async def put_stand(self, request: Request) -> Response:
        camera, state = self._camera(request), request.state
        if camera is None:
            return not_found()
        change = self._stands.put_stand(camera, state.form, state.person)
        return await self._with_marks(request, change, "draw-saved")

    async def put_mark(self, request: Request) -> Response:
        camera, state = self._camera(request), request.state
        if camera is None:
            return not_found()
        change = self._put_mark(camera, state.form, state.person)
        return await self._with_marks(request, change, "marks-noted")

    async def remove_mark(self, request: Request) -> Response:
        camera, state = self._camera(request), request.state
        if camera is None:
            return not_found()
        number = state.form.get("number", "")
        change = self._stands.remove_mark(camera, number, state.person)
        return await self._with_marks(request, change, "draw-removed")

    async def _with_marks(self, request: Request, change: Awaitable[None], done: str) -> Response:
        def told(macros: Any) -> Iterator[Markup]:
            camera = self._camera(request)
            if camera is None:
                return
            yield macros.pill(done, "good")
            yield out_of_band("fitted", macros.marks(camera.camera_id, fit_of(camera)))
            if done == "marks-noted":
                yield out_of_band("mark-fields", macros.mark_fields(camera.camera_id))

        return await answered(change, self._pages, request, told)

    async def turn(self, request: Request) -> Response:
        """Turn the camera a little, or to what was tapped (`x` and `y`)."""
        camera, by = self._camera(request), request.state.person
        if camera is None:
            return not_found()
        try:
            await self._turn(camera, request.state.form, by)
        except PolesideError as error:
            return plain_json({"error": error.code, "message": error.message}, 409)
        return plain_json({})

    async def _put_mark(self, camera: CameraSettings, form: dict[str, str], by: Person) -> None:
        at = await self._cameras.looks_at(camera.camera_id)
        await self._stands.add_mark(camera, form, at, by)

    async def _turn(self, camera: CameraSettings, form: dict[str, str], by: Person) -> None:
        told = _shares(form)
        if {"x", "y"} <= told.keys():
            at = (max(0.0, told["x"]), max(0.0, told["y"]))
            await self._cameras.centre(camera.camera_id, at, by)
            return
        pan, tilt, zoom = (told.get(name, 0.0) for name in ("pan", "tilt", "zoom"))
        await self._cameras.turn(camera.camera_id, pan, tilt, zoom, by)

    def _page(self, request: Request, template: str, **values: Any) -> Response:
        camera = self._camera(request)
        if camera is None:
            return not_found()
        return self._pages.render(
            request,
            template,
            csrf=request.state.session.csrf,
            camera_id=camera.camera_id,
            name=camera.name or camera.camera_id,
            can_turn=self._cameras.can_turn(camera.camera_id),
            **values,
        )

    def _camera(self, request: Request) -> CameraSettings | None:
        return self._changes.camera(request.path_params["camera_id"], request.state.person)


def _masks_shown(
    macros: Any, camera: CameraSettings, masks: list[dict[str, Any]], error: str
) -> Markup:
    is_unknown = bool(error) and error not in _HAS_NONE
    listed: Markup = macros.masks(camera.camera_id, masks, is_unknown)
    return listed


def _shares(form: dict[str, str]) -> dict[str, float]:
    """Return speeds and places of the picture, each -1 to 1."""
    names = [name for name in ("pan", "tilt", "zoom", "x", "y") if name in form]
    try:
        told: dict[str, float] = {name: float(form[name]) for name in names}
    except ValueError as error:
        raise SettingsError("settings.invalid", f"{error}.") from error
    if not all(-1 <= value <= 1 for value in told.values()):
        raise SettingsError("settings.invalid", "All must be between -1 and 1.")
    return told


def _polygon(points: str) -> tuple[Point, ...]:
    try:
        polygon = msgspec.json.decode(points, type=tuple[tuple[float, float], ...])
    except msgspec.MsgspecError as error:
        raise SettingsError("settings.invalid", f"`points`: {error}.") from error
    if not 3 <= len(polygon) <= 32 or not all(0 <= value <= 1 for p in polygon for value in p):
        raise CommandError("settings.invalid", "A mask has 3 to 32 corners inside the picture.")
    return polygon
