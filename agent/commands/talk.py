"""`talk`: a voice from the center at the scene, through a camera's loudspeaker or the box's own.

A process of its own carries each voice, for libav never enters the core; it is killed at the
grant's end. Nothing of what is said is kept.
"""

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from agent.commands.registry import Progress
from agent.contract.commands import Command
from agent.contract.scene_args import Talk
from agent.core.errors import CommandError
from agent.messages.talk import TalkEnd, TalkOrder
from agent.settings.load import data_dir_of
from agent.settings.model import Settings

DEADLINE_S = 330.0
_MODULE = "agent.app.talk_process"


class TalkHandler:
    """One voice at a time through each loudspeaker. `lines_folder` is the simulated board's."""

    def __init__(self, settings: Callable[[], Settings], lines_folder: Path) -> None:
        self._settings, self._lines_folder = settings, lines_folder
        self._busy: set[str] = set()

    async def __call__(self, command: Command, progress: Progress) -> dict[str, object]:
        args = command.args
        if not isinstance(args, Talk):
            raise CommandError("command.wrong_handler", f"{command.op} is no voice.")
        order = self._order(args)
        if args.camera_id in self._busy:
            raise CommandError(
                "talk.busy", "Somebody speaks there already.", hint="Wait for the end."
            )
        self._busy.add(args.camera_id)
        try:
            await progress("talking")
            end = await _carried(order)
        finally:
            self._busy.discard(args.camera_id)
        if end.code:
            raise CommandError(end.code, end.message, hint=end.hint)
        return {"camera_id": args.camera_id, "said_s": round(end.said_s, 1)}

    def _order(self, args: Talk) -> TalkOrder:
        settings = self._settings()
        camera_json = b""
        if args.camera_id:
            camera = settings.camera(args.camera_id)
            if camera is None:
                raise CommandError("camera.unknown", f"There is no camera {args.camera_id}.")
            camera_json = msgspec.json.encode(camera)
        return TalkOrder(
            source_url=args.source_url,
            for_s=args.for_s,
            live=args.live,
            ca=args.ca,
            data_dir=str(data_dir_of(settings)),
            camera_json=camera_json,
            board_kind=settings.board.kind,
            lines_folder=str(self._lines_folder),
        )


async def _carried(order: TalkOrder) -> TalkEnd:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        _MODULE,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        told, _ = await process.communicate(msgspec.msgpack.encode(order))
        return msgspec.msgpack.decode(told, type=TalkEnd)
    except msgspec.MsgspecError:
        raise CommandError(
            "talk.broke", "The voice broke off.", hint="Try again.", retryable=True
        ) from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
