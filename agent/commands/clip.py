"""`clip`: recorded video of a time range, exported by packet copy and sent to the center."""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.clips.upload import put_file
from agent.contract.commands import Clip, Command
from agent.core.errors import CommandError

MAX_CLIP = timedelta(minutes=30)
EXPORT_TIMEOUT_S = 120.0


class ClipFacts(Struct, frozen=True, kw_only=True):
    """What `poleside clip export --json` says of the file it made."""

    path: str
    start_at: datetime
    end_at: datetime
    frames: int
    codec: str
    bytes: int
    sha256: str
    sealed: bool = False
    whole: bool = False
    key_id: str = ""


class ExportFailure(Struct, frozen=True, kw_only=True):
    """What `poleside clip export --json` says when it could not."""

    code: str
    message: str
    hint: str = ""


class ClipHandler:
    """Exports in a process of its own, so that libav never enters the core."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    async def __call__(
        self, command: Command, progress: Callable[[str], Awaitable[None]]
    ) -> dict[str, object]:
        args = command.args
        if not isinstance(args, Clip):
            raise CommandError("command.wrong_handler", f"{command.op} is no clip.")
        if args.end_at - args.start_at > MAX_CLIP:
            raise CommandError(
                "clip.too_long",
                f"A clip may last {MAX_CLIP.seconds // 60} minutes at most.",
                hint="Ask for several shorter ones.",
            )
        with tempfile.TemporaryDirectory(dir=self._data_dir, prefix="clip-") as folder:
            facts = await self._export(args, command, Path(folder) / "clip.mp4")
            await progress(f"sending {facts.bytes} bytes")
            await asyncio.to_thread(
                put_file, Path(facts.path), args.upload_url, "video/mp4", facts.sha256
            )
        return {
            "camera_id": args.camera_id,
            "start_at": facts.start_at,
            "end_at": facts.end_at,
            "frames": facts.frames,
            "codec": facts.codec,
            "bytes": facts.bytes,
            "sha256": facts.sha256,
            "sealed": facts.sealed,
            "whole": facts.whole,
            "key_id": facts.key_id,
        }

    async def _export(self, args: Clip, command: Command, out: Path) -> ClipFacts:
        by = ", ".join(part for part in (command.by.user, command.by.agency) if part)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "agent.local.cli.main",
            *("clip", "export", "--json", "--data-dir", str(self._data_dir)),
            *("--camera", args.camera_id, "--out", str(out)),
            *("--from", args.start_at.isoformat(), "--to", args.end_at.isoformat()),
            *(f"--by={by}", f"--incident={command.by.case}", f"--purpose=command {command.id}"),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(EXPORT_TIMEOUT_S):
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
        if process.returncode == 0:
            return msgspec.json.decode(answer, type=ClipFacts)
        raise _failure(answer)


def _failure(answer: bytes) -> CommandError:
    try:
        failure = msgspec.json.decode(answer, type=ExportFailure)
    except msgspec.MsgspecError:
        return CommandError("clip.failed", "The clip could not be made.", retryable=True)
    return CommandError(failure.code, failure.message, hint=failure.hint)
