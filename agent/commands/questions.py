"""What the command line beside a running agent asks of it, through the counter's folder.

Orders are of the contract and journalled; these are the box's own: looks, and what a technician at
the console may change as he may at the page. Who may write the run folder may ask.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct

from agent.contract.ptz_args import CameraAim
from agent.core.clock import Clock
from agent.core.errors import CommandError
from agent.core.ids import new_ulid

FOLDER = "orders"
PATIENCE_S = 20.0
_STEP_S = 0.05


class AskState(Struct, frozen=True, tag="state", tag_field="ask", forbid_unknown_fields=True):
    """The whole front page: `agent.local.web.view.BoxState`."""


class AskPicture(Struct, frozen=True, tag="picture", tag_field="ask", forbid_unknown_fields=True):
    """The newest picture of a camera, `LivePicture` or null."""

    camera_id: str
    user: str


class AskAim(Struct, frozen=True, tag="aim", tag_field="ask", forbid_unknown_fields=True):
    """A camera's `AimReading`, or null: pixels a metre in its zones."""

    camera_id: str


class AskSettings(Struct, frozen=True, tag="settings", tag_field="ask", forbid_unknown_fields=True):
    """The settings in effect, secrets hidden."""


class AskCameras(Struct, frozen=True, tag="cameras", tag_field="ask", forbid_unknown_fields=True):
    """What each camera told of itself: maker, model, firmware, serial, and what is in doubt."""


class AskDump(Struct, frozen=True, tag="dump", tag_field="ask", forbid_unknown_fields=True):
    """All a camera tells of itself over ONVIF, secrets taken out."""

    camera_id: str


class ChangeHere(Struct, frozen=True, tag="change", tag_field="ask", forbid_unknown_fields=True):
    """Lay `patch` over the file as the page does; on trial like every change."""

    patch: dict[str, Any]
    user: str


class ConfirmSettings(
    Struct, frozen=True, tag="confirm", tag_field="ask", forbid_unknown_fields=True
):
    """Keep a change that needs a word; false: nothing waits for one."""


class RestoreSettings(
    Struct, frozen=True, tag="restore", tag_field="ask", forbid_unknown_fields=True
):
    """Put what was set at the page back to what it was in `version` of the history."""

    version: int
    user: str


class SendFile(Struct, frozen=True, tag="send", tag_field="ask", forbid_unknown_fields=True):
    """Queue a file for the center, bound to the audit chain by its SHA-256; `path` is moved."""

    path: str
    name: str
    content_type: str
    sha256: str
    op: str
    user: str


class TryGrant(Struct, frozen=True, tag="try.grant", tag_field="ask", forbid_unknown_fields=True):
    """What a signed order, or a grant as plain JSON, would allow; nothing is given."""

    text: str
    user: str


class TryIncident(
    Struct, frozen=True, tag="try.incident", tag_field="ask", forbid_unknown_fields=True
):
    """What a call to a place would have the cameras do: signed, or `IncidentCall` as plain JSON."""

    text: str
    user: str


class TryAim(Struct, frozen=True, tag="try.aim", tag_field="ask", forbid_unknown_fields=True):
    """Where a camera would turn; it is not moved."""

    aim: CameraAim
    user: str


Question = (
    AskState
    | AskPicture
    | AskAim
    | AskSettings
    | AskCameras
    | AskDump
    | ChangeHere
    | ConfirmSettings
    | RestoreSettings
    | SendFile
    | TryGrant
    | TryIncident
    | TryAim
)


class Answer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`code` says why not; else `value` is the answer."""

    value: Raw = Raw(b"null")
    code: str = ""
    message: str = ""
    hint: str = ""


Answerer = Callable[[Question], Awaitable[Any]]


async def ask(
    run_folder: Path, question: Question, clock: Clock, patience_s: float = PATIENCE_S
) -> bytes:
    """Return the running agent's answer as JSON.

    Raises `CommandError`: `counter.closed` when no agent answers, else what it refused with.
    """
    path = run_folder / FOLDER / f"{new_ulid(clock.utc_now())}.question"
    reply, until_s = path.with_suffix(".answer"), clock.monotonic_s() + patience_s
    try:
        await asyncio.to_thread(put, path, msgspec.json.encode(question))
        while clock.monotonic_s() < until_s:
            await clock.sleep_s(_STEP_S)
            if reply.exists():
                content = await asyncio.to_thread(reply.read_bytes)
                reply.unlink()
                return _value(msgspec.json.decode(content, type=Answer))
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _closed(str(error.strerror)) from error
    raise _closed("no answer")


def put(path: Path, content: bytes) -> None:
    """Write a file of the counter's folder, whole or not at all. Raises `OSError`."""
    scratch = path.with_suffix(".tmp")
    scratch.touch(0o600)  # a change of settings may hold a camera's password
    scratch.write_bytes(content)
    scratch.replace(path)


def _value(answer: Answer) -> bytes:
    if answer.code:
        raise CommandError(answer.code, answer.message, hint=answer.hint)
    return bytes(answer.value)


def _closed(why: str) -> CommandError:
    return CommandError(
        "counter.closed",
        f"No running agent answers in this data folder: {why}.",
        hint="Start the agent, run this as its user, or give the right --data-dir.",
    )
