"""Runs our own command line for the page: what is heavy never enters the core's memory."""

import asyncio
import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import msgspec

from agent.core.errors import CommandError

TIMEOUT_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class _Refusal:
    code: str
    message: str
    hint: str = ""


async def run_command(*words: str, well: Collection[int] = (0,)) -> bytes:
    """Return what `poleside WORDS --json` answers. Raises `CommandError` with its own code.

    `well` are the exit codes of one that did it.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent.local.cli.main",
        *words,
        "--json",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            told, said = await process.communicate()
    except TimeoutError as error:
        raise CommandError("service.too_slow", "It took too long.") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode in well:
        return told
    raise _refusal(told, said.decode("utf-8", errors="replace"))


def _refusal(told: bytes, said: str) -> CommandError:
    try:
        found = msgspec.json.decode(told, type=_Refusal)
    except msgspec.MsgspecError:  # one plain line, `[code] message`
        code, _, message = said.strip().partition("] ")
        found = _Refusal(code.lstrip("[") if message else "service.failed", message or said[-500:])
    return CommandError(found.code, found.message, hint=found.hint)
