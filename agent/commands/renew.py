"""`enrol.renew`: fetch a new certificate now, and whatever the center signed with it."""

import asyncio
from collections.abc import Callable

from agent.commands.registry import Handler, Progress
from agent.contract.commands import Command


def renew(look: Callable[[], bool]) -> Handler:
    """Return the handler; `look` renews (see `CertificateRenewal.look`) and raises `EnrolError`."""

    async def handle(_command: Command, _progress: Progress) -> dict[str, object]:
        return {"renewed": await asyncio.to_thread(look)}

    return handle
