"""`playback`: recorded video to the relay of the grant, at the pace at which it was recorded."""

import hashlib

from agent.clips.holes import Hole
from agent.commands.lacks import as_facts, in_reply
from agent.commands.registry import Progress
from agent.contract.commands import Command
from agent.contract.scene_args import Playback
from agent.core.errors import CommandError
from agent.grants.book import Grants
from agent.messages.push import StartPush


class PlaybackHandler:
    """One order is one showing; it ends with the order, and with its grant."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    async def __call__(self, command: Command, progress: Progress) -> dict[str, object]:
        args, grant = command.args, command.grant
        if not isinstance(args, Playback):
            raise CommandError("command.wrong_handler", f"{command.op} is no playback.")
        if grant is None or grant.sink is None:
            raise CommandError(
                "grant.no_sink", "There is no relay to show it at.", hint="Give the grant a `sink`."
            )
        url = grant.sink.url.replace("{camera}", args.camera_id)
        mark = hashlib.blake2b(command.id.encode(), digest_size=6).hexdigest()
        order = StartPush(
            push_id=f"{args.camera_id}-playback-{mark}",
            stream="main",
            url=url,
            token=grant.sink.token,
            ca=grant.sink.ca,
            until_mono_s=0.0,
            max_kbps=grant.limits.max_kbps,
            since=args.start_at,
            until=args.end_at,
            recorded=args.stream,
        )
        await progress("playing")
        state = await self._grants.play(grant.id, args.camera_id, order)
        if not state.packets_total:
            code = state.code or "playback.nothing_shown"
            raise CommandError(code, "It could not be shown.", hint="Ask for another time.")
        if state.broke_off:
            raise CommandError(
                state.code, "It could not be shown to its end.", hint="Look at the box's faults."
            )
        lacks = [Hole(one.since, one.until, one.cause) for one in state.lacks]
        return {
            "camera_id": args.camera_id,
            "pictures": state.packets_total,
            "bytes": state.bytes_total,
            "stalls": state.stalls_total,
            **in_reply(as_facts(lacks)),
        }
