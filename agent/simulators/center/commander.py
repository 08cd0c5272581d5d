"""Signs orders with the center's own key and repeats them, same id, until the box has answered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from joserfc import jws
from joserfc.jwk import Key, KeySet, OKPKey

from agent.contract.commands import Actor, Args, Command, Reply, ReplyState
from agent.contract.config import ConfigReport, Desired, settings_hash
from agent.contract.topics import BoxAddress, Channel
from agent.core.clock import Clock
from agent.core.errors import EnrolError, LinkError
from agent.core.ids import new_ulid
from agent.core.whole_file import write_whole
from agent.simulators.center.granting import GrantOffice, Occasion
from agent.uplink.link import Outgoing

_ALGORITHM = "Ed25519"
_RETRY_S = 2.0  # not the broker's redelivery, which may take half a minute
_UNSAID_S = 0.3
_GRACE_S = 3.0
_WORK_S = 120.0


def load_key(folder: Path) -> OKPKey:
    """Return the center's key pair; at the first run make it and write the public keys' file."""
    private, public = folder / "center-key.json", public_keys_file(folder)
    if private.exists():
        key = _read_key(private)
    else:
        key = OKPKey.generate_key("Ed25519", auto_kid=True)
        _write_key(private, key)
    keys: list[Key] = [key]
    if _next_file(folder).exists():
        keys.append(_read_key(_next_file(folder)))
    write_whole(public, msgspec.json.encode(KeySet(keys).as_dict(private=False)))
    return key


def add_next_key(folder: Path) -> None:
    """Make the key that will sign next. Boxes must hear of it (`enrol.renew`) before it does."""
    if not _next_file(folder).exists():
        _write_key(_next_file(folder), OKPKey.generate_key("Ed25519", auto_kid=True))
    load_key(folder)


def use_next_key(folder: Path) -> None:
    """Sign with the next key from now on; the one before counts no more once boxes renewed.

    Raises `EnrolError` enrol.no_next_key.
    """
    if not _next_file(folder).exists():
        raise EnrolError(
            "enrol.no_next_key",
            "There is no next key.",
            hint="Make one (`poleside center next-key`) and have the boxes renew first.",
        )
    _next_file(folder).replace(folder / "center-key.json")
    load_key(folder)


def _next_file(folder: Path) -> Path:
    return folder / "center-key-next.json"


def _read_key(path: Path) -> OKPKey:
    return OKPKey.import_key(msgspec.json.decode(path.read_bytes()))


def _write_key(path: Path, key: OKPKey) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, msgspec.json.encode(key.as_dict(private=True)), 0o600)


def public_keys_file(folder: Path) -> Path:
    """Return where the public keys lie: the box's `center.keys_file`."""
    return folder / "center-keys.json"


def sign(claims: msgspec.Struct, key: OKPKey) -> bytes:
    """Return the claims as a JWS in compact form."""
    header = {"alg": _ALGORITHM, "kid": key.kid}
    return jws.serialize_compact(
        header, msgspec.json.encode(claims), key, algorithms=[_ALGORITHM]
    ).encode()


class Commander:
    """Sends orders and hands each its replies."""

    def __init__(
        self, clock: Clock, key: OKPKey, publish: Callable[[Outgoing], Awaitable[None]], name: str
    ) -> None:
        self._clock, self._key, self._publish, self._name = clock, key, publish, name
        self._waiting: dict[str, asyncio.Queue[Reply]] = {}
        self._office = GrantOffice(clock)
        self._grace_s = _GRACE_S

    def replied(self, reply: Reply) -> None:
        """Take a reply from a box."""
        queue = self._waiting.get(reply.id)
        if queue is not None:
            queue.put_nowait(reply)

    def new_command(
        self,
        address: BoxAddress,
        args: Args,
        by: Actor,
        *,
        valid_s: float,
        nonce: str = "",
        occasion: Occasion | None = None,
    ) -> Command:
        """Return a fresh order, valid from now, with the grant it needs."""
        now = self._clock.utc_now()
        at = int(now.timestamp())
        return Command(
            id=new_ulid(now),
            args=args,
            box=address.box,
            by=by,
            iat=at,
            nbf=at,
            exp=at + max(1, round(valid_s)),
            iss=self._name,
            nonce=nonce,
            grant=self._office.grant_for(address, args, by, occasion),
        )

    async def configure(
        self,
        address: BoxAddress,
        settings: dict[str, Any],
        by: Actor,
        known: ConfigReport | None,
        *,
        no_cameras: bool = False,
    ) -> Desired:
        """Publish, retained, what is wanted of a box, on top of what it reported last.

        `no_cameras`: it may leave the box without any. Raises `LinkError` when the broker can't be
        told now.
        """
        base = 0 if known is None else known.version
        desired = Desired(
            box=address.box,
            version=base + 1,
            base=base,
            hash=settings_hash(settings),
            settings=settings,
            by=by,
            iat=int(self._clock.utc_now().timestamp()),
            iss=self._name,
            no_cameras=no_cameras,
        )
        token = sign(desired, self._key)
        await self._publish(Outgoing(address.topic(Channel.CONFIG), token, retain=True))
        return desired

    async def send(self, address: BoxAddress, command: Command) -> AsyncIterator[Reply]:
        """Send `command` until it is answered; yield each new reply, the final one last."""
        token = sign(command, self._key)
        queue: asyncio.Queue[Reply] = asyncio.Queue()
        self._waiting[command.id] = queue
        valid_s = command.exp - self._clock.utc_now().timestamp()
        deadline = self._clock.monotonic_s() + valid_s + self._grace_s
        try:
            while (now := self._clock.monotonic_s()) < deadline:
                wait_s = _RETRY_S if await self._say(address, token) else _UNSAID_S
                while reply := await _next(queue, min(wait_s, deadline - now)):
                    if reply.code == "grant.over" and command.grant is not None:
                        self._office.forget(command.grant.id)
                    yield reply
                    if reply.state.is_final:
                        return
                    deadline = max(deadline, self._clock.monotonic_s() + _WORK_S)
            yield _no_answer(command.id)
        finally:
            del self._waiting[command.id]

    async def _say(self, address: BoxAddress, token: bytes) -> bool:
        try:
            await self._publish(Outgoing(address.topic(Channel.COMMAND), token))
        except LinkError:  # tried again until the order is out of time
            return False
        return True


async def _next(queue: asyncio.Queue[Reply], wait_s: float) -> Reply | None:
    try:
        async with asyncio.timeout(max(0.0, wait_s)):
            return await queue.get()
    except TimeoutError:
        return None


def _no_answer(command_id: str) -> Reply:
    return Reply(
        id=command_id,
        state=ReplyState.EXPIRED,
        code="command.no_answer",
        message="The box did not answer while the order was valid.",
        hint="Look whether the box is online.",
    )
