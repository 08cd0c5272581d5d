"""The service page and what its buttons do. Handlers by the names in the table of ways.

Plain forms without script: it must work on any phone. Files come as answers; everything else comes
back as the page with one sentence on top.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct, field
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from agent.commands.lacks import NOT_GIVEN
from agent.core.errors import CommandError, PolesideError
from agent.local.access.desk import AccessDesk
from agent.local.access.people import ALL_CAMERAS, Person
from agent.local.service.command import run_command
from agent.local.service.place import PlaceTaking
from agent.local.service.shell_key import ShellDesk, fingerprint
from agent.local.service.update_care import UpdateCare
from agent.local.setup.changes import SetupChanges
from agent.local.setup.finder import CameraFinder
from agent.local.usb.media import Stick
from agent.local.web.pages import Pages, not_found
from agent.local.web.words import language_of

SERVICE_DIR: Final = Path(__file__).parent
_REPORTS: Final = {
    "pdf": ("report.pdf", "application/pdf"),
    "html": ("report.html", "text/html; charset=utf-8"),
    "jws": ("report.jws", "application/jose"),
}


_WITH_HOLES: Final = 3  # how an export ends that lacks what should be on the disk


class _Lack(Struct, frozen=True):
    """A time that a clip lacks, as `poleside usb export --json` tells it."""

    since: datetime = field(name="from")
    until: datetime = field(name="to")
    cause: str


class _OnStick(Struct, frozen=True):
    """What matters here of what it tells."""

    holes: tuple[_Lack, ...] = ()


@dataclass(frozen=True, slots=True)
class Hung:
    """Which camera hangs in a place; `is_exchanged`: not the one it was calibrated with.

    `is_stranger`: one the box does not log in to without somebody's word.
    """

    device: str
    is_exchanged: bool
    is_stranger: bool = False


@dataclass(frozen=True, slots=True)
class RefusedDisk:
    """Whose disk it is that the box refuses ("" unknown), and whose cameras it holds."""

    place: str
    cameras: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServiceTools:
    """What the service page works with. `restart` None: nothing here would start it again.

    `chosen` is told in which place somebody put another camera, and its ONVIF address, "" without.
    `disk` is a refused one, `take_disk` (by whom) makes it the box's own.
    """

    data_dir: Path
    changes: SetupChanges
    finder: CameraFinder
    place: PlaceTaking
    hung: Callable[[], Mapping[str, Hung]]
    confirm: Callable[[str], None]
    chosen: Callable[[str, str], None]
    sticks: Callable[[], list[Stick]]
    updates: UpdateCare
    disk: Callable[[], RefusedDisk | None]
    take_disk: Callable[[str], bool]
    shell: ShellDesk
    identify: Callable[[], bool]
    restart: Callable[[], None] | None = None


class ServicePages:
    """Handlers by the names in the table of ways."""

    def __init__(self, tools: ServiceTools, desk: AccessDesk, pages: Pages) -> None:
        self._tools, self._desk, self._pages = tools, desk, pages
        self._one_at_a_time = asyncio.Lock()  # each command is an interpreter of its own

    async def service(self, request: Request) -> Response:
        return await self._page(request)

    async def make_bundle(self, request: Request) -> Response:
        async def made(folder: Path) -> Path:
            path = folder / "poleside-bundle.zip"
            await self._run("bundle", *self._of_box(request), "--out", str(path))
            return path

        return await self._file(request, made, "application/zip")

    async def make_report(self, request: Request) -> Response:
        name, content_type = _REPORTS.get(request.state.form.get("as", ""), _REPORTS["pdf"])

        async def made(folder: Path) -> Path:
            await self._run("report", "make", *self._report(request, folder))
            if not (folder / name).exists():
                raise CommandError("report.not_signed", "The box has no key to sign with yet.")
            return folder / name

        return await self._file(request, made, content_type)

    async def send_report(self, request: Request) -> Response:
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp))
        try:
            await self._run("report", "make", *self._report(request, folder), "--send")
        except CommandError as error:
            return await self._page(request, error)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return await self._page(request, done="service.report-sent")

    async def export_usb(self, request: Request) -> Response:
        form, person = request.state.form, request.state.person
        camera_id, mount = form.get("camera_id", ""), form.get("mount", "")
        sticks = await asyncio.to_thread(self._tools.sticks)
        camera = self._tools.changes.camera(camera_id, person)
        if camera is None or mount not in {stick.place for stick in sticks}:
            error = CommandError("usb.none", "There is no such stick or camera.")
            return await self._page(request, error)
        try:
            answer = await self._run(
                *("usb", "export", "--data-dir", str(self._tools.data_dir)),
                *("--camera", camera_id, "--media", mount, "--by", f"page:{person.name}"),
                *("--from", _utc(form.get("since", "")), "--to", _utc(form.get("until", ""))),
                f"--reason={form.get('reason', '').strip() or '-'}",
                well=(0, _WITH_HOLES),
            )
        except PolesideError as error:
            return await self._page(request, error)
        holes = msgspec.json.decode(answer, type=_OnStick).holes
        is_all = all(one.cause not in NOT_GIVEN for one in holes)
        done = "service.usb-done" if is_all else "service.usb-done-part"
        return await self._page(request, done=done, lacks=holes)

    async def confirm_camera(self, request: Request) -> Response:
        camera = self._camera(request)
        if camera is None:
            return not_found()
        try:
            self._tools.confirm(camera)
        except PolesideError as error:
            return await self._page(request, error)
        await self._desk.did(request.state.person, "camera.confirm", "done", camera)
        return await self._page(request, done="service.confirmed")

    async def swap_camera(self, request: Request) -> Response:
        camera = self._camera(request)
        if camera is None:
            return not_found()
        reached = self._tools.finder.settings_of(request.state.form.get("epr", ""))
        try:
            if reached is None:
                raise CommandError("setup.not_verified", "Verify the new camera first.")
            await self._tools.changes.swap_camera(camera, reached, request.state.person)
            self._tools.chosen(camera, reached.get("onvif_url", ""))
        except PolesideError as error:
            return await self._page(request, error)
        await self._desk.did(request.state.person, "camera.swap", "done", camera)
        return await self._page(request, done="service.swapped")

    async def take_place(self, request: Request) -> Response:
        form = request.state.form
        center, code, pin = (form.get(name, "").strip() for name in ("center", "code", "pin"))
        self._tools.place.begin(center, code, pin)
        await self._desk.did(request.state.person, "box.swap_asked", "done", center[:200])
        return await self._page(request)

    async def install_update(self, request: Request) -> Response:
        """Copy a bundle of a stick and ask for it; RAUC's signature decides what is installed."""
        person, chosen = request.state.person, request.state.form.get("bundle", "")
        view = await asyncio.to_thread(self._tools.updates.view)
        bundle = next((one for one in view.bundles if one.path == chosen), None)
        if bundle is None:
            return await self._page(request, CommandError("update.no_bundle", "No such bundle."))
        try:
            await self._run(
                *("update", "install", bundle.path, "--version", bundle.version),
                *("--data-dir", str(self._tools.data_dir), "--by", f"page:{person.name}"),
                *("--root", str(self._tools.updates.root)),
            )
        except CommandError as error:
            return await self._page(request, error)
        return await self._page(request, done="service.update-asked")

    async def cancel_update(self, request: Request) -> Response:
        person = request.state.person
        try:
            await asyncio.to_thread(self._tools.updates.cancel, f"page:{person.name}")
        except OSError as error:
            refused = CommandError("settings.not_stored", f"It can't be stored: {error}.")
            return await self._page(request, refused)
        await self._desk.did(person, "update.cancel", "done", "at the page")
        return await self._page(request, done="service.update-cancelled")

    async def take_disk(self, request: Request) -> Response:
        """Only for who may see all cameras: the disk holds another box's."""
        person: Person = request.state.person
        try:
            taken = ALL_CAMERAS in person.cameras and await asyncio.to_thread(
                self._tools.take_disk, f"page:{person.name}"
            )
        except OSError as error:
            refused = CommandError("settings.not_stored", f"It can't be stored: {error}.")
            return await self._page(request, refused)
        if not taken:
            return await self._page(request, CommandError("service.no_disk", "Nothing to take."))
        await self._desk.did(person, "box.disk_taken", "done", "at the page")
        return await self._page(request, done="service.disk-taken")

    async def identify(self, request: Request) -> Response:
        """Blink the lamp in the cabinet, for who looks for this box among others."""
        has_lamp = self._tools.identify()
        await self._desk.did(request.state.person, "box.identify", "done", "")
        return await self._page(request, done="service.blinks" if has_lamp else "service.no-lamp")

    async def put_shell(self, request: Request) -> Response:
        """Let a technician's key in for some hours, at the service port alone.

        Only for who may see all cameras: a shell sees the whole box.
        """
        form, person = request.state.form, request.state.person
        key = f"key {fingerprint(form.get('key', ''))}"
        try:
            _check_sees_all(person)
            state = await self._tools.shell.put(
                form.get("key", ""), form.get("hours", ""), f"page:{person.name}"
            )
        except CommandError as error:
            return await self._no_shell(request, error, key)
        await self._desk.did(person, "page.shell", "done", f"{key} until {state.until}")
        return await self._page(request, done="service.shell-on")

    async def end_shell(self, request: Request) -> Response:
        try:
            _check_sees_all(request.state.person)
            await self._tools.shell.end()
        except CommandError as error:
            return await self._no_shell(request, error, "end")
        await self._desk.did(request.state.person, "page.shell", "done", "no key any more")
        return await self._page(request, done="service.shell-off")

    async def restart(self, request: Request) -> Response:
        if self._tools.restart is None:
            error = CommandError("service.no_restart", "Nothing here starts it again.")
            return await self._page(request, error)
        await self._desk.did(request.state.person, "box.restart", "done", "at the page")
        response = await self._page(request, done="service.restarting")
        response.background = BackgroundTask(self._tools.restart)
        return response

    async def _no_shell(self, request: Request, error: CommandError, what: str) -> Response:
        outcome = "failed" if error.code in ("shell.failed", "shell.no_answer") else "refused"
        await self._desk.did(request.state.person, "page.shell", outcome, what, error.code)
        return await self._page(request, error)

    async def _run(self, *words: str, well: Collection[int] = (0,)) -> bytes:
        async with self._one_at_a_time:
            return await run_command(*words, well=well)

    def _camera(self, request: Request) -> str | None:
        camera_id: str = request.path_params["camera_id"]
        found = self._tools.changes.camera(camera_id, request.state.person)
        return camera_id if found is not None else None

    def _of_box(self, request: Request) -> list[str]:
        """Return who asks, and what he may see."""
        person: Person = request.state.person
        seen = () if ALL_CAMERAS in person.cameras else person.cameras
        cameras = [word for camera_id in seen for word in ("--camera", camera_id)]
        return ["--data-dir", str(self._tools.data_dir), "--by", f"page:{person.name}", *cameras]

    def _report(self, request: Request, folder: Path) -> list[str]:
        return [*self._of_box(request), "--out", str(folder), "--lang", language_of(request)]

    async def _file(self, request: Request, made: Any, content_type: str) -> Response:
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp))
        gone = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
        try:
            path = await made(folder)
        except CommandError as error:
            response = await self._page(request, error)
            response.background = gone
            return response
        return FileResponse(path, media_type=content_type, filename=path.name, background=gone)

    async def _page(
        self,
        request: Request,
        error: PolesideError | None = None,
        done: str = "",
        lacks: Sequence["_Lack"] = (),
    ) -> Response:
        person, tools = request.state.person, self._tools
        state = await request.state.box.state()
        response = self._pages.render(
            request,
            "service.html",
            csrf=request.state.session.csrf,
            error=error,
            done=done,
            lacks=lacks,
            cameras=[(one.camera_id, one.name) for one in state.cameras],
            hung={key: one for key, one in tools.hung().items() if person.sees(key)},
            verified=tools.finder.verified(),
            sticks=await asyncio.to_thread(tools.sticks),
            disk=await asyncio.to_thread(tools.disk) if ALL_CAMERAS in person.cameras else None,
            update=await asyncio.to_thread(tools.updates.view),
            place=tools.place.state,
            shell=await tools.shell.state() if ALL_CAMERAS in person.cameras else None,
            can_restart=tools.restart is not None,
            now=state.utc_now,
        )
        response.status_code = 409 if error else 200
        return response


def _check_sees_all(person: Person) -> None:
    """Raise `CommandError` shell.cameras for who sees some cameras alone."""
    if ALL_CAMERAS not in person.cameras:
        raise CommandError("shell.cameras", "A shell is for who may see all cameras.")


def _utc(text: str) -> str:
    """Return a form's date and time as UTC. Raises `CommandError`."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).isoformat()
    except ValueError as error:
        raise CommandError("clip.bad_time", f"`{text}` is no time.") from error
