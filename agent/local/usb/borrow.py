"""Our own image mounts no stick by itself: its system is asked for one, and gets it back.

Command line -> `plan.json`, locked as long as its writer lives -> `poleside-export.service`
(image-build), which judges the stick, mounts it writable for the agent alone and takes it back when
file or lock are gone, also after `kill -9`. On other machines whoever mounts sticks has done it.
"""

import fcntl
import os
import secrets
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from agent.core.clock import Clock
from agent.local.usb.media import Stick, UsbError, sticks, waiting

FOLDER: Final = "export"  # under data_dir
_ANSWER_S, _RELEASE_S, _LOOK_S = 45.0, 330.0, 0.1
_MOST_BYTES: Final = 64 * 1024


class _Told(Struct, frozen=True):
    plan_id: str = ""
    outcome: str = ""
    why: str = ""
    place: str = ""


def lends(root: Path = Path("/")) -> bool:
    """Say whether this machine's system mounts a stick when it is asked."""
    return (root / "usr/lib/poleside/export").is_file()


def usable(root: Path = Path("/")) -> list[Stick]:
    """Return the sticks that are mounted, and those that the system would mount when asked."""
    return [*sticks(root), *(waiting(root) if lends(root) else ())]


@asynccontextmanager
async def borrowed(
    device: str, data_dir: Path, clock: Clock, root: Path = Path("/")
) -> AsyncIterator[Path]:
    """Yield where a stick such as /dev/sdb1 may be written; at the end it may be taken out.

    Raises `UsbError` usb.refused with the system's reason, usb.no_answer, and usb.stuck when all
    may be written but the stick could not be taken back.
    """
    plan_id = secrets.token_hex(8)
    told = root / "run/poleside-export/state.json"
    try:
        plan, lock = _leave(data_dir, Path(device).name, plan_id)
    except OSError as error:
        raise UsbError("usb.no_answer", f"The stick can't be asked for: {error}.") from error
    try:
        state = await _answer(told, plan_id, ("mounted", "refused"), _ANSWER_S, clock)
        if state.outcome == "refused":
            raise UsbError("usb.refused", state.why, hint="Take another stick.")
        yield Path(state.place)
    finally:
        plan.unlink(missing_ok=True)
        os.close(lock)
    if (await _answer(told, plan_id, ("released", "stuck"), _RELEASE_S, clock)).outcome == "stuck":
        raise UsbError(
            "usb.stuck",
            "The stick could not be taken back.",
            hint="Switch the box off before you take it out, then check the files.",
        )


def _leave(data_dir: Path, device: str, plan_id: str) -> tuple[Path, int]:
    """Return the plan and the handle that keeps it locked; another's plan is never replaced."""
    folder = data_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.geteuid() == 0:
        owner = data_dir.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
    plan = folder / "plan.json"
    handle, scratch = tempfile.mkstemp(dir=folder, prefix=".plan.")
    try:
        os.write(handle, msgspec.json.encode({"plan_id": plan_id, "device": device}))
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.link(scratch, plan)
    except FileExistsError:
        os.close(handle)
        raise UsbError(
            "usb.busy", "Something is being written to a stick.", hint="Wait until it is done."
        ) from None
    except BaseException:
        os.close(handle)
        raise
    finally:
        Path(scratch).unlink(missing_ok=True)
    return plan, handle


async def _answer(
    told: Path, plan_id: str, wanted: tuple[str, ...], within_s: float, clock: Clock
) -> _Told:
    until_s = clock.monotonic_s() + within_s
    while clock.monotonic_s() < until_s:
        state = _read(told)
        if state.plan_id == plan_id and state.outcome in wanted:
            return state
        await clock.sleep_s(_LOOK_S)
    raise UsbError(
        "usb.no_answer",
        "The box's system does not answer for the stick.",
        hint="Look at `journalctl -u poleside-export`.",
    )


def _read(told: Path) -> _Told:
    try:
        with told.open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_BYTES), type=_Told)
    except (OSError, msgspec.MsgspecError):
        return _Told()
