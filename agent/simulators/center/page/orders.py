"""Orders given on the page: what may be ordered, who may ask (CSRF), and the log with its times."""

import hmac
import secrets
from collections import deque
from datetime import datetime
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, structs
from starlette.requests import Request

from agent.contract.command_args import Speed
from agent.contract.commands import (
    Actor,
    Clip,
    Ping,
    Reply,
    ReplyState,
    Snapshot,
    op_of,
)
from agent.contract.events import Slug
from agent.contract.ptz import PtzStep
from agent.contract.ptz_args import PtzMove, PtzStop
from agent.contract.topics import BoxAddress
from agent.core.clock import Clock
from agent.core.errors import CommandError, PolesideError
from agent.simulators.center.view import CenterView

MAX_ORDER_BYTES = 4096
_KEPT = 40
_OPERATOR = Actor(user="demo", role="operator")

PageArgs = Ping | Snapshot | Clip | PtzMove | PtzStop  # settings are not changed from this page


class Order(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the browser posts."""

    site: Slug
    box: Slug
    args: PageArgs


class Step(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the browser posts while an arrow is held; all zero when it is let go."""

    site: Slug
    box: Slug
    camera_id: Slug
    pan: Speed = 0.0
    tilt: Speed = 0.0
    zoom: Speed = 0.0


class OrderEntry(Struct, kw_only=True):
    """One line of the log. `first_ms` to the box's first reply, `done_ms` to the final one."""

    number: int
    op: str
    box: str
    camera_id: str | None
    ordered_at: datetime
    command_id: str = ""
    state: str = "sent"
    code: str = ""
    message: str = ""
    hint: str = ""
    first_ms: float | None = None
    done_ms: float | None = None
    file_type: str | None = None
    file_bytes: int | None = None
    holes: tuple[dict[str, str], ...] = ()  # what recorded video lacks: each from, to, cause
    holes_untold: int = 0  # there are so many more


class OrderDesk:
    """Gives orders through the center and remembers the last ones."""

    def __init__(self, center: CenterView, clock: Clock) -> None:
        self._center, self._clock = center, clock
        self._entries: deque[OrderEntry] = deque(maxlen=_KEPT)
        self._given = 0

    def entries(self) -> list[OrderEntry]:
        """Return the log, newest first."""
        return list(reversed(self._entries))

    async def give(self, order: Order) -> OrderEntry:
        """Give `order`, follow the box's replies to the final one, return its line."""
        args = order.args
        if isinstance(args, Snapshot | Clip):  # a browser never says where a box sends files
            args = structs.replace(args, upload_url="")
        entry = self._new_entry(op_of(args), order.box, getattr(args, "camera_id", None))
        self._entries.append(entry)
        began_s = self._clock.monotonic_s()
        address = BoxAddress(order.site, order.box)
        try:
            async for reply in self._center.command(address, args, _OPERATOR):
                _note(entry, reply, (self._clock.monotonic_s() - began_s) * 1000)
        except CommandError as error:
            entry.state, entry.code = "failed", error.code
            entry.message, entry.hint = error.message, error.hint
        upload = await self._center.upload_of(entry.command_id) if entry.command_id else None
        if upload is not None:
            entry.file_type, entry.file_bytes = upload.content_type, upload.size_bytes
        return entry

    async def steer(self, step: Step) -> OrderEntry | None:
        """Move by one step; return the lease's line when one was asked for."""
        entry = self._new_entry("ptz.lease", step.box, step.camera_id)
        address, began_s = BoxAddress(step.site, step.box), self._clock.monotonic_s()
        speeds = PtzStep(seq=1, pan=step.pan, tilt=step.tilt, zoom=step.zoom)
        try:
            reply = await self._center.steer(address, step.camera_id, _OPERATOR, speeds)
        except PolesideError as error:
            entry.state, entry.code = "failed", error.code
            entry.message, entry.hint = error.message, error.hint
            return entry
        if reply is None:
            return None
        _note(entry, reply, (self._clock.monotonic_s() - began_s) * 1000)
        if not reply.state.is_final:  # granted; how it ends is nobody's news
            entry.state, entry.message = ReplyState.DONE.value, ""
        self._entries.append(entry)
        return entry

    def _new_entry(self, op: str, box: str, camera_id: str | None) -> OrderEntry:
        self._given += 1
        return OrderEntry(
            number=self._given,
            op=op,
            box=box,
            camera_id=camera_id,
            ordered_at=self._clock.utc_now(),
        )


class Gatekeeper:
    """Lets only our own page post: same origin, and the secret that only our page was given."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)

    def refusal(self, request: Request) -> str:
        """Return why the request is refused, or an empty string."""
        headers = request.headers
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return "cross-site"
        if urlsplit(headers.get("origin", "")).netloc != headers.get("host"):
            return "other-origin"
        if not hmac.compare_digest(
            headers.get("x-poleside-token", "").encode(), self.token.encode()
        ):
            return "no-token"
        length = headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MAX_ORDER_BYTES:
            return "too-long"
        return ""


def read_order(body: bytes) -> Order:
    """Decode what the browser posted. Raises `CommandError` saying what is wrong with it."""
    try:
        return msgspec.json.decode(body, type=Order)
    except msgspec.DecodeError as error:
        raise CommandError("order.malformed", str(error), hint="Reload the page.") from error


def read_step(body: bytes) -> Step:
    """Decode a joystick's step. Raises `CommandError` saying what is wrong with it."""
    try:
        return msgspec.json.decode(body, type=Step)
    except msgspec.DecodeError as error:
        raise CommandError("order.malformed", str(error), hint="Reload the page.") from error


def _note(entry: OrderEntry, reply: Reply, after_ms: float) -> None:
    entry.command_id, entry.state = reply.id, reply.state.value
    entry.code, entry.message, entry.hint = reply.code, reply.message, reply.hint
    # "No answer" is the center's own word, not the box's: it is no round trip.
    if entry.first_ms is None and reply.code != "command.no_answer":
        entry.first_ms = after_ms
    if reply.state.is_final:
        entry.done_ms = after_ms
        entry.holes = tuple((reply.result or {}).get("holes", ()))
        entry.holes_untold = (reply.result or {}).get("holes_untold", 0)
