"""What the box answers to commands, on `up/rsp`."""

from dataclasses import dataclass

import msgspec

from agent.contract.commands import Reply, ReplyState
from agent.contract.topics import MAX_BYTES, BoxAddress, Channel
from agent.core.clock import Clock
from agent.uplink.link import Link, Outgoing


@dataclass(frozen=True, slots=True)
class Replies:
    """Publishes replies; `answer` raises `LinkError` when the center can't be told now."""

    clock: Clock
    link: Link
    address: BoxAddress

    async def answer(self, reply: Reply) -> None:
        body = msgspec.json.encode(msgspec.structs.replace(reply, t=self.clock.utc_now()))
        if len(body) > MAX_BYTES[Channel.REPLY]:
            small = Reply(
                id=reply.id,
                state=ReplyState.FAILED,
                code="command.reply_too_large",
                message=f"It was done, but its result of {len(body)} bytes can't be sent.",
            )
            body = msgspec.json.encode(small)
        await self.link.publish(Outgoing(self.address.topic(Channel.REPLY), body))
