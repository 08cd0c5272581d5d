"""`clip`: recorded video of a time range, exported by packet copy and sent to the center."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from agent.commands.lacks import in_reply
from agent.contract.commands import Clip, Command
from agent.contract.scene_args import ClipMask
from agent.core.errors import CommandError
from agent.uploads.queue import NewFile
from agent.uploads.sender import Uploads

MAX_CLIP = timedelta(minutes=30)
EXPORT_TIMEOUT_S = 120.0
PATIENCE_S = 120.0  # then the order is answered, and the file's end is told later
MAX_MASKED = timedelta(minutes=5)
MASK_TIMEOUT_S = 1800.0  # it takes only the processor time that is left
MOST_MASKED = 4  # in line, each with MASK_TIMEOUT_S of its own once it is its turn
_WITH_HOLES = 3  # the exit code of a clip that was made, but for what the disk did not give
_MOST_EXPORTED, _EXPORTED_AT_ONCE = 32, 4
DEADLINE_S = MOST_MASKED * MASK_TIMEOUT_S + PATIENCE_S + 30.0


class ClipFacts(Struct, frozen=True, kw_only=True):
    """What `poleside clip export --json` says of the file it made."""

    path: str
    start_at: datetime
    end_at: datetime
    frames: int
    codec: str
    stream: str = "main"
    plays_in_browsers: bool = True
    bytes: int
    sha256: str
    sealed: bool = False
    whole: bool = False
    key_id: str = ""
    masked: dict[str, Any] | None = None
    holes: tuple[dict[str, str], ...] = ()  # each from, to, cause


class ExportFailure(Struct, frozen=True, kw_only=True):
    """What `poleside clip export --json` says when it could not."""

    code: str
    message: str
    hint: str = ""


class _Line:
    """So many at once, so many with those that wait; more are refused."""

    def __init__(self, at_once: int, most: int) -> None:
        self._turn, self._left = asyncio.Semaphore(at_once), most

    async def __aenter__(self) -> None:
        if not self._left:
            raise CommandError("clip.busy", "Too many clips wait already.", retryable=True)
        self._left -= 1
        try:
            await self._turn.acquire()
        except BaseException:
            self._left += 1
            raise

    async def __aexit__(self, *_: object) -> None:
        self._left += 1
        self._turn.release()


class ClipHandler:
    """libav never enters the core: see `export_clip`."""

    def __init__(
        self,
        data_dir: Path,
        uploads: Uploads,
        resting: Callable[[Command], AbstractAsyncContextManager[None]] = lambda _: nullcontext(),
    ) -> None:
        """Making a clip ends with its grant (`resting`), and so does sending it."""
        self._data_dir, self._uploads, self._resting = data_dir, uploads, resting
        self._exporting = _Line(_EXPORTED_AT_ONCE, _MOST_EXPORTED)
        self._masking = _Line(1, MOST_MASKED)

    async def __call__(
        self, command: Command, progress: Callable[[str], Awaitable[object]]
    ) -> dict[str, object]:
        args = command.args
        if not isinstance(args, Clip):
            raise CommandError("command.wrong_handler", f"{command.op} is no clip.")
        longest = MAX_MASKED if args.mask else MAX_CLIP
        if args.end_at - args.start_at > longest:
            raise CommandError(
                "clip.too_long",
                f"Such a clip may last {longest.seconds // 60} minutes at most.",
                hint="Ask for several shorter ones.",
            )
        if await self._uploads.find(command.id) is None:  # else a restart came between
            async with self._resting(command):
                await self._make(args, command, progress)
        job = await self._uploads.follow(command.id, progress, PATIENCE_S)
        return self._uploads.result_of(job)

    async def _make(
        self, args: Clip, command: Command, progress: Callable[[str], Awaitable[object]]
    ) -> None:
        out = self._uploads.folder / f"{command.id}.mp4"
        try:
            by = ", ".join(part for part in (command.by.user, command.by.agency) if part)
            async with self._masking if args.mask else self._exporting:
                facts = await export_clip(
                    self._data_dir,
                    args,
                    out,
                    by=by,
                    incident=command.by.case,
                    purpose=f"command {command.id}",
                    command_id=command.id,
                )
            await progress(f"sending {facts.bytes} bytes")
            await self._uploads.add(
                NewFile(
                    id=command.id,
                    path=Path(facts.path),
                    content_type="video/mp4",
                    size_bytes=facts.bytes,
                    sha256=facts.sha256,
                    result=_result(args, facts),
                    priority=command.prio,
                    rests_on=command.grant.id if command.grant else "",
                ),
                args.upload_url,
            )
        except BaseException:
            out.unlink(missing_ok=True)
            raise


async def export_clip(
    data_dir: Path,
    wanted: Clip,
    out: Path,
    *,
    by: str,
    incident: str,
    purpose: str,
    command_id: str = "",
    sidecar: bool = False,
) -> ClipFacts:
    """Write a clip to `out`, in a process of its own, with `sidecar` its manifest beside it, too.

    Raises `CommandError`.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent.local.cli.main",
        *("clip", "masked" if wanted.mask else "export", "--json", "--data-dir", str(data_dir)),
        *("--camera", wanted.camera_id, "--out", str(out)),
        *("--stream", wanted.stream),
        *("--from", wanted.start_at.isoformat(), "--to", wanted.end_at.isoformat()),
        *(f"--by={by}", f"--incident={incident}", f"--purpose={purpose}"),
        *(("--order", command_id) if command_id else ()),
        *(("--sidecar",) if sidecar else ()),
        *(_mask_options(wanted.mask) if wanted.mask else ()),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(MASK_TIMEOUT_S if wanted.mask else EXPORT_TIMEOUT_S):
            answer, _ = await process.communicate()
    except TimeoutError as error:
        raise CommandError(
            "clip.too_slow",
            "The clip was not ready in time.",
            hint="Ask for a shorter one; the disk may be failing.",
            retryable=True,
        ) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode in (0, _WITH_HOLES):
        return msgspec.json.decode(answer, type=ClipFacts)
    raise _failure(answer)


def _mask_options(mask: ClipMask) -> list[str]:
    options = [f"--outside={mask.outside}"]
    if mask.keep:
        options.append("--keep=" + " ".join(f"{x},{y}" for x, y in mask.keep))
    if mask.target:
        target = mask.target
        options += [f"--target={target.x},{target.y}", f"--at={target.at.isoformat()}"]
    return options


def _result(args: Clip, facts: ClipFacts) -> dict[str, object]:
    """Return what the reply says: `sha256` binds the file to the order."""
    return {
        "camera_id": args.camera_id,
        "start_at": facts.start_at,
        "end_at": facts.end_at,
        "frames": facts.frames,
        "stream": facts.stream,
        "codec": facts.codec,
        "plays_in_browsers": facts.plays_in_browsers,
        "bytes": facts.bytes,
        "sha256": facts.sha256,
        "sealed": facts.sealed,
        "whole": facts.whole,
        "key_id": facts.key_id,
        **({"masked": facts.masked} if facts.masked else {}),
        **in_reply(facts.holes),
    }


def _failure(answer: bytes) -> CommandError:
    try:
        failure = msgspec.json.decode(answer, type=ExportFailure)
    except msgspec.MsgspecError:
        return CommandError("clip.failed", "The clip could not be made.", retryable=True)
    return CommandError(failure.code, failure.message, hint=failure.hint)
