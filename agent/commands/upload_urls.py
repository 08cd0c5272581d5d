"""`upload.urls`: the center's addresses for a file that this box has asked to send."""

from collections.abc import Awaitable, Callable

from agent.contract.commands import Command, UploadUrls
from agent.core.errors import CommandError
from agent.uploads.sender import Uploads


class UploadUrlsHandler:
    """Hands them to the sender; the addresses are secrets and in no reply."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    async def __call__(
        self, command: Command, progress: Callable[[str], Awaitable[object]]
    ) -> dict[str, object]:
        del progress  # it is done at once
        if not isinstance(command.args, UploadUrls):
            raise CommandError("command.wrong_handler", f"{command.op} brings no addresses.")
        return await self._uploads.take(command.args)
